// The styles to choose from: one, or several with weights.

import { API, call, dropped, get, h, send, trying } from "./api.js";

let known = null;
/** All styles; `fresh` asks again. */
export async function styles(fresh = false) {
  if (!known || fresh) known = get("styles");
  return known;
}

export class Gallery {
  /** root: where it is shown. wanted: which styles are offered. onChange: is told when others are chosen. */
  constructor(root, { wanted, onChange }) {
    this.wanted = wanted;
    this.onChange = onChange;
    this.chosen = new Map();
    this.own = [];
    this.error = h("p", { className: "error", role: "alert", hidden: true });
    this.tiles = h("div", { className: "tiles", role: "group", "aria-label": "Styles" });
    this.weights = h("div", { className: "weights" });
    this.mixing = h("input", { type: "checkbox", onchange: () => this.toggle(null) });
    this.file = h("input", { type: "file", accept: "image/*", hidden: true, "aria-label": "Painting", onchange: () => this.add(this.file.files[0]) });
    root.append(
      h("h2", {}, "Style"), this.tiles, this.file,
      h("label", { className: "check" }, this.mixing, " mix several"), this.weights, this.error,
    );
    dropped(root, (file) => this.add(file));
    this.show();
  }

  /** [{style, weight}] as the API takes them. */
  get value() { return [...this.chosen].map(([style, weight]) => ({ style, weight })); }

  set value(list) {
    this.chosen = new Map(list.map(({ style, weight }) => [style, weight]));
    this.mixing.checked = list.length > 1;
    this.show();
  }

  names() { return [...this.chosen.keys()].map((style) => this.title(style)); }

  title(style) {
    const own = this.own.find((kept) => `picture:${kept.id}` === style);
    return own ? own.name : style;
  }

  async add(file) {
    if (!file) return;
    await trying(this.error, async () => {
      const kept = await send("pictures", file);
      this.own.unshift(kept);
      this.toggle(`picture:${kept.id}`);
    });
    this.file.value = "";
  }

  toggle(style) {
    if (style !== null) {
      if (!this.mixing.checked) this.chosen = new Map([[style, 1]]);
      else if (this.chosen.has(style) && this.chosen.size > 1) this.chosen.delete(style);
      else this.chosen.set(style, 1);
    } else if (!this.mixing.checked && this.chosen.size > 1) this.chosen = new Map([[...this.chosen][0]]);
    this.show();
    this.onChange();
  }

  async show() {
    const tile = (style, title, picture, live = false) =>
      h("button", { className: "tile", title, "aria-pressed": String(this.chosen.has(style)), onclick: () => this.toggle(style) },
        h("img", { src: picture, alt: "", loading: "lazy" }), h("span", {}, live ? h("b", {}, "live ") : null, title.replace(", for live films", "")));
    const list = (await styles()).filter(this.wanted);
    const focused = document.activeElement && this.tiles.contains(document.activeElement) ? document.activeElement.title : null;
    this.tiles.replaceChildren(
      h("button", { className: "tile", title: "Add a painting of yours", onclick: () => this.file.click() },
        h("span", { className: "plus", "aria-hidden": "true" }, "+"), h("span", {}, "Your painting")),
      ...this.own.map((kept) => tile(`picture:${kept.id}`, kept.name, `${API}pictures/${kept.id}`)),
      ...list.map((style) => tile(style.name, style.title, `${API}styles/${encodeURIComponent(style.name)}/picture`, style.live)),
    );
    if (focused) [...this.tiles.children].find((child) => child.title === focused)?.focus();
    this.weights.replaceChildren(...(this.chosen.size < 2 ? [] : [...this.chosen].map(([style, weight]) => {
      const shown = h("span", { className: "value" }, weight.toFixed(2));
      return h("label", {}, this.title(style), shown, h("input", {
        type: "range", min: 0, max: 1, step: 0.05, value: weight,
        oninput: (event) => { this.chosen.set(style, Number(event.target.value)); shown.textContent = Number(event.target.value).toFixed(2); this.onChange(); },
      }));
    })));
  }
}

export const removeStyle = (name) => call(`styles/${encodeURIComponent(name)}`, { method: "DELETE" });
