// The 52 values as bars: as they were tracked, as they are sent, and a gain for each.

/** A list of shapes in `list`; `onGain(name, factor)` is called when a person moves one. */
export class Shapes {
  #rows = [];

  constructor(list, onGain) {
    this.list = list;
    this.onGain = onGain;
  }

  /** Make a row for each of `names`. */
  make(names) {
    if (names.length === this.#rows.length && names.every((name, i) => name === this.#rows[i].name)) return;
    this.#rows = names.map((name) => this.#row(name));
    this.list.replaceChildren(...this.#rows.map(({ item }) => item));
  }

  #row(name) {
    const item = document.createElement("li");
    const [label, track, raw, bar, value, gain] = ["span", "div", "div", "div", "output", "input"].map((tag) => document.createElement(tag));
    label.textContent = name;
    track.className = "track";
    raw.className = "raw";
    bar.className = "bar";
    track.append(raw, bar);
    Object.assign(gain, { type: "range", min: 0, max: 2, step: 0.05, value: 1, className: "gain needs-panel", title: `gain of ${name}: 1` });
    gain.setAttribute("aria-label", `gain of ${name}`);
    value.setAttribute("aria-live", "off"); // Or 52 values would be read out, again and again.
    gain.addEventListener("change", () => this.onGain(name, Number(gain.value)));
    gain.addEventListener("dblclick", () => this.onGain(name, 1));
    item.append(label, track, value, gain);
    return { name, item, raw, bar, value, gain };
  }

  /** Move the bars; `raw` may be missing. */
  draw(values, raw) {
    this.#rows.forEach(({ raw: thin, bar }, i) => {
      bar.style.transform = `scaleX(${Math.min(1, Math.max(0, values[i] ?? 0))})`;
      thin.style.transform = `scaleX(${Math.min(1, Math.max(0, raw?.[i] ?? 0))})`;
    });
  }

  /** Write the numbers: less often than the bars move, or nobody could read them. */
  write(values) {
    this.#rows.forEach(({ value }, i) => (value.textContent = (values[i] ?? 0).toFixed(2)));
  }

  /** Show the gains that hold; a shape that is missing has 1. */
  showGains(gains) {
    for (const { name, gain } of this.#rows) {
      const factor = gains[name] ?? 1;
      if (document.activeElement !== gain) gain.value = factor;
      gain.title = `gain of ${name}: ${factor}`;
      gain.classList.toggle("changed", factor !== 1);
    }
  }
}
