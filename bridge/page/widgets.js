// Small things that the parts of the page share.

import { mayAskAgain } from "./connection.js";

/** Return the element with this id. */
export const element = (id) => document.getElementById(id);

/** Write `value` into the element with this id; what says the same already is left alone, or it would be read out again. */
export function show(id, value) {
  if (element(id).textContent !== String(value)) element(id).textContent = value;
}

/** Seconds as m:ss. */
export const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

/** Show what is wrong, one line each; nothing hides the list. */
export function showProblems(lines) {
  const list = element("problems");
  const text = lines.join("\n");
  if (list.dataset.text === text) return;
  list.dataset.text = text;
  list.hidden = lines.length === 0;
  list.replaceChildren(...lines.map((line) => Object.assign(document.createElement("li"), { textContent: line })));
}

/** Fill a select with `choices` of { id, name }; `chosen` is added where it is none of them. */
export function fillSelect(select, choices, chosen) {
  const known = choices.some(({ id }) => id === chosen) || chosen == null ? choices : [...choices, { id: chosen, name: chosen }];
  const options = known.map(({ id, name }) => new Option(name, id, id === chosen, id === chosen));
  const key = JSON.stringify([known, chosen]);
  if (select.dataset.key === key) {
    if (select.value !== (chosen ?? "")) select.value = chosen; // A choice that was refused goes back.
    return;
  }
  select.dataset.key = key;
  select.replaceChildren(...options);
}

/** Show the microphone's level in dB of full scale and whether somebody speaks; hidden without one. */
export function showLevel(device) {
  element("sound").hidden = !device;
  if (!device) return;
  const level = Math.max(-60, Math.min(0, device.level_db ?? -60));
  element("level").style.transform = `scaleX(${(level + 60) / 60})`;
  element("level").parentElement.setAttribute("aria-valuenow", level.toFixed(0));
  const speaking = (device.voice ?? 0) >= 0.5;
  element("voice").classList.toggle("on", speaking);
  show("voice", `${speaking ? "speech" : "silent"}, ${level.toFixed(0)} dB${device.snr_db ? `, ${device.snr_db.toFixed(0)} dB above the room` : ""}`);
}

/** Run `work`, and not again before it is done; `output` gets its words, or what went wrong. The button is disabled in name
 * only: one that really is would lose the keyboard's place. */
export async function busy(button, output, work) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  output.classList.remove("bad");
  try {
    output.textContent = (await work()) ?? "";
  } catch (error) {
    output.classList.add("bad");
    output.textContent = mayAskAgain(error) ? `not done: ${error.message}` : error.message;
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

/** What cannot be undone takes two presses: the first one tells `words` of `what()`, the second within five seconds of it runs
 * `work`, unless `what()` has changed. */
export function twice(words, work, what = () => "") {
  let asked = null;
  return () => {
    const now = what();
    if (asked?.what === now && performance.now() < asked.until) {
      asked = null;
      return work();
    }
    asked = { what: now, until: performance.now() + 5000 };
    return `press again to ${words}${now && ` ${now}`}`;
  };
}

/** Make a canvas as sharp as the screen; return whether it has changed. */
export function fitCanvas(canvas) {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
  if (!width || !height || (canvas.width === width && canvas.height === height)) return false;
  canvas.width = width;
  canvas.height = height;
  return true;
}

/** Put the address for another machine on the clipboard; it is never written on the page, which may be on a stream. */
export function copyAddress(connection) {
  return busy(element("copy"), element("copy-result"), async () => {
    const { address } = await connection.ask("state");
    if (!address.url) return address.hint;
    await copy(address.url);
    return `copied; ${address.hint}`;
  });
}

/** Put text on the clipboard; a page over plain http from another machine has only the old way. */
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = Object.assign(document.createElement("textarea"), { value: text });
  field.style.position = "fixed";
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  if (!done) throw new Error("the browser does not allow copying: use the address that the server printed");
}
