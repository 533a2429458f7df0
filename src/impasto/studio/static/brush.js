// A brush over a picture: labels by colour, that masks are made of.

export const COLORS = ["#e62938", "#2973e6", "#f2bf1a", "#26b359", "#a640cc", "#1abfcc", "#f28026", "#e673b3", "#805933", "#99cc33", "#4d4d59", "#cccccc"];
const NONE = null;

const rgb = (color) => [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));

export class Brush {
  /** canvas: over the picture. size, color: functions that say how wide the brush is, in pixels of the page, and what it marks; null takes away. */
  constructor(canvas, { size, color, onPaint = () => {} }) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    let last = null;
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      const scale = canvas.width / box.width;
      return { x: (event.clientX - box.left) * scale, y: (event.clientY - box.top) * scale, width: size() * scale };
    };
    const stroke = (event) => {
      const here = at(event);
      const from = last || here;
      const marked = color();
      this.context.globalCompositeOperation = marked === NONE ? "destination-out" : "source-over";
      this.context.strokeStyle = this.context.fillStyle = marked || "#000";
      this.context.lineWidth = here.width;
      this.context.lineCap = "round";
      this.context.beginPath();
      this.context.moveTo(from.x, from.y);
      this.context.lineTo(here.x + 0.01, here.y);
      this.context.stroke();
      last = here;
    };
    canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); last = null; stroke(event); event.preventDefault(); });
    canvas.addEventListener("pointermove", (event) => { if (last) stroke(event); });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { if (last) onPaint(); last = null; });
  }

  /** Begin anew, for a picture of this size. */
  fit(width, height) {
    const scale = Math.min(1, 640 / Math.max(width, height));
    this.canvas.width = Math.max(1, Math.round(width * scale));
    this.canvas.height = Math.max(1, Math.round(height * scale));
  }

  clear() { this.context.clearRect(0, 0, this.canvas.width, this.canvas.height); }

  /** Take a label map in, as it was found. */
  async load(address) {
    const picture = new Image();
    picture.src = address;
    await picture.decode();
    this.fit(picture.naturalWidth, picture.naturalHeight);
    this.context.imageSmoothingEnabled = false;
    this.context.globalCompositeOperation = "source-over";
    this.context.drawImage(picture, 0, 0, this.canvas.width, this.canvas.height);
  }

  /** The number of the color that each pixel is nearest to, -1 where nothing is marked. */
  labels() {
    const { data } = this.context.getImageData(0, 0, this.canvas.width, this.canvas.height);
    const known = COLORS.map(rgb);
    const found = new Int8Array(data.length / 4);
    for (let pixel = 0; pixel < found.length; pixel += 1) {
      const at = pixel * 4;
      let best = -1, least = 3 * 96 * 96;
      if (data[at + 3] > 127) {
        known.forEach((color, number) => {
          const distance = (data[at] - color[0]) ** 2 + (data[at + 1] - color[1]) ** 2 + (data[at + 2] - color[2]) ** 2;
          if (distance < least) { least = distance; best = number; }
        });
      }
      found[pixel] = best;
    }
    return found;
  }

  get empty() { return !this.labels().some((label) => label >= 0); }

  /** A PNG file of the marks: `color(label)` gives [red, green, blue] of each. */
  file(color) {
    const labels = this.labels();
    const canvas = document.createElement("canvas");
    canvas.width = this.canvas.width;
    canvas.height = this.canvas.height;
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    labels.forEach((label, pixel) => { image.data.set([...color(label), 255], pixel * 4); });
    context.putImageData(image, 0, 0);
    return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  }

  /** The marks as a label map: each in its colour, black where there are none. */
  labelMap() { return this.file((label) => (label < 0 ? [0, 0, 0] : rgb(COLORS[label]))); }

  /** White where one label is, black elsewhere. */
  share(wanted) { return this.file((label) => (label === wanted ? [255, 255, 255] : [0, 0, 0])); }
}
