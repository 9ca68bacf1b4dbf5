// The bar of a take that plays: pause, place, steps and speed. It follows the status, but never against the hand upon it.

import { busy, clock, element, fillSelect, show } from "./widgets.js";

const SPEEDS = [0.25, 0.5, 1, 2, 4];
const TICK_MS = 100;
const TRUST_MS = 3000; // How long a take is taken to go on after it was last heard of.

/** Shows the replay of the status and sends what a person wants of it; `result` gets what went wrong. */
export class ReplayBar {
  #replay = null;
  #heard = 0;
  #asked = 0; // Commands on their way: what a status says is older.
  #held = false;
  #goesOn = false; // Whether it played when the hand came.
  #wanted = null;
  #sought = null;
  #timer = null;

  constructor(connection, result) {
    this.connection = connection;
    this.result = result;
    this.slider = element("replay-place");
    this.#press("replay-play", () => this.#ask(this.#replay.paused ? "resume" : "pause"));
    this.#press("replay-back", () => this.#ask("step", { frames: -1 }));
    this.#press("replay-on", () => this.#ask("step", { frames: 1 }));
    const speed = element("replay-speed");
    speed.addEventListener("change", () => this.#do(() => this.#ask("speed", { speed: Number(speed.value) })));
    this.slider.addEventListener("pointerdown", () => this.#hold());
    this.slider.addEventListener("input", () => this.#seek(Number(this.slider.value)));
    for (const name of ["pointerup", "pointercancel"]) window.addEventListener(name, () => this.#held && this.#letGo());
  }

  /** Show where the take is, as the status has it; null hides the bar. */
  status(replay) {
    if (!replay || !this.#asked) this.#show(replay);
  }

  #show(replay) {
    this.#replay = replay;
    this.#heard = performance.now();
    element("replay").hidden = !replay;
    clearInterval(this.#timer); // There is none where nothing plays.
    if (!replay) return;
    if (!replay.paused) this.#timer = setInterval(() => this.#place(), TICK_MS);
    show("replay-file", replay.file.replace(/\.mcap$/, ""));
    if (!this.#held) show("replay-play", replay.paused ? "Play" : "Pause");
    const speeds = [...new Set([...SPEEDS, replay.speed])].sort((a, b) => a - b);
    fillSelect(element("replay-speed"), speeds.map((speed) => ({ id: String(speed), name: `${speed} ×` })), String(replay.speed));
    this.#place();
  }

  #place() {
    if (this.#held || this.#asked) return;
    const { time_s: time, from_s: from, to_s: to, speed, paused } = this.#replay;
    const since = paused ? 0 : Math.min(performance.now() - this.#heard, TRUST_MS) / 1000;
    Object.assign(this.slider, { min: from, max: to, value: Math.min(time + since * speed, to) });
    this.#write();
  }

  #write() {
    const words = this.#replay.paused ? exactly : clock; // Or a step of a frame would not be seen.
    const text = `${words(Number(this.slider.value))} / ${words(this.#replay.to_s)}`;
    if (element("replay-time").textContent === text) return;
    show("replay-time", text);
    this.slider.setAttribute("aria-valuetext", text.replace("/", "of"));
  }

  /** A take that played stands while the slider is held, so that it does not end under the hand. */
  #hold() {
    this.#held = true;
    this.#goesOn = !this.#replay.paused;
    if (this.#goesOn) this.#do(() => this.#ask("pause"));
  }

  /** Play on from where the slider was let go, unless that is the end. */
  async #letGo() {
    await this.#sought;
    this.#held = false;
    if (!this.#replay) return;
    if (this.#goesOn && Number(this.slider.value) < Number(this.slider.max)) this.#do(() => this.#ask("resume"));
    else this.#show(this.#replay);
  }

  /** Go to the newest place that was wanted, one command at a time. */
  #seek(place) {
    this.#wanted = place;
    this.#write();
    this.#sought ??= this.#do(() => this.#seekWanted()).then(() => (this.#sought = null));
  }

  async #seekWanted() {
    while (this.#wanted !== null) {
      const time_s = this.#wanted;
      this.#wanted = null;
      await this.#ask("seek", { time_s });
    }
  }

  async #ask(name, args) {
    this.#asked++;
    const now = await this.connection.command(name, args).finally(() => this.#asked--);
    if (this.#replay) this.#show({ ...this.#replay, ...now });
  }

  #press(id, work) {
    element(id).addEventListener("click", (event) => busy(event.target, this.result, work));
  }

  #do(work) {
    return busy(document.createElement("button"), this.result, work);
  }
}

/** Seconds as m:ss.hh. */
function exactly(seconds) {
  const hundredths = Math.round(seconds * 100);
  return `${clock(hundredths / 100)}.${String(hundredths % 100).padStart(2, "0")}`;
}
