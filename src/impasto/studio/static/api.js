// Calls of the studio's HTTP API, and what every part of the page needs: elements, errors as sentences, events of jobs.

/** Where the API is: beside this page, whatever path a proxy serves both under. */
export const API = new URL("../api/", import.meta.url).href;

export class Failure extends Error {}

/** An element with properties and children; text is always text, never markup. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && !name.includes("-")) element[name] = value;
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

export const $ = (id) => document.getElementById(id);

/** The answer of the studio. Raises Failure with the studio's sentence. */
export async function call(path, { method = "GET", json, body, signal } = {}) {
  let answer;
  try {
    answer = await fetch(`${API}${path}`, {
      method, signal, credentials: "same-origin",
      body: json === undefined ? body : JSON.stringify(json),
      headers: json === undefined ? {} : { "content-type": "application/json" },
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    noticeGone();
    throw new Failure("the studio does not answer; it may have been closed");
  }
  if (answer.ok) return answer;
  if (answer.status === 401) location.reload();
  let sentence = `the studio answered ${answer.status}`;
  try { sentence = (await answer.json()).error || sentence; } catch { /* no sentence came along */ }
  throw Object.assign(new Failure(sentence), { status: answer.status });
}

export const get = async (path) => (await call(path)).json();
export const post = async (path, json, options = {}) => (await call(path, { method: "POST", json, ...options })).json();

/** Send a file to the shelf: `pictures` or `films`. */
export const send = async (where, file, name) =>
  (await call(`${where}?name=${encodeURIComponent(name || file.name || "picture.png")}`, { method: "POST", body: file })).json();

/** Show a sentence in an element for errors, or nothing. Stopped calls are no errors. */
export function say(element, error) {
  if (error && error.name === "AbortError") return;
  const text = error ? error.message || String(error) : "";
  const named = /^\S+\.\w+\b/.test(text); // a file's name stays as it is
  element.textContent = text ? (named ? text[0] : text[0].toUpperCase()) + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".") : "";
  element.hidden = !text;
}

/** Run something, and show what went wrong in an element. */
export async function trying(element, work) {
  say(element, null);
  try { return await work(); } catch (error) { say(element, error); return undefined; }
}

const listeners = new Set();
const jobs = new Map();

/** Be told of every job: as it stands, and whenever it changes; `null` with its id when it is gone. */
export function onJob(listener) { listeners.add(listener); for (const job of jobs.values()) listener(job, job.id); }

export const knownJobs = () => [...jobs.values()].sort((one, other) => other.created - one.created);

/** Note how a job stands, from an answer or an event. */
export function noteJob(job) {
  jobs.set(job.id, job);
  for (const listener of listeners) listener(job, job.id);
}

export const ended = (job) => ["done", "failed", "cancelled"].includes(job.state);

/** A promise of a job's end; `onChange` is told on the way. Raises Failure if it failed. */
export function finished(key, onChange = () => {}) {
  return new Promise((resolve, reject) => {
    const listen = (job, id) => {
      if (id !== key) return;
      if (job) onChange(job);
      if (job && !ended(job)) return;
      listeners.delete(listen);
      if (job && job.state === "done") resolve(job);
      else if (job && job.state === "failed") reject(new Failure(job.error));
      else reject(Object.assign(new Failure("it was cancelled"), { name: "AbortError" }));
    };
    onJob(listen);
  });
}

export function listen() {
  const events = new EventSource(`${API}events`);
  events.addEventListener("job", (event) => noteJob(JSON.parse(event.data)));
  events.addEventListener("removed", (event) => {
    const { id } = JSON.parse(event.data);
    jobs.delete(id);
    for (const listener of listeners) listener(null, id);
  });
  events.onopen = () => { $("offline").hidden = true; for (const back of backs) back(); };
  events.onerror = () => { noticeGone(); if (events.readyState === EventSource.CLOSED) setTimeout(listen, 2000); };
}

const backs = new Set();
/** Be told when the studio answers, at first and after it was gone. */
export const onBack = (listener) => backs.add(listener);

function noticeGone() { $("offline").hidden = false; }

/** Let the user have a text: in the clipboard, and on the page where that is not allowed. */
export async function copy(text, place, button) {
  place.hidden = false;
  place.querySelector("code").textContent = text;
  const before = button.textContent;
  try { await navigator.clipboard.writeText(text); button.textContent = "Copied"; } catch { button.textContent = "Copy it below"; }
  setTimeout(() => { button.textContent = before; }, 1500);
}

/** Let the browser keep a file. */
export function download(address, name) {
  const link = h("a", { href: address, download: name || "" });
  document.body.append(link);
  link.click();
  link.remove();
}

/** A place that takes dropped files. */
export function dropped(element, take) {
  for (const name of ["dragover", "dragenter"]) element.addEventListener(name, (event) => { event.preventDefault(); element.classList.add("over"); });
  element.addEventListener("dragleave", () => element.classList.remove("over"));
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    element.classList.remove("over");
    if (event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
  });
}

export const seconds = (value) => (value < 90 ? `${Math.round(value)} s` : value < 5400 ? `${Math.round(value / 60)} min` : `${(value / 3600).toFixed(1)} h`);
