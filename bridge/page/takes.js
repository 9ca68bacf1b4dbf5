// Takes: record, list, and replay in the place of the live face.

import { ReplayBar } from "./replay.js";
import { busy, clock, element, show } from "./widgets.js";

/** The part of the page about takes. */
export class TakesPart {
  #recording = null;
  #playing = null;
  #turn = 0;

  constructor(connection) {
    this.connection = connection;
    this.result = element("takes-result");
    this.bar = new ReplayBar(connection, this.result);
    element("record").addEventListener("click", (event) => busy(event.target, this.result, () => this.#toggle()));
    element("stop-take").addEventListener("click", (event) => busy(event.target, this.result, () => this.#live()));
  }

  /** List the takes anew. */
  async refresh() {
    const turn = ++this.#turn;
    const again = { waits: () => turn === this.#turn, patienceMs: Infinity };
    const { takes, folder } = await this.connection.ask("takes", {}, again).catch(() => ({ takes: [], folder: "" }));
    if (turn !== this.#turn) return; // A newer call has the list.
    element("takes").replaceChildren(...takes.map((take) => this.#item(take)));
    element("record").hidden = folder === null;
    element("no-folder").hidden = folder !== null;
  }

  /** Show what the status says of recording and of a take that plays. */
  status({ recording, replay }) {
    if (Boolean(recording) !== Boolean(this.#recording)) this.refresh();
    this.#recording = recording;
    show("record", recording ? `Stop recording (${clock(recording.seconds)})` : "Record");
    element("record").classList.toggle("recording", Boolean(recording));
    if (recording?.error) {
      this.result.classList.add("bad");
      show("takes-result", recording.error);
    }
    this.#follow(replay ?? null);
  }

  #follow(replay) {
    this.bar.status(replay);
    element("takes-part").classList.toggle("replays", Boolean(replay));
    element("stop-take").hidden = !replay;
    for (const item of element("takes").children) item.classList.toggle("playing", item.dataset.file === replay?.file);
    if (this.#playing && !replay && this.result.textContent.startsWith("playing ")) show("takes-result", "live again");
    this.#playing = replay?.file;
  }

  async #toggle() {
    const running = Boolean(this.#recording); // A status may change it while the command is on its way.
    const done = await this.connection.command(running ? "record_stop" : "record_start");
    this.refresh(); // Not awaited: the button must stop what it has started even if the list cannot be had now.
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

const size = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
