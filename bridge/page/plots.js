// Small plots of the last minute, one for each figure that the status carries.

const POINTS = 60;
const LABELS = {
  "latencies.total": ["camera to sent", "ms"], "latencies.track": ["tracking", "ms"], "latencies.hand_over": ["waiting", "ms"],
  "latencies.sound": ["sound to sent", "ms"], "rates.capture": ["pictures", "/s"], "rates.publish": ["frames", "/s"],
  "drops.capture": ["pictures skipped", "/s"], "drops.sound": ["sound lost", "/s"], "drops.replaced": ["frames skipped", "/s"],
};
const COUNTERS = ["drops."];

/** Plots in `box`, made as figures turn up. */
export class Plots {
  #series = new Map();
  #counts = new Map();

  constructor(box) {
    this.box = box;
  }

  /** Take a status message. */
  add(status) {
    const drops = { ...status.drops, replaced: status.fanout?.replaced };
    for (const [key, [label, unit]] of Object.entries(LABELS)) {
      const [group, name] = key.split(".");
      let value = (group === "drops" ? drops : status[group])?.[name];
      if (typeof value !== "number") continue;
      if (COUNTERS.some((start) => key.startsWith(start))) value = this.#grown(key, value);
      this.#push(key, label, unit, value);
    }
  }

  #grown(key, count) {
    const before = this.#counts.get(key) ?? count;
    this.#counts.set(key, count);
    return Math.max(0, count - before);
  }

  #push(key, label, unit, value) {
    if (!this.#series.has(key)) this.#series.set(key, { values: [], ...makePlot(this.box, label) });
    const series = this.#series.get(key);
    series.values.push(value);
    if (series.values.length > POINTS) series.values.shift();
    series.text.textContent = `${value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${unit}`;
    drawLine(series.canvas, series.values);
  }
}

function makePlot(box, label) {
  const [figure, caption, name, text, canvas] = ["figure", "figcaption", "span", "output", "canvas"].map((tag) => document.createElement(tag));
  name.textContent = label;
  Object.assign(canvas, { width: 240, height: 48 });
  canvas.setAttribute("aria-hidden", "true");
  text.setAttribute("aria-live", "off"); // It changes every second.
  caption.append(name, text);
  figure.append(caption, canvas);
  box.append(figure);
  return { canvas, text };
}

function drawLine(canvas, values) {
  const context = canvas.getContext("2d");
  const colour = getComputedStyle(document.documentElement).getPropertyValue("--accent");
  const most = Math.max(...values, 1e-6) * 1.15;
  const x = (i) => canvas.width - (values.length - 1 - i) * (canvas.width / (POINTS - 1));
  const y = (value) => canvas.height - 2 - (value / most) * (canvas.height - 4);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.strokeStyle = colour;
  context.lineWidth = 2;
  context.beginPath();
  values.forEach((value, i) => context.lineTo(x(i), y(value)));
  context.stroke();
}
