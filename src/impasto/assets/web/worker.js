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

/** The network of a style; kept, so that going back is immediate. One that could not be had is asked for again the next time. */
async function session(model) {
  if (!sessions.has(model)) {
    const made = ort.InferenceSession.create(new URL(model, import.meta.url).href, { executionProviders: [provider] });
    sessions.set(model, made);
    made.catch(() => sessions.delete(model));
  }
  return sessions.get(model);
}

// What is transparent has no colour: push-pull, as impasto/media/transparency.py does it. Levels are [red, green, blue, weight] by place.

const FAINT = 8 / 255; // alpha from which on a place has its own colour whole
const CELLS = 5; // halvings after which sides may be odd

/** Half the size: sums of 2 x 2 places, none of which weighs more than 1. */
function halved({ width, height, values }) {
  const w = (width + 1) >> 1, h = (height + 1) >> 1, found = new Float32Array(4 * w * h);
  for (let y = 0, from = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      for (let c = 0, to = 4 * ((y >> 1) * w + (x >> 1)); c < 4; c += 1, to += 1, from += 1) found[to] += values[from];
    }
  }
  for (let at = 0; at < found.length; at += 4) {
    const weight = Math.max(found[at + 3], 1);
    for (let c = 0; c < 4; c += 1) found[at + c] /= weight;
  }
  return { width: w, height: h, values: found };
}

/** The places before and after that a place of twice the size lies between, and how much the farther one counts. */
const between = (at, length) => [at >> 1, Math.min(length - 1, Math.max(0, (at >> 1) + (at & 1 ? 1 : -1)))];

/** Colours of a level: its own as far as their weight goes, else those of the coarser one, three values by place. */
function blended({ width, height, values }, coarser, w, h) {
  const found = new Float32Array(3 * width * height);
  for (let y = 0, at = 0; y < height; y += 1) {
    const [near, far] = between(y, h);
    for (let x = 0; x < width; x += 1, at += 1) {
      const rest = 1 - values[4 * at + 3], [left, right] = between(x, w);
      for (let c = 0; c < 3; c += 1) {
        const upper = 0.75 * coarser[3 * (near * w + left) + c] + 0.25 * coarser[3 * (far * w + left) + c];
        const other = 0.75 * coarser[3 * (near * w + right) + c] + 0.25 * coarser[3 * (far * w + right) + c];
        found[3 * at + c] = values[4 * at + c] + rest * (0.75 * upper + 0.25 * other);
      }
    }
  }
  return found;
}

/** Gives transparent places of bytes, red, green, blue and alpha, colours that go on from the visible edge. */
function fillIn(bytes, width, height) {
  const cell = 1 << CELLS, whole = (side) => Math.ceil(side / cell) * cell;
  const finest = { width: whole(width), height: whole(height), values: new Float32Array(4 * whole(width) * whole(height)) };
  for (let y = 0; y < height; y += 1) {
    for (let x = 0, from = 4 * y * width, to = 4 * y * finest.width; x < width; x += 1, from += 4, to += 4) {
      const alpha = bytes[from + 3] / 255, weight = alpha * Math.min(alpha / FAINT, 1);
      for (let c = 0; c < 3; c += 1) finest.values[to + c] = (weight * bytes[from + c]) / 255;
      finest.values[to + 3] = weight;
    }
  }
  const levels = [finest];
  while (Math.max(levels[levels.length - 1].width, levels[levels.length - 1].height) > 1) levels.push(halved(levels[levels.length - 1]));
  const last = levels[levels.length - 1].values;
  let colors = Float32Array.from({ length: 3 }, (_, c) => (last[3] > 0 ? last[c] / last[3] : 0.5));
  for (let number = levels.length - 2; number >= 0; number -= 1) {
    colors = blended(levels[number], colors, levels[number + 1].width, levels[number + 1].height);
  }
  for (let y = 0, to = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, to += 4) {
      const own = Math.min(bytes[to + 3] / 255 / FAINT, 1);
      for (let c = 0; c < 3 && own < 1; c += 1) bytes[to + c] = own * bytes[to + c] + (1 - own) * 255 * colors[3 * (y * finest.width + x) + c];
    }
  }
}

/** Paints bytes, red, green, blue and alpha of each pixel, where they are; alpha stays. Returns whether anything is transparent. */
async function paint({ model, strength, width, height, bytes }) {
  const network = await session(model);
  const pixels = width * height, values = new Float32Array(3 * pixels);
  let least = 255;
  for (let at = 3; at < bytes.length; at += 4) least = Math.min(least, bytes[at]);
  if (least / 255 < FAINT) fillIn(bytes, width, height);
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
  }
  picture.dispose?.();
  return least < 255;
}

self.onmessage = async ({ data }) => {
  try {
    if (data.load !== undefined) { self.postMessage({ loaded: await load(data.load) }); return; }
    const clear = await paint(data), { bytes, width, height, turn } = data;
    self.postMessage({ bytes, clear, width, height, turn }, [bytes.buffer]);
  } catch (error) {
    self.postMessage({ error: error.message || String(error), turn: data.turn, unloaded: !ort });
  }
};
