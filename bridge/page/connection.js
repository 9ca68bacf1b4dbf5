// The page's connection to the server that it came from: docs/wire.md, with reconnection, rate and latency.

import { decode } from "./msgpack.js";

const PROTOCOL = 1;
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 1500;
const PING_MS = 2000;
const SILENCE_MS = 5000;
const SAMPLES = 8;
const FIRST_AGAIN_MS = 500;
const LONGEST_AGAIN_MS = 4000;

/** Return whether an error means that the same may be asked again: wire.md, 3.7. */
export const mayAskAgain = ({ code }) => code === "not_ready" || code === "busy";

/** Return the address of the websocket of the server behind `location`, with the page's own token. */
export function liveAddress(location) {
  const token = new URLSearchParams(location.search).get("token");
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  return `${scheme}//${location.host}/v1/live${token ? `?token=${encodeURIComponent(token)}` : ""}`;
}

/** Calls `on.frame`, `on.hello`, `on.status`, `on.preview`, `on.error` with messages and `on.state` with "connecting", "live" or "gone". */
export class Connection {
  #attempts = 0;
  #samples = [];
  #heard = 0;
  #lastSeq = null;
  #nextCommand = 1;
  #results = new Map();
  #wanted = null;

  constructor(address, on) {
    this.address = address;
    this.on = on;
    this.missed = 0;
    this.latencyMs = null;
    setInterval(() => this.#check(), 1000);
    setInterval(() => this.#ping(), PING_MS);
    this.#open();
  }

  /** Send a command; resolves to its value, rejects with the server's words. */
  command(name, args = {}) {
    const id = this.#nextCommand++;
    return new Promise((resolve, reject) => {
      this.#results.set(id, { resolve, reject });
      if (!this.#send({ type: "command", id, name, args })) this.#settle({ id, ok: false, error: "not connected" });
    });
  }

  /** Send a command that does no harm if it is done twice, and again while the server is busy or still starts. `waits` hears the
   * server's words and returns false to give up; after `patienceMs` it rejects as `command` does. */
  async ask(name, args = {}, { waits = () => true, patienceMs = 20000 } = {}) {
    const until = performance.now() + patienceMs;
    for (let wait = FIRST_AGAIN_MS; ; wait = Math.min(2 * wait, LONGEST_AGAIN_MS)) {
      try {
        return await this.command(name, args);
      } catch (error) {
        if (!mayAskAgain(error) || performance.now() + wait > until || waits(error.message) === false) throw error;
      }
      await new Promise((done) => setTimeout(done, wait));
    }
  }

  /** Ask for these streams from now on, over reconnections too. */
  subscribe(streams, maxRate = null) {
    this.#wanted = { type: "subscribe", streams, ...(maxRate && { max_rate: maxRate }) };
    this.#lastSeq = null;
    this.#send(this.#wanted);
  }

  #open() {
    this.on.state("connecting");
    const socket = (this.socket = new WebSocket(this.address, "facewire.v1"));
    socket.binaryType = "arraybuffer";
    this.#heard = performance.now();
    socket.onopen = () => {
      this.#samples = [];
      if (this.#wanted) this.#send(this.#wanted);
      for (const ms of [0, 100, 200, 300]) setTimeout(() => this.#ping(), ms);
    };
    socket.onmessage = (event) => {
      if (socket === this.socket) this.#receive(typeof event.data === "string" ? JSON.parse(event.data) : decode(event.data));
    };
    socket.onclose = () => socket === this.socket && this.#lost();
  }

  #lost() {
    this.socket = null;
    this.on.state("gone");
    for (const id of [...this.#results.keys()]) this.#settle({ id, ok: false, error: "connection lost" });
    const ceiling = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(this.#attempts++, 10));
    setTimeout(() => this.#open(), ceiling * (0.5 + Math.random() / 2));
  }

  #check() {
    if (this.socket && performance.now() - this.#heard > SILENCE_MS) {
      const socket = this.socket;
      this.#lost();
      socket.close();
    }
  }

  #send(message) {
    const open = this.socket?.readyState === WebSocket.OPEN;
    if (open) this.socket.send(JSON.stringify(message)); // A text message is JSON: wire.md, 2.
    return open;
  }

  #ping() {
    this.#send({ type: "ping", client_ns: Math.round(performance.now() * 1e6) });
  }

  #receive(message) {
    this.#heard = performance.now();
    switch (message.type) {
      case "hello":
        if (message.protocol !== PROTOCOL) return this.#leave(message.protocol);
        this.#attempts = 0;
        this.#lastSeq = null;
        this.on.state("live");
        return this.on.hello(message);
      case "frame":
        return this.#frame(message);
      case "pong":
        return this.#pong(message);
      case "status":
        return this.on.status(message);
      case "preview":
        return this.on.preview?.(message);
      case "result":
        return this.#settle(message);
      case "error":
        return this.on.error(message);
    }
  }

  /** Close for good: another version's messages would be misread (wire.md, 3.1). */
  #leave(theirs) {
    const { socket } = this;
    this.socket = null;
    socket.close(1000);
    this.on.state("gone");
    this.on.error({ message: `The server speaks protocol ${theirs}, this page ${PROTOCOL}: reload the page.` });
  }

  #frame(message) {
    if (this.#lastSeq !== null && message.seq > this.#lastSeq) this.missed += message.seq - this.#lastSeq - 1;
    this.#lastSeq = message.seq;
    if (this.#samples.length) {
      const best = this.#samples.reduce((a, b) => (b.tripNs < a.tripNs ? b : a));
      this.latencyMs = (this.#heard * 1e6 + best.offsetNs - message.publish_ns) / 1e6;
    }
    this.on.frame(message);
  }

  #pong(message) {
    const nowNs = this.#heard * 1e6;
    const sample = { tripNs: nowNs - message.client_ns, offsetNs: message.server_ns - (nowNs + message.client_ns) / 2 };
    this.#samples = [...this.#samples.slice(1 - SAMPLES), sample];
  }

  #settle(result) {
    const waiting = this.#results.get(result.id);
    this.#results.delete(result.id);
    if (result.ok) waiting?.resolve(result.value ?? {});
    else waiting?.reject(Object.assign(new Error(result.error ?? "the server gave no reason"), { code: result.code }));
  }
}
