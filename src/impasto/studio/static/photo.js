// The photo: a draft after every change, the fine picture after it, before and after, places, results.

import { $, API, call, copy, download, dropped, finished, get, h, noteJob, post, say, seconds, send, trying } from "./api.js";
import { Brush, COLORS } from "./brush.js";
import { Controls } from "./controls.js";
import { Gallery } from "./gallery.js";

const DRAFT = 512;
const FINE = 512;
const error = $("photo-error");
const status = $("photo-status");
const progress = $("photo-progress");

let photo = null; // what the shelf knows of it
let masks = {}; // what the chosen places say, as the API takes it
let drafting = null; // the AbortController of the draft on its way
let fine = null; // the id of the fine picture on its way
let shown = null; // the address of the picture that is shown: a blob's, or a job's file
let result = null; // the finished job whose picture is shown
let turn = 0;

const gallery = new Gallery($("photo-gallery"), { wanted: (style) => !style.live, onChange: () => { styleTools(); change(); } });
const controls = new Controls($("photo-controls"), { onChange: () => change() });

const asked = (more = {}) => ({ photo: photo.id, styles: gallery.value, ...controls.value, ...masks, ...more });

// The photo itself.

async function take(file, name) {
  if (!file) return;
  await trying(error, async () => {
    status.textContent = "The photo is read…";
    stop();
    const kept = await send("pictures", file, name);
    setPhoto(kept);
    if (!gallery.value.length) status.textContent = "Now choose a style.";
    change(0);
  });
  $("photo-file").value = "";
  if (!photo) status.textContent = "Choose a photo, then a style.";
}

function setPhoto(kept) {
  photo = kept;
  sessionStorage.setItem("photo", JSON.stringify(kept));
  masks = {};
  document.querySelector("input[name=mask][value=none]").checked = true;
  showMaskTools();
  $("before").src = `${API}pictures/${kept.id}`;
  $("before").alt = `The photo ${kept.name}`;
  photoBrush.fit(kept.width, kept.height);
  $("view").style.setProperty("--ratio", kept.width / kept.height);
  $("after").hidden = $("handle").hidden = $("compare").hidden = true;
  $("photo-drop").hidden = true;
  $("view").hidden = $("photo-actions").hidden = false;
  result = null;
}

function another() {
  turn += 1;
  stop();
  photo = result = null;
  sessionStorage.removeItem("photo");
  $("view").hidden = $("photo-actions").hidden = true;
  $("photo-drop").hidden = false;
  styleTools();
  status.textContent = "Choose a photo, then a style.";
  say(error, null);
  $("photo-pick").focus();
}

// Draft and fine picture.

/** Something was turned: a draft soon, then the fine picture. */
function change(wait = 90) {
  remember();
  const mine = turn += 1;
  if (photo && gallery.value.length) setTimeout(() => { if (mine === turn) paint(mine); }, wait);
}

function stop() {
  if (drafting) drafting.abort();
  if (fine) call(`jobs/${fine}/cancel`, { method: "POST" }).catch(() => {});
  drafting = fine = null;
  progress.hidden = $("photo-cancel").hidden = true;
}

async function paint(mine) {
  stop();
  await trying(error, async () => {
    if (controls.drafts) {
      status.textContent = "Painting a draft…";
      const began = performance.now();
      drafting = new AbortController();
      const answer = await draft(drafting.signal);
      if (mine !== turn) return;
      show(URL.createObjectURL(await answer.blob()));
      result = null;
      status.textContent = `A draft, ${seconds((performance.now() - began) / 1000)}.`;
      document.body.dataset.drafted = String(mine);
    }
    if (controls.value.quality === "draft" || mine !== turn) return;
    const job = await post("jobs/photo", asked({ size: FINE, format: "png" }));
    if (mine !== turn) { call(`jobs/${job.id}/cancel`, { method: "POST" }).catch(() => {}); return; }
    fine = job.id;
    noteJob(job);
    progress.hidden = $("photo-cancel").hidden = false;
    progress.removeAttribute("value");
    const done = await finished(job.id, (now) => {
      if (mine !== turn) return;
      if (now.total) progress.value = now.step / now.total;
      status.textContent = now.state === "queued" ? "The fine picture waits for its turn…" : `The fine picture: ${now.step} of ${now.total || "?"}${now.left ? `, ${seconds(now.left)} left` : ""}`;
      if (now.previews) show(`${API}jobs/${now.id}/preview?${now.previews}`);
    });
    if (mine !== turn) return;
    result = done;
    show(`${API}jobs/${done.id}/files/0`);
    status.textContent = `Finished, ${done.size[1]}x${done.size[0]} px, ${seconds(done.seconds)}.${done.note ? ` ${done.note}` : ""}`;
    document.body.dataset.finished = String(mine);
  });
  if (mine === turn) { fine = null; progress.hidden = $("photo-cancel").hidden = true; }
}

