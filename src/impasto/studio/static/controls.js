// What can be turned: what all methods share, and under "more" the settings of the chosen method, made from what it declares.

import { get, h } from "./api.js";

const SHARED = [
  { name: "strength", label: "Strength", kind: "number", low: 0, high: 1, step: 0.05, default: 1, help: "0 is the photo, 1 the full style." },
  { name: "stroke", label: "Stroke", kind: "number", low: 0.25, high: 4, step: 0.05, default: 1, logarithmic: true, help: "Larger: larger strokes." },
  { name: "keep_color", label: "Colours", kind: "choice", choices: [["", "of the painting"], ["luma", "of the photo"], ["coral", "of the photo, matched"]], default: "" },
];
const METADATA = { name: "keep_metadata", label: "Keep the photo's metadata", kind: "switch", default: false };
const QUALITY = { name: "quality", label: "Quality", kind: "choice", choices: [["auto", "fine"], ["best", "best, slow"], ["draft", "draft only"]], default: "auto" };
const FILM = [
  { name: "size", label: "Size", kind: "choice", choices: [["", "512 px, usual"], ["320", "320 px, quick"], ["768", "768 px"], ["1024", "1024 px"], ["0", "its own"]], default: "" },
  { name: "stabilize", label: "Steady", kind: "choice", choices: [["auto", "as the style can"], ["student", "by its network"], ["flow", "by optical flow"], ["none", "each frame for itself"]], default: "auto" },
];

export class Controls {
  constructor(root, { film = false, onChange }) {
    this.onChange = onChange;
    this.film = film;
    this.values = {};
    this.options = {};
    this.fields = new Map();
    this.shared = film ? [...SHARED, ...FILM] : [...SHARED, QUALITY, METADATA];
    this.body = h("div", {}, h("h2", {}, "Settings"), ...this.shared.map((item) => this.field(item, this.values)));
    this.more = h("div");
    this.method = h("select", { onchange: () => { this.options = {}; this.showMethod(); this.onChange(); } });
    root.append(this.body, h("details", {}, h("summary", {}, "More"),
      h("label", {}, "Method ", this.method), h("label", {}, "Seed ", this.seed = h("input", { type: "number", min: 0, value: 0, onchange: () => this.onChange() })), this.more));
    this.ready = get("methods").then((methods) => {
      this.methods = methods;
      this.method.append(h("option", { value: "auto" }, "auto"), ...methods.map((method) => h("option", { value: method.name, title: method.title }, method.name)));
      this.showMethod();
    });
  }

  /** One setting as a field of the page, which keeps its value in `values` where it is not the usual one. */
  field(item, values) {
    const id = `setting-${this.film ? "film" : "photo"}-${item.name}`;
    const usual = item.default ?? null;
    const keep = (value) => {
      if (value === usual || value === "" || value === null) delete values[item.name];
      else values[item.name] = value;
      this.onChange();
    };
    const help = item.help ? h("span", { className: "hint", id: `${id}-help` }, item.help) : null;
    const described = help ? { "aria-describedby": `${id}-help` } : {};
    let input, shown = null, show;
    if (item.kind === "switch" || (item.flag !== null && item.flag !== undefined)) {
      const on = item.kind === "switch" ? true : item.flag;
      input = h("input", { type: "checkbox", id, ...described, onchange: () => keep(input.checked ? on : item.kind === "switch" ? false : usual) });
      show = (value) => { input.checked = item.kind === "switch" ? Boolean(value) : value === on; };
      show(usual);
      this.fields.set(item.name, { show, item });
      return h("label", { className: "check" }, input, ` ${item.label} `, help);
    }
    if (item.kind === "choice") {
      const choices = item.choices.map((choice) => (Array.isArray(choice) ? choice : [choice, choice]));
      input = h("select", { id, ...described, onchange: () => keep(input.value) }, ...choices.map(([value, title]) => h("option", { value }, title)));
      show = (value) => { input.value = value ?? ""; };
    } else if (item.kind === "numbers") {
      input = h("input", { id, ...described, onchange: () => keep(input.value.trim() ? input.value.split(",").map(Number) : null) });
      show = (value) => { input.value = (value || []).join(","); };
    } else if (item.low !== null && item.high !== null && item.high !== undefined) {
      const out = (value) => (item.logarithmic ? Math.log2(value) : value);
      const back = (value) => (item.logarithmic ? Math.round(2 ** value * 100) / 100 : value);
      shown = h("span", { className: "value" });
      const step = item.kind === "integer" ? 1 : item.step || (item.high - item.low) / 40;
      input = h("input", {
        type: "range", id, min: out(item.low), max: out(item.high), step, ...described,
        oninput: () => { shown.textContent = back(Number(input.value)); keep(back(Number(input.value))); },
      });
      show = (value) => { input.value = out(value ?? usual ?? item.low); shown.textContent = value ?? usual ?? "usual"; };
    } else {
      input = h("input", { type: "number", id, step: item.kind === "integer" ? 1 : "any", placeholder: usual === null ? "usual" : usual, ...described,
        onchange: () => keep(input.value === "" ? null : Number(input.value)) });
      if (item.low !== null && item.low !== undefined) input.min = item.low;
      show = (value) => { input.value = value ?? ""; };
    }
    show(usual);
    this.fields.set(item.name, { show, item });
    return h("label", { htmlFor: id }, item.label, shown, " ", input, help);
  }

  showMethod() {
    const method = (this.methods || []).find((one) => one.name === this.method.value);
    this.more.replaceChildren(...(method ? [h("p", { className: "hint" }, `${method.title} (${method.paper})`), ...method.options.map((item) => this.field(item, this.options))] : []));
    for (const [name, value] of Object.entries(this.options)) this.fields.get(name)?.show(value);
  }

  /** Whether the method has drafts. */
  get drafts() {
    const method = (this.methods || []).find((one) => one.name === this.method.value);
    return !method || method.draft;
  }

  /** The settings as the API takes them. */
  get value() {
    const value = { ...this.values };
    if (value.size !== undefined) value.size = Number(value.size);
    if (this.method.value && this.method.value !== "auto") value.method = this.method.value;
    if (Number(this.seed.value)) value.seed = Number(this.seed.value);
    if (Object.keys(this.options).length) value.options = { ...this.options };
    return value;
  }

  async set(value) {
    await this.ready;
    const { method = "auto", seed = 0, options = {}, ...values } = value;
    this.method.value = method;
    this.seed.value = seed;
    for (const name of Object.keys(this.values)) delete this.values[name];
    Object.assign(this.values, values);
    for (const item of this.shared) this.fields.get(item.name).show(values[item.name] ?? item.default);
    this.options = { ...options };
    this.showMethod();
  }
}
