// The page: where pictures come from, what is chosen, and what is shown. The worker paints.

const $ = (id) => document.getElementById(id);
const canvas = $("picture"), shown = canvas.getContext("2d");
const video = $("video");
const small = new OffscreenCanvas(16, 16), taken = small.getContext("2d", { willReadFrequently: true });

let styles = [];
let chosen = null;
let still = null; // the picture that is painted, if it is not a film
let camera = null;
let worker = null; // what paints; begun again when it could not load what it runs on
let painting = false, ready = false, again = false, turn = 0;
let opened = 0, first = 0; // what is open by number, and the first turn that paints it
let recorder = null;
const times = [];

function say(text) {
  $("error").textContent = text;
  $("error").hidden = !text;
}

// What is painted.

const source = () => still || (video.readyState >= 2 && !video.hidden ? video : null);

/** The source at the chosen size, as bytes; sides of films are whole multiples of four, as recordings need them. */
function frame(from) {
  const width = from.videoWidth || from.width, height = from.videoHeight || from.height, step = from.videoWidth ? 4 : 1;
  const scale = Math.min(1, Number($("size").value) / Math.max(width, height));
  small.width = Math.max(16, Math.round((width * scale) / step) * step);
  small.height = Math.max(16, Math.round((height * scale) / step) * step);
  taken.drawImage(from, 0, 0, small.width, small.height);
  return taken.getImageData(0, 0, small.width, small.height);
}

function paint() {
  const from = source();
  if (!worker && chosen) begin();
  if (!ready || !chosen || !from) return;
  if (painting) { again = true; return; }
  painting = true;
  again = false;
  turn += 1;
  const image = frame(from);
  worker.postMessage({ model: chosen.model, strength: Number($("strength").value), width: image.width, height: image.height, bytes: image.data, turn }, [image.data.buffer]);
}

function begin() {
  worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  worker.onmessage = answered;
  worker.onerror = (event) => lost(event.message || "the server did not give them");
  worker.postMessage({ load: new URLSearchParams(location.search).get("engine") || "" });
}

/** The worker could not load what it runs on: the next paint begins another one. */
function lost(why) {
  worker?.terminate();
  worker = null;
  ready = painting = false;
  say(`The networks could not be loaded: ${why}. Choose a style to try again.`);
}

function answered({ data }) {
  if (data.unloaded) { lost(data.error); return; }
  if (data.loaded) {
    ready = true;
    const { provider, threads } = data.loaded;
    $("engine").textContent = provider === "webgpu" ? "on the graphics processor (WebGPU)" : `on the processor (WebAssembly, ${threads} ${threads === 1 ? "thread" : "threads"})`;
    document.body.dataset.engine = provider;
    hold(provider);
    say("");
    paint();
    return;
  }
  painting = false;
  if (data.turn < first) { paint(); return; } // of what was open before
  if (data.error) { say(`It could not be painted: ${data.error}. Choose the style to try again.`); return; }
  say("");
  if (canvas.width !== data.width || canvas.height !== data.height) { canvas.width = data.width; canvas.height = data.height; }
  shown.putImageData(new ImageData(data.bytes, data.width, data.height), 0, 0);
  canvas.classList.toggle("clear", data.clear);
  $("start").hidden = true;
  for (const id of ["save", "record", "pause"]) $(id).disabled = id === "pause" && Boolean(still);
  const now = performance.now();
  times.push(now);
  while (times.length && now - times[0] > 2000) times.shift();
  $("rate").textContent = still ? "" : `${(times.length / Math.max(0.5, (now - times[0]) / 1000 || 2)).toFixed(1)} frames a second`;
  document.body.dataset.painted = data.turn;
  if (!still && !video.paused) next(); else if (again) paint();
}

/** The next frame of a film or a camera, when there is one. */
function next() {
  if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(paint); else requestAnimationFrame(paint);
}

// Where it comes from.

/** Closes what is open; returns the number of what is opened next. */
function closeAll() {
  for (const track of camera?.getTracks() || []) track.stop();
  camera = still = null;
  if (video.src) URL.revokeObjectURL(video.src);
  video.removeAttribute("src");
  video.srcObject = null;
  video.hidden = true;
  $("pause").textContent = "Pause";
  say("");
  first = turn + 1;
  opened += 1;
  return opened;
}

async function play() {
  video.hidden = false;
  video.style.position = "absolute";
  video.style.opacity = "0";
  video.style.pointerEvents = "none";
  video.style.width = "1px";
  await video.play();
  paint();
}

