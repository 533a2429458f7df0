// Jobs, as cards: what they do, how far they are, and what can be done with them.

import { $, API, call, download, ended, h, knownJobs, noteJob, onJob, say, seconds } from "./api.js";

const KINDS = { photo: "Picture", film: "Film", learn: "Learning" };
const STATES = { queued: "waits for its turn", running: "at work", paused: "paused", done: "finished", failed: "failed", cancelled: "cancelled" };
const cards = new Map(); // places -> id -> card

const listed = (job) => job.kind in KINDS && (job.kind !== "photo" || job.lane === "long");

function describe(job) {
  const parts = [STATES[job.state]];
  if (job.state === "running" && job.total) parts.push(`${job.step} of ${job.total}`);
  if (job.left) parts.push(`${seconds(job.left)} left`);
  if (job.state === "done") parts.push(seconds(job.seconds));
  return parts.join(", ");
}

class Card {
  constructor(place) {
    this.picture = h("img", { alt: "", hidden: true });
    this.title = h("h3");
    this.state = h("p", { className: "status" });
    this.note = h("p", { className: "hint" });
    this.error = h("p", { className: "error", hidden: true });
    this.progress = h("progress", { max: 1, value: 0, "aria-label": "Progress" });
    this.curve = h("div");
    this.actions = h("div", { className: "row" });
    this.root = h("article", { className: "job bare" }, this.picture, h("div", {}, this.title, this.state, this.progress, this.curve, this.note, this.error, this.actions));
    this.has = "";
    place.prepend(this.root);
  }

  show(job) {
    const name = `${KINDS[job.kind]}: ${job.title}`;
    this.title.textContent = name;
    this.state.textContent = describe(job);
    this.progress.hidden = job.state !== "running";
    if (job.total) this.progress.value = job.step / job.total; else this.progress.removeAttribute("value");
    say(this.error, job.error);
    this.note.textContent = [job.state === "done" && job.kind === "film" ? `It is ${job.files[0]}${job.sent ? "" : ", beside the film"}.` : "", job.note].filter(Boolean).join(" ");
    const picture = job.state === "done" && job.kind === "photo" && !/tif$/.test(job.files[0]) ? `${API}jobs/${job.id}/files/0` : job.previews ? `${API}jobs/${job.id}/preview?${job.previews}` : "";
    if (picture && this.picture.getAttribute("src") !== picture) this.picture.src = picture;
    this.picture.hidden = !picture;
    this.root.classList.toggle("bare", !picture);
    this.drawCurve(job.curve);
    const wanted = `${job.state} ${job.files.length}`;
    if (this.has === wanted) return;
    this.has = wanted;
    const act = (title, path, method = "POST") => h("button", { "aria-label": `${title}: ${name}`, onclick: async () => {
      try {
        const answer = await call(`jobs/${job.id}${path}`, { method });
        if (answer.status !== 204) noteJob(await answer.json());
      } catch (error) { say(this.error, error); }
    } }, title);
    this.actions.replaceChildren(...[
      job.state === "running" && job.kind !== "photo" ? act("Pause", "/pause") : null,
      ["paused", "failed", "cancelled"].includes(job.state) ? act("Resume", "/resume") : null,
      ended(job) ? null : act("Cancel", "/cancel"),
      job.state === "done" && job.kind !== "learn" ? h("button", { "aria-label": `Download: ${name}`, onclick: () => download(`${API}jobs/${job.id}/files/0?download=true`) }, "Download") : null,
      ended(job) || job.state === "paused" ? act("Remove", "", "DELETE") : null,
    ].filter(Boolean));
  }

  drawCurve(points) {
    if (points.length < 3) { this.curve.replaceChildren(); return; }
    const last = points[points.length - 1][0], values = points.map(([, loss]) => loss);
    const low = Math.min(...values), high = Math.max(...values);
    const line = points.map(([step, loss]) => `${(step / last) * 100},${40 - ((loss - low) / (high - low || 1)) * 38}`).join(" ");
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 100 42");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `The loss, from ${values[0]} to ${values[values.length - 1]}`);
    const drawn = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
    drawn.setAttribute("points", line);
    svg.append(drawn);
    this.curve.replaceChildren(svg);
  }
}

/** Show the jobs that are wanted in a place. */
export function showJobs(place, wanted = () => true) {
  const own = new Map();
  cards.set(place, own);
  onJob((job, id) => {
    if (!job || !listed(job) || !wanted(job)) { own.get(id)?.root.remove(); own.delete(id); return; }
    if (!own.has(id)) own.set(id, new Card(place));
    own.get(id).show(job);
  });
}

export function countJobs() {
  onJob(() => {
    const all = knownJobs().filter(listed);
    const active = all.filter((job) => !ended(job)).length;
    $("job-count").hidden = !active;
    $("job-count").textContent = active;
    $("jobs-none").hidden = all.length > 0;
  });
}
