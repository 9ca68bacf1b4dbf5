// Devices, mirror, mode and smoothing: what the server says is shown, what a person chooses is sent as a command.

import { busy, element, fillSelect } from "./widgets.js";

const REGION_NAMES = { head_turn: "head's turn", head_move: "head's place" };

/** Keeps the server's settings; `onState` is called with each new one. */
export class Controls {
  #turn = 0;

  constructor(connection, onState) {
    this.connection = connection;
    this.onState = onState;
    this.revision = null;
    this.state = null;
    this.#listen();
  }

  /** Ask the server what holds; again where it is busy or its networks are still being loaded, unless a newer call does. */
  async refresh() {
    const turn = ++this.#turn;
    const again = { waits: () => turn === this.#turn, patienceMs: Infinity };
    try {
      this.#show(await this.connection.ask("state", {}, again), await this.connection.ask("devices", {}, again));
    } catch {
      // There are no settings, or the connection is lost: the next hello asks again.
    }
  }

  /** Refresh where the status says that somebody has changed something. */
  status(message) {
    if (message.revision != null && message.revision !== this.revision) this.refresh();
  }

  /** Send settings; what went wrong is shown, and the page goes back to what holds. */
  set(args) {
    return this.#send(() => this.connection.command("set", args));
  }

  #send(work) {
    const button = document.createElement("button"); // Nothing to disable: a choice may be changed at once.
    return busy(button, element("drive-result"), work).then(() => this.refresh());
  }

  #listen() {
    const on = (id, act) => element(id).addEventListener("change", (event) => act(event.target));
    const choose = (name) => (select) => this.#send(async () => void (await this.connection.command("choose", { [name]: select.value })));
    for (const name of ["video", "audio", "mesh", "speech"]) on(name, choose(name));
    for (const name of ["mirror", "sync", "silent"]) on(name, (box) => this.set({ [name]: box.checked }));
    on("mode", (select) => this.set({ mode: select.value }));
  }

  #show(state, devices) {
    this.state = state;
    this.revision = state.revision;
    fillSelect(element("video"), devices.video, state.video);
    const silence = state.audio === null ? [{ id: "", name: devices.audio.length ? "none" : "none found" }] : [];
    const heard = devices.audio.find(({ name }) => state.audio?.includes(name));
    fillSelect(element("audio"), [...silence, ...devices.audio], heard ? heard.id : (state.audio ?? ""));
    element("audio").disabled = devices.audio.length === 0;
    const choices = (ids, about) => ids.map((id) => ({ id, name: `${id}: ${about[id]}` }));
    fillSelect(element("mesh"), choices(state.meshes, state.about.mesh), state.mesh);
    fillSelect(element("mode"), state.modes.map((id) => ({ id, name: state.about.mode[id] })), state.mode);
    this.#showDrivers(state, choices(state.drivers, state.about.speech));
    for (const name of ["mirror", "sync", "silent"]) element(name).checked = state[name];
    this.#showRegions(state);
    this.onState(state);
  }

  /** What makes motion of speech, if there is a choice. One that was named with a file can only be left. */
  #showDrivers({ speech }, choices) {
    element("speech-choice").hidden = speech === null || choices.length < 2;
    const own = speech === null || choices.some(({ id }) => id === speech) ? [] : [{ id: speech, name: speech }];
    fillSelect(element("speech"), [...own, ...choices], speech ?? "");
  }

  #showRegions({ regions, levels }) {
    const box = element("regions");
    for (const [region, level] of Object.entries(regions)) {
      let select = box.querySelector(`[data-region="${region}"]`);
      if (!select) {
        select = document.createElement("select");
        select.dataset.region = region;
        select.addEventListener("change", () => this.set({ smoothing: { [region]: select.value } }));
        const label = document.createElement("label");
        label.append(`${REGION_NAMES[region] ?? region} `, select);
        box.append(label);
      }
      fillSelect(select, levels.map((id) => ({ id, name: id })), level);
    }
  }
}
