// Films: picked from an opened folder, or sent; three frames first, then a job.

import { $, API, copy, finished, get, h, noteJob, post, send, trying } from "./api.js";
import { Controls } from "./controls.js";
import { Gallery } from "./gallery.js";

const error = $("film-error");
let film = null; // {folder, path} or {film}, as the API takes it, and its name

const gallery = new Gallery($("film-gallery"), { wanted: () => true, onChange: () => buttons() });
const controls = new Controls($("film-controls"), { film: true, onChange: () => {} });

const asked = () => { const { name, ...source } = film; return { ...source, styles: gallery.value, ...controls.value }; };

function buttons() {
  const ready = Boolean(film && gallery.value.length);
  for (const id of ["film-preview", "film-paint", "film-command"]) $(id).disabled = !ready;
  $("film-chosen").textContent = film ? `${film.name}${gallery.value.length ? ` in the style of ${gallery.names().join(" and ")}` : ": now choose a style"}.` : "No film is chosen.";
}

async function open(path = "") {
  const folder = Number($("film-folder").value);
  await trying(error, async () => {
    const entries = await get(`folders/${folder}?path=${encodeURIComponent(path)}`);
    const parts = path ? path.split("/") : [];
    $("film-path").replaceChildren(...[$("film-folder").selectedOptions[0].textContent, ...parts].map((name, level) =>
      h("button", { className: "quiet", onclick: () => open(parts.slice(0, level).join("/")) }, `${name} /`)));
    $("film-list").replaceChildren(...entries.map((entry) => h("li", {}, h("button", {
      "aria-pressed": entry.folder ? null : String(film?.path === entry.path && film.folder === folder),
      onclick: (event) => {
        if (entry.folder) { open(entry.path); return; }
        film = { folder, path: entry.path, name: entry.name };
        for (const button of $("film-list").querySelectorAll("button[aria-pressed]")) button.setAttribute("aria-pressed", "false");
        event.currentTarget.setAttribute("aria-pressed", "true");
        buttons();
      },
    }, h("span", {}, entry.folder ? `${entry.name}/` : entry.name), h("span", { className: "hint" }, entry.folder ? "folder" : `${entry.megabytes || "less than 0.1"} MB`)))));
    if (!entries.length) $("film-list").append(h("li", { className: "hint" }, "There are no films in this folder."));
  });
}

$("film-folder").addEventListener("change", () => open());
$("film-file").addEventListener("change", () => trying(error, async () => {
  const file = $("film-file").files[0];
  if (!file) return;
  $("film-chosen").textContent = `${file.name} is sent…`;
  try {
    const kept = await send("films", file);
    film = { film: kept.id, name: kept.name };
  } finally { $("film-file").value = ""; buttons(); }
}));
$("film-preview").addEventListener("click", () => trying(error, async () => {
  $("film-frames").replaceChildren(h("p", { className: "status" }, "Three frames are painted…"));
  try {
    const job = await post("jobs/frames", asked());
    noteJob(job);
    const done = await finished(job.id);
    $("film-frames").replaceChildren(...done.files.map((_, number) => number).filter((number) => number % 2).map((number) =>
      h("img", { src: `${API}jobs/${done.id}/files/${number}`, alt: `Frame ${(number + 1) / 2} as it will be painted` })));
  } catch (failure) { $("film-frames").replaceChildren(); throw failure; }
}));
$("film-paint").addEventListener("click", () => trying(error, async () => noteJob(await post("jobs/film", asked()))));
$("film-command").addEventListener("click", (event) => trying(error, async () => {
  const { command } = await post("command", asked());
  await copy(command, $("film-copied"), event.target);
}));

export async function begin() {
  const names = await get("folders");
  $("film-folder").replaceChildren(...names.map((name, number) => h("option", { value: number }, name)));
  await open();
  buttons();
}

export const refreshStyles = () => gallery.show();