$("camera").addEventListener("click", async () => {
  const own = closeAll();
  try {
    const found = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 } } });
    if (own !== opened) { for (const track of found.getTracks()) track.stop(); return; }
    video.srcObject = camera = found;
    await play();
  } catch { if (own === opened) say("There is no camera, or it was not allowed."); }
});

$("file").addEventListener("change", async () => {
  const file = $("file").files[0];
  if (!file) return;
  $("file").value = "";
  const own = closeAll();
  try {
    if (file.type.startsWith("video/")) {
      video.src = URL.createObjectURL(file);
      await play();
    } else {
      const picture = await createImageBitmap(file, { imageOrientation: "from-image" });
      if (own === opened) { still = picture; paint(); }
    }
  } catch { if (own === opened) say(`${file.name} is no picture and no film that this browser can read.`); }
});

$("pause").addEventListener("click", () => {
  if (video.paused) { video.play(); paint(); } else video.pause();
  $("pause").textContent = video.paused ? "Resume" : "Pause";
});
$("size").addEventListener("change", paint);
$("strength").addEventListener("input", paint);

// What is kept.

function keep(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

$("save").addEventListener("click", () => canvas.toBlob((blob) => keep(blob, `${chosen.name}.png`), "image/png"));
$("record").addEventListener("click", () => {
  if (recorder) { recorder.stop(); return; }
  const parts = [];
  recorder = new MediaRecorder(canvas.captureStream());
  recorder.ondataavailable = ({ data }) => parts.push(data);
  recorder.onstop = () => {
    keep(new Blob(parts, { type: recorder.mimeType }), `${chosen.name}.${recorder.mimeType.includes("mp4") ? "mp4" : "webm"}`);
    recorder = null;
    $("record").textContent = "Record";
  };
  recorder.start();
  $("record").textContent = "Stop recording";
});

// Styles.

function choose(style, focus = false) {
  chosen = style;
  for (const button of $("styles").children) {
    const own = button.dataset.name === style.name;
    button.setAttribute("aria-checked", String(own));
    button.tabIndex = own ? 0 : -1;
    if (own && focus) button.focus();
  }
  paint();
}

function show() {
  $("styles").replaceChildren(...styles.map((style, number) => {
    const button = document.createElement("button");
    button.setAttribute("role", "radio");
    button.dataset.name = style.name;
    button.title = `${style.title}. ${style.by}`;
    const picture = Object.assign(document.createElement("img"), { src: style.picture, alt: "" });
    const title = Object.assign(document.createElement("span"), { textContent: style.title });
    button.append(picture, title);
    button.addEventListener("click", () => choose(style));
    button.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (step) { event.preventDefault(); choose(styles[(number + step + styles.length) % styles.length], true); }
    });
    return button;
  }));
}

// Offline: a service worker holds the page, what it runs on, and all styles. A studio serves the page without a version: it holds nothing.

const version = document.documentElement.dataset.version;
const workers = version ? navigator.serviceWorker : null;
if (workers) {
  workers.addEventListener("message", ({ data }) => {
    if (data.version !== version) return;
    const done = data.held === data.of;
    $("held").textContent = done ? `All ${data.of} files are held: the page works offline.` : `${data.held} of ${data.of} files are held for use offline.`;
    if (data.missing && data.held + data.missing === data.of) $("held").textContent += " The others are fetched when the network is back.";
    document.body.dataset.held = done ? data.version : "";
  });
  workers.register(new URL("./sw.js", import.meta.url)).then((found) => found.update()).catch(() => {});
  workers.addEventListener("controllerchange", () => hold(document.body.dataset.engine));
} else if (version) {
  $("held").textContent = "This browser holds nothing for use offline: that needs https, or localhost.";
}

/** Ask for everything to be held that this browser runs on. */
function hold(provider) {
  if (workers && provider) workers.ready.then((found) => found.active.postMessage({ hold: provider, version }));
}

addEventListener("online", () => { hold(document.body.dataset.engine); paint(); });

try {
  const answer = await fetch(new URL("./styles.json", import.meta.url));
  if (!answer.ok) throw new Error((await answer.json()).error);
  styles = await answer.json();
  show();
  choose(styles[0]);
} catch (error) {
  const told = error instanceof SyntaxError || error instanceof TypeError ? "the page has to come from a server, such as: python -m http.server" : error.message;
  say(`The styles could not be loaded: ${told}.`);
}
