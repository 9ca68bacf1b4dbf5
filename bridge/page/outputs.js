// Outputs: which other programs get the face, where they are, and what became of the frames.

import { busy, element } from "./widgets.js";

/** The part of the page about outputs. */
export class OutputsPart {
  constructor(connection) {
    this.connection = connection;
    this.result = element("outputs-result");
    element("output-kind").addEventListener("change", () => this.#suggest());
    element("output-form").addEventListener("submit", (event) => {
      event.preventDefault();
      busy(element("output-start"), this.result, () => this.#start());
    });
  }

  /** Ask what there is to choose. */
  async refresh() {
    const { kinds, outputs } = await this.connection.ask("outputs").catch(() => ({ kinds: [], outputs: [] }));
    this.kinds = kinds;
    element("output-kind").replaceChildren(...kinds.map(({ name, about }) => new Option(`${name} – ${about}`, name)));
    this.#suggest();
    this.#show(outputs);
  }

  /** Show what the status says of those that run. */
  status({ outputs }) {
    if (outputs) this.#show(outputs);
  }

  #suggest() {
    const kind = this.kinds.find(({ name }) => name === element("output-kind").value);
    element("output-target").placeholder = kind?.target ?? "";
  }

  async #start() {
    const target = element("output-target").value.trim();
    const output = element("output-kind").value + (target ? `:${target}` : "");
    this.#show((await this.connection.command("output_start", { output })).outputs);
    element("output-target").value = "";
    return `${output} started`;
  }

  async #stop(output) {
    this.#show((await this.connection.command("output_stop", { output })).outputs);
    return `${output} stopped`;
  }

  #show(outputs) {
    const list = element("outputs");
    for (const item of [...list.children]) if (!outputs.some(({ id }) => id === item.dataset.id)) item.remove();
    for (const output of outputs) {
      const item = [...list.children].find(({ dataset }) => dataset.id === output.id) ?? this.#item(output.id);
      if (!item.isConnected) list.append(item); // moving one would take the focus off its button
      const [name, badge, about] = item.children;
      name.textContent = `${output.name} to ${output.target}`;
      badge.textContent = output.state;
      badge.dataset.state = output.state;
      const lost = [[output.dropped, "overtaken"], [output.failed, "failed"]].filter(([count]) => count);
      const counts = [[output.sent, "frames"], ...lost].map(([count, what]) => `${count} ${what}`).join(", ");
      about.textContent = output.why ? `${counts}; ${output.why}` : counts;
    }
  }

  #item(id) {
    const item = document.createElement("li");
    item.dataset.id = id;
    const [name, badge, about, stop] = ["span", "span", "span", "button"].map((tag) => document.createElement(tag));
    badge.className = "badge";
    about.className = "quiet";
    Object.assign(stop, { type: "button", textContent: "Stop" });
    stop.setAttribute("aria-label", `Stop ${id}`);
    stop.addEventListener("click", () => busy(stop, this.result, () => this.#stop(id)));
    item.append(name, badge, about, stop);
    return item;
  }
}
