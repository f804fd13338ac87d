/** Numbers in words, and small charts of how they were lately. */

const SVG = "http://www.w3.org/2000/svg";
const SAMPLES = 120;
const WIDTH = 120;
const HEIGHT = 32;

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fraction = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export const count = (value) => whole.format(value);
export const rate = (value) => `${value < 100 ? fraction.format(value) : whole.format(value)}/s`;

export function bytes(value) {
  const power = Math.min(Math.floor(Math.log2(Math.max(value, 1)) / 10), UNITS.length - 1);
  return `${fraction.format(value / 1024 ** power)} ${UNITS[power]}`;
}

/** How a field of a node, or of all, is written. */
export const WRITTEN = { members: count, rooms: count, room: count, published: rate, delivered: rate, queued_bytes: bytes };

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** A number that is the newest of the last two minutes, which a line shows. */
export class Chart {
  #write;
  #samples = [];
  #value = document.createElement("p");
  #peak = document.createElement("p");
  #svg = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  #area = element("path", { class: "area" });
  #line = element("path", { class: "line" });
  #name;

  constructor(place, name, write, { withValue = true } = {}) {
    this.#name = name;
    this.#write = write;
    this.#value.className = "value";
    this.#peak.className = "peak";
    this.#svg.classList.add("chart");
    this.#svg.append(this.#area, this.#line);
    if (withValue) place.append(this.#value, this.#peak);
    place.append(this.#svg);
  }

  clear() {
    this.#samples = [];
  }

  add(value) {
    this.#samples.push(value);
    if (this.#samples.length > SAMPLES) this.#samples.shift();
    const peak = Math.max(...this.#samples);
    this.#value.textContent = this.#write(value);
    this.#peak.textContent = `peak ${this.#write(peak)}`;
    this.#svg.setAttribute("aria-label", `${this.#name} in the last two minutes: now ${this.#write(value)}, at most ${this.#write(peak)}`);
    this.#draw(peak);
  }

  #draw(peak) {
    const first = SAMPLES - this.#samples.length;
    const step = WIDTH / (SAMPLES - 1);
    const points = this.#samples.map((value, index) => {
      const x = ((first + index) * step).toFixed(1);
      return `${x} ${(HEIGHT - 1.5 - (value / (peak || 1)) * (HEIGHT - 3)).toFixed(1)}`;
    });
    if (points.length === 1) points.unshift(`${WIDTH - step} ${points[0].split(" ")[1]}`);
    this.#line.setAttribute("d", `M${points.join("L")}`);
    this.#area.setAttribute("d", `M${points[0].split(" ")[0]} ${HEIGHT}L${points.join("L")}L${WIDTH} ${HEIGHT}Z`);
  }
}
