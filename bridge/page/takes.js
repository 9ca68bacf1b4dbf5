// Takes: record, list, and replay in the place of the live face.

import { busy, element, show } from "./widgets.js";

/** The part of the page about takes. */
export class TakesPart {
  #recording = null;

  constructor(connection) {
    this.connection = connection;
    this.result = element("takes-result");
    element("record").addEventListener("click", (event) => busy(event.target, this.result, () => this.#toggle()));
    element("stop-take").addEventListener("click", (event) => busy(event.target, this.result, () => this.#live()));
  }

  /** List the takes anew. */
  async refresh() {
    const { takes } = await this.connection.command("takes").catch(() => ({ takes: [] }));
    element("takes").replaceChildren(...takes.map((take) => this.#item(take)));
  }

  /** Show what the status says of recording and of a take that plays. */
  status({ recording, replay }) {
    if (Boolean(recording) !== Boolean(this.#recording)) this.refresh();
    this.#recording = recording;
    show("record", recording ? `Stop recording (${clock(recording.seconds)})` : "Record");
    element("record").classList.toggle("recording", Boolean(recording));
    if (recording?.error) show("takes-result", recording.error);
    element("stop-take").hidden = !replay?.file;
    for (const item of element("takes").children) item.classList.toggle("playing", item.dataset.file === replay?.file);
  }

  async #toggle() {
    const running = Boolean(this.#recording); // A status may change it while the command is on its way.
    const done = await this.connection.command(running ? "record_stop" : "record_start");
    await this.refresh();
    return `${running ? "kept" : "recording"} ${done.file}`;
  }

  async #live() {
    await this.connection.command("replay_stop");
    return "live again";
  }

  #item({ file, bytes, unix_s: unix }) {
    const item = document.createElement("li");
    item.dataset.file = file;
    const [name, about, play] = ["span", "span", "button"].map((tag) => document.createElement(tag));
    name.textContent = file.replace(/\.mcap$/, "");
    about.textContent = `${new Date(unix * 1000).toLocaleString()}, ${size(bytes)}`;
    about.className = "quiet";
    Object.assign(play, { type: "button", textContent: "Replay" });
    play.setAttribute("aria-label", `Replay ${name.textContent}`);
    play.addEventListener("click", () => busy(play, this.result, () => this.#play(file)));
    item.append(name, about, play);
    return item;
  }

  async #play(file) {
    const { seconds } = await this.connection.command("replay_start", { file });
    return `playing ${file}, ${clock(seconds)}, in place of the live face`;
  }
}

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
const size = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
