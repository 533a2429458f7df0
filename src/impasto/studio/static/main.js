// The page: its tabs, dark and light, and whether the studio is there.

import { $, listen, onBack, onJob } from "./api.js";
import * as film from "./film.js";
import { styles } from "./gallery.js";
import { countJobs, showJobs } from "./jobs.js";
import * as learn from "./learn.js";
import * as photo from "./photo.js";

const tabs = [...document.querySelectorAll("[role=tab]")];

function choose(tab, focus = false) {
  for (const other of tabs) {
    const chosen = other === tab;
    other.setAttribute("aria-selected", String(chosen));
    other.tabIndex = chosen ? 0 : -1;
    $(other.getAttribute("aria-controls")).hidden = !chosen;
  }
  sessionStorage.setItem("tab", tab.id);
  if (focus) tab.focus();
}

for (const [number, tab] of tabs.entries()) {
  tab.addEventListener("click", () => choose(tab));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) choose(tabs[(number + step + tabs.length) % tabs.length], true);
    if (event.key === "Home") choose(tabs[0], true);
    if (event.key === "End") choose(tabs[tabs.length - 1], true);
  });
}

const stored = localStorage.getItem("theme");
if (stored) document.documentElement.dataset.theme = stored;
$("theme").addEventListener("click", () => {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark" || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", document.documentElement.dataset.theme);
});

for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => event.preventDefault()); // a file beside the mark opens nothing

async function refreshStyles() {
  await styles(true);
  photo.refreshStyles();
  film.refreshStyles();
}

const seen = new Map();
onJob((job, id) => {
  const before = seen.get(id);
  seen.set(id, job?.state);
  if (job && job.kind === "learn" && job.state === "done" && before && before !== "done") { learn.showLibrary(true).then(refreshStyles); }
});

showJobs($("all-jobs"));
showJobs($("film-jobs"), (job) => job.kind === "film");
showJobs($("learn-jobs"), (job) => job.kind === "learn");
countJobs();

let begun = false;
onBack(() => {
  if (begun) return;
  begun = true;
  Promise.all([photo.begin(), film.begin(), learn.begin(refreshStyles)]).then(() => { document.body.dataset.ready = "yes"; });
});
choose($(sessionStorage.getItem("tab")) || tabs[0]);
listen();