/** The draft; asked for again while the studio is busy. */
async function draft(signal) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await call("stylize", { method: "POST", json: asked({ quality: "draft", size: DRAFT, format: "jpg", preview: true }), signal });
    } catch (failure) {
      if (failure.status !== 503 || attempt > 4 || !failure.message.includes("busy")) throw failure;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

function show(address) {
  if (shown && shown.startsWith("blob:") && shown !== address) URL.revokeObjectURL(shown);
  shown = address;
  $("after").src = address;
  $("after").alt = `${photo.name} in the style of ${gallery.names().join(" and ")}`;
  $("after").hidden = false;
  const brushing = !$("brush").hidden;
  $("handle").hidden = $("compare").hidden = brushing;
  $("after").style.opacity = brushing ? "0" : "1";
}

$("compare").addEventListener("input", () => {
  $("after").style.setProperty("--cut", `${$("compare").value}%`);
  $("handle").style.setProperty("--cut", `${$("compare").value}%`);
});

// What can be done with it.

$("photo-cancel").addEventListener("click", () => { turn += 1; stop(); status.textContent = "Cancelled; what is shown stays."; });
$("photo-new").addEventListener("click", another);
$("photo-download").addEventListener("click", () => trying(error, async () => {
  if (!gallery.value.length) throw new Error("choose a style first");
  const format = $("photo-format").value;
  if (result && format === "png") { download(`${API}jobs/${result.id}/files/0?download=true`); return; }
  status.textContent = "Painting the file…";
  const quality = result ? {} : { quality: "draft" };
  const job = await post("jobs/photo", asked({ size: FINE, format, ...quality }));
  const done = await finished(job.id);
  download(`${API}jobs/${done.id}/files/0?download=true`);
  status.textContent = "The file is on its way to your downloads.";
}));
$("photo-large").addEventListener("click", () => trying(error, async () => {
  if (!gallery.value.length) throw new Error("choose a style first");
  const job = await post("jobs/photo", asked({ size: Number($("photo-size").value), format: $("photo-format").value }));
  noteJob(job);
  status.textContent = "It is painted as a job: see Jobs. This page can be closed meanwhile.";
}));
$("photo-command").addEventListener("click", (event) => trying(error, async () => {
  const { command } = await post("command", asked({ format: $("photo-format").value }));
  await copy(command, $("photo-copied"), event.target);
}));
$("photo-link").addEventListener("click", (event) => trying(error, () => copy(location.href, $("photo-copied"), event.target)));

// Settings in the address, so that a link shares them.

function remember() {
  const words = new URLSearchParams();
  for (const { style, weight } of gallery.value) if (!style.startsWith("picture:")) words.append("style", weight === 1 ? style : `${style}:${weight}`);
  for (const [name, value] of Object.entries(controls.value)) {
    if (name !== "options") words.set(name, value);
    else for (const [option, given] of Object.entries(value)) words.set(`o.${option}`, JSON.stringify(given));
  }
  history.replaceState(null, "", `#${words}`);
}

function recall() {
  const words = new URLSearchParams(location.hash.slice(1));
  const list = words.getAll("style").map((word) => {
    const [, style, weight] = /^(.*?)(?::([\d.]+))?$/.exec(word);
    return { style, weight: weight === undefined ? 1 : Number(weight) };
  });
  const value = {}, options = {};
  for (const [name, text] of words) {
    if (name === "style") continue;
    if (name.startsWith("o.")) { try { options[name.slice(2)] = JSON.parse(text); } catch { /* somebody changed the link */ } } else if (["strength", "stroke", "seed"].includes(name)) value[name] = Number(text);
    else if (text === "true") value[name] = true;
    else value[name] = text;
  }
  if (list.length) gallery.value = list;
  return controls.set({ ...value, options });
}

// Places and regions.

const mode = () => document.querySelector("input[name=mask]:checked").value;
let marking = 0;
const brushSize = () => Number($("brush-size").value);
const brushColor = () => (marking < 0 ? null : COLORS[marking]);
const photoBrush = new Brush($("brush"), { size: brushSize, color: brushColor, onPaint: () => say(error, null) });
let others = []; // brushes over the style pictures
let brushed = ""; // the mode and the styles that they are for

function palette() {
  const count = mode() === "shares" ? Math.max(1, gallery.value.length) : 12;
  const names = mode() === "shares" ? gallery.names() : COLORS.map((_, number) => `region ${number + 1}`);
  if (marking >= count) marking = 0;
  const swatch = (number, title, color) => {
    const button = h("button", { className: "swatch", role: "radio", "aria-checked": String(marking === number), "aria-label": title, title, onclick: () => { marking = number; palette(); } }, color ? "" : "⌫");
    if (color) button.style.background = color;
    return button;
  };
  $("palette").replaceChildren(...COLORS.slice(0, count).map((color, number) => swatch(number, names[number] || "the style", color)), swatch(-1, "nothing: take marks away", null));
}

/** What of the tools depends on the styles. Marks are kept while the styles are the same, whatever their weights. */
function styleTools() {
  $("region-find").disabled = $("mask-apply").disabled = !photo || !gallery.value.length;
  palette();
  const wanted = JSON.stringify([mode(), gallery.value.map(({ style }) => style)]);
  if (wanted !== brushed) styleBrushes();
  brushed = wanted;
}

function styleBrushes() {
  others = [];
  $("region-status").textContent = "";
  const box = $("style-brushes");
  box.replaceChildren();
  if (mode() !== "regions") return;
  for (const { style } of gallery.value) {
    const address = style.startsWith("picture:") ? `${API}pictures/${style.slice(8)}` : `${API}styles/${encodeURIComponent(style)}/painting`;
    const canvas = h("canvas", { "aria-label": `Places that are marked on ${gallery.title(style)}` });
    const picture = h("img", { src: address, alt: gallery.title(style) });
    const brush = new Brush(canvas, { size: brushSize, color: brushColor });
    brush.ready = picture.decode().then(
      () => brush.fit(picture.naturalWidth, picture.naturalHeight),
      () => say(error, new Error(`the painting of ${style} is not at hand: add it as a picture`)),
    );
    box.append(h("figure", {}, h("div", { className: "over" }, picture, canvas), h("figcaption", { className: "hint" }, gallery.title(style))));
    others.push(brush);
  }
}

function showMaskTools() {
  const wanted = mode();
  $("mask-tools").hidden = wanted === "none";
  $("region-tools").hidden = wanted !== "regions";
  $("brush").hidden = wanted === "none";
  const after = $("after");
  after.style.opacity = wanted === "none" ? "1" : "0";
  $("handle").hidden = $("compare").hidden = wanted !== "none" || after.hidden;
  styleTools();
}

for (const radio of document.querySelectorAll("input[name=mask]")) radio.addEventListener("change", () => {
  showMaskTools();
  if (mode() === "none" && Object.keys(masks).length) { masks = {}; change(0); }
});
$("mask-clear").addEventListener("click", () => { photoBrush.clear(); for (const brush of others) brush.clear(); });
$("region-find").addEventListener("click", () => trying(error, async () => {
  const asking = [photo, others];
  const tell = $("region-status");
  tell.textContent = "Looking for regions…";
  try {
    const job = await post("regions", { photo: photo.id, styles: gallery.value, count: Number($("region-count").value) });
    const done = await finished(job.id);
    await Promise.all(others.map((brush) => brush.ready));
    if (asking[0] !== photo || asking[1] !== others) { tell.textContent = ""; return; } // another photo or style was chosen meanwhile
    await Promise.all([photoBrush, ...others].map((brush, number) => brush.load(`${API}jobs/${done.id}/files/${number}`)));
    tell.textContent = "Regions are found: the same colour meets the same colour. Correct them with the brush, then paint.";
  } catch (failure) {
    tell.textContent = "";
    throw failure;
  }
}));
$("mask-apply").addEventListener("click", () => trying(error, async () => {
  if (photoBrush.empty) throw new Error("nothing is marked on the photo yet");
  const keep = async (blob, name) => (await send("pictures", await blob, name)).id;
  if (mode() === "shares") {
    masks = { masks: await Promise.all(gallery.value.map((_, number) => keep(photoBrush.share(number), `where-${number + 1}.png`))) };
  } else {
    masks = { masks: [await keep(photoBrush.labelMap(), "regions.png")], style_masks: await Promise.all(others.map((brush, number) => keep(brush.labelMap(), `regions-${number + 1}.png`))) };
  }
  $("brush").hidden = true;
  $("after").style.opacity = "1";
  change(0);
}));

// Where photos come from.

$("photo-pick").addEventListener("click", () => $("photo-file").click());
$("photo-file").addEventListener("change", () => take($("photo-file").files[0]));
dropped($("photo-drop"), take);
dropped($("view"), take);
document.addEventListener("paste", (event) => {
  const file = [...(event.clipboardData?.files || [])].find((one) => one.type.startsWith("image/"));
  if (file && !$("photo").hidden) take(file, file.name || "pasted.png");
});

let camera = null;
function closeCamera() {
  for (const track of camera?.getTracks() || []) track.stop();
  camera = null;
  $("camera").hidden = true;
  $("photo-drop").hidden = Boolean(photo);
}
$("photo-camera").addEventListener("click", () => trying(error, async () => {
  if (!navigator.mediaDevices) throw new Error("the browser gives the camera to pages of this machine alone");
  try { camera = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1920 } } }); } catch { throw new Error("there is no camera, or it was not allowed"); }
  $("camera-view").srcObject = camera;
  $("camera").hidden = false;
  $("photo-drop").hidden = true;
}));
$("camera-close").addEventListener("click", closeCamera);
$("camera-take").addEventListener("click", () => {
  const video = $("camera-view");
  const canvas = h("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => { closeCamera(); take(blob, "camera.png"); }, "image/png");
});

export async function begin() {
  await recall();
  const known = sessionStorage.getItem("photo");
  if (known && !photo) {
    const kept = JSON.parse(known);
    try { await call(`pictures/${kept.id}`); setPhoto(kept); change(0); } catch { sessionStorage.removeItem("photo"); }
  }
}

/** The style was learned just now: show it. */
export const refreshStyles = () => gallery.show();
