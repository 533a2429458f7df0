// Learning a painting, and the library of what was learned.

import { $, API, call, dropped, h, noteJob, post, send, trying } from "./api.js";
import { removeStyle, styles } from "./gallery.js";

const error = $("learn-error");
let painting = null;
let changed = () => {};

async function take(file) {
  if (!file) return;
  await trying(error, async () => {
    painting = await send("pictures", file);
    $("learn-view").src = `${API}pictures/${painting.id}`;
    $("learn-view").hidden = false;
    if (!$("learn-name").value) $("learn-name").value = painting.name.replace(/\.[^.]+$/, "");
  });
  $("learn-file").value = "";
}

$("learn-pick").addEventListener("click", () => $("learn-file").click());
$("learn-file").addEventListener("change", () => take($("learn-file").files[0]));
dropped($("learn-drop"), take);
$("learn-form").addEventListener("submit", (event) => {
  event.preventDefault();
  trying(error, async () => {
    if (!painting) throw new Error("drop a painting first");
    const purpose = new FormData($("learn-form")).get("purpose");
    const steps = Number($("learn-steps").value) || null;
    noteJob(await post("jobs/learn", { painting: painting.id, name: $("learn-name").value.trim(), purpose, steps }));
  });
});

/** The styles of the user, with what can be done with them. */
export async function showLibrary(fresh = false) {
  const own = (await styles(fresh)).filter((style) => style.own);
  const again = () => showLibrary(true).then(changed);
  $("library").replaceChildren(...own.map((style) => {
    const address = `${API}styles/${encodeURIComponent(style.name)}`;
    const name = h("input", { value: style.name, maxLength: 100, "aria-label": `New name of ${style.name}` });
    const renaming = h("form", { className: "row", hidden: true, onsubmit: (event) => {
      event.preventDefault();
      trying(error, async () => { await call(`styles/${encodeURIComponent(style.name)}`, { method: "PATCH", json: { name: name.value.trim() } }); await again(); });
    } }, name, h("button", {}, "Rename"));
    return h("li", {}, h("img", { src: `${address}/picture`, alt: "" }), h("div", {},
      h("strong", {}, style.name), h("span", { className: "hint" }, style.live ? "for live films" : style.films ? "for photos and films" : "for photos"),
      h("div", { className: "row" },
        h("button", { "aria-label": `Rename ${style.name}`, onclick: () => { renaming.hidden = !renaming.hidden; name.focus(); } }, "Rename"),
        h("a", { className: "button", href: `${address}/file`, download: "", "aria-label": `Download ${style.name}` }, "Download"),
        h("button", { "aria-label": `Delete ${style.name}`, onclick: () => { if (confirm(`Delete the style ${style.name}?`)) trying(error, async () => { await removeStyle(style.name); await again(); }); } }, "Delete")),
      renaming));
  }));
  if (!own.length) $("library").append(h("li", { className: "hint" }, "What you learn is kept here, and is a style of the command line too."));
}

export function begin(onChange) { changed = onChange; return showLibrary(); }
