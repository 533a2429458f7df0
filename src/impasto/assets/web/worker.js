// Paints: the networks run here, so that the page stays quick. WebGPU where the browser has it, else WebAssembly, with threads where the page
// is isolated from others (its server sends COOP and COEP).

let ort = null;
let provider = "";
const sessions = new Map();

async function load(wanted) {
  const gpu = wanted !== "wasm" && typeof navigator.gpu !== "undefined" && (await navigator.gpu.requestAdapter().catch(() => null));
  if (wanted === "webgpu" && !gpu) throw new Error("this browser has no WebGPU");
  provider = gpu ? "webgpu" : "wasm";
  ort = await import(gpu ? "./vendor/ort.webgpu.min.mjs" : "./vendor/ort.wasm.min.mjs");
  ort.env.wasm.wasmPaths = new URL("./vendor/", import.meta.url).href;
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(8, navigator.hardwareConcurrency || 1) : 1;
  ort.env.logLevel = "error";
  return { provider, threads: provider === "wasm" ? ort.env.wasm.numThreads : 0 };
}

/** The network of a style; kept, so that going back is immediate. */
async function session(model) {
  if (!sessions.has(model)) sessions.set(model, ort.InferenceSession.create(new URL(model, import.meta.url).href, { executionProviders: [provider] }));
  return sessions.get(model);
}

/** From bytes, red, green, blue and alpha of each pixel, to the same, painted. */
async function paint({ model, strength, width, height, bytes }) {
  const network = await session(model);
  const pixels = width * height, values = new Float32Array(3 * pixels);
  for (let at = 0, from = 0; at < pixels; at += 1, from += 4) {
    values[at] = bytes[from] / 255;
    values[at + pixels] = bytes[from + 1] / 255;
    values[at + 2 * pixels] = bytes[from + 2] / 255;
  }
  const { picture } = await network.run({ photo: new ort.Tensor("float32", values, [1, 3, height, width]), strength: new ort.Tensor("float32", [strength], []) });
  const painted = picture.data;
  for (let at = 0, to = 0; at < pixels; at += 1, to += 4) {
    bytes[to] = painted[at] * 255;
    bytes[to + 1] = painted[at + pixels] * 255;
    bytes[to + 2] = painted[at + 2 * pixels] * 255;
    bytes[to + 3] = 255;
  }
  picture.dispose?.();
  return bytes;
}

self.onmessage = async ({ data }) => {
  try {
    if (data.load !== undefined) { self.postMessage({ loaded: await load(data.load) }); return; }
    const bytes = await paint(data);
    self.postMessage({ bytes, width: data.width, height: data.height, turn: data.turn }, [bytes.buffer]);
  } catch (error) {
    self.postMessage({ error: error.message || String(error), turn: data.turn });
  }
};
