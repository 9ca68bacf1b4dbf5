// The page: it draws the newest frame at the screen's pace, its figures twice a second, and sends what a person chooses.

import { makeAvatar } from "./avatar.js";
import { CalibrationPart } from "./calibration.js";
import { CameraView } from "./camera.js";
import { Connection, liveAddress } from "./connection.js";
import { Controls } from "./controls.js";
import { angles } from "./head.js";
import { floats } from "./msgpack.js";
import { OutputsPart } from "./outputs.js";
import { Plots } from "./plots.js";
import { Shapes } from "./shapes.js";
import { TakesPart } from "./takes.js";
import { busy, copyAddress, element, fitCanvas, show, showLevel, showProblems } from "./widgets.js";

const STATES = { connecting: "connecting", live: "connected", gone: "no connection: trying again" };
const SOURCES = { video: "camera", audio: "microphone", both: "both", held: "nothing: at rest" };
const BASE = ["blendshapes", "head", "gaze", "raw"];
const PICTURE = ["landmarks", "preview"];
const options = new URLSearchParams(location.search);
const avatarOnly = options.get("view") === "avatar";

let newest = null;
let drawn = null;
let avatar = null;
let looking = false;
let flame = null; // The FLAME head while it is shown.
let offered = null; // What hello said of FLAME.
let names = [];
const arrivals = [];
const flip = (avatarOnly ? options.get("mirror") === "1" : true) ? -1 : 1;

function subscribe() {
  if (document.hidden && !avatarOnly) return connection.subscribe([], 1);
  const streams = avatarOnly ? ["blendshapes", "head"] : BASE;
  connection.subscribe([...streams, ...(looking ? PICTURE : []), ...(flame ? ["flame"] : [])]);
}

function draw() {
  requestAnimationFrame(draw);
  const resized = fitCanvas(element("head"));
  if (newest === null || (newest === drawn && !resized)) return;
  drawn = newest;
  if (!drawn.blendshapes) return;
  const values = floats(drawn.blendshapes);
  if (!avatarOnly) shapes.draw(values, drawn.raw && floats(drawn.raw));
  if (avatar && drawn.head) avatar.draw(flame ? drawn.flame : values, floats(drawn.head), flip);
}

function showFigures() {
  const now = performance.now();
  while (arrivals.length && now - arrivals[0] > 2000) arrivals.shift();
  const span = arrivals.length > 1 ? (arrivals.at(-1) - arrivals[0]) / 1000 : 0;
  show("rate", span > 0 ? ((arrivals.length - 1) / span).toFixed(1) : "0");
  show("missed", connection.missed);
  show("latency", connection.latencyMs === null ? "–" : `${connection.latencyMs.toFixed(1)} ms`);
  if (newest === null) return;
  show("sources", SOURCES[newest.sources] ?? newest.sources);
  show("confidence", newest.confidence.toFixed(2));
  if (newest.blendshapes) shapes.write(floats(newest.blendshapes));
  if (newest.head) showPose(floats(newest.head));
}

function showPose(head) {
  const { yaw, pitch, roll } = angles(head);
  // Turning about +x looks down; people count looking up as positive, as the gaze does.
  for (const [id, value] of Object.entries({ yaw, pitch: -pitch, roll })) show(id, `${Math.round(value) || 0}°`); // No -0.
  show("z", `${(-head[6] * 100).toFixed(1)} cm`);
}

/** Show the FLAME head in place of the open one, or that one again. */
async function showFlame(on) {
  flame = null;
  if (on && avatar) {
    try {
      const { loadFlame } = await import("./flame.js");
      flame = await loadFlame(options.get("token"), avatar.own.materials);
    } catch (error) {
      showProblems([`FLAME cannot be shown: ${error.message}`]);
    }
  }
  avatar?.show(flame ?? avatar.own);
  element("flame").setAttribute("aria-pressed", flame !== null);
  show("flame", flame ? "Show the open head" : "Show FLAME");
  drawn = null;
  subscribe();
}

/** Offer the switch where hello announces FLAME; what was switched on is so again after a reload, or with another server's head. */
function offerFlame(announced) {
  const other = JSON.stringify(announced) !== JSON.stringify(offered);
  offered = announced;
  element("flame").hidden = !announced || !avatar;
  element("flame-reset").hidden = !announced;
  const wanted = avatarOnly ? options.get("head") === "flame" : localStorage.getItem("facewire-flame") === "1";
  if (wanted && other) showFlame(Boolean(announced));
}

async function startAvatar() {
  if (avatar) return;
  try {
    avatar = await makeAvatar(element("head"), names);
  } catch (error) {
    console.info(`no 3D head: ${error.message}`);
    element("no-webgl").hidden = avatarOnly;
    element("head").hidden = true;
  }
}

const camera = new CameraView(element("camera"));
const plots = new Plots(element("plots"));

const connection = new Connection(liveAddress(location), {
  state(state) {
    element("state").dataset.state = state;
    show("state", STATES[state]);
    if (state === "gone") showProblems(["The server is gone or refuses this page. Is it running, and is the token in the address right?"]);
    if (state === "live") showProblems([]);
  },
  hello(message) {
    names = message.blendshapes;
    shapes.make(names);
    show("server", `${message.server}, session ${message.session}`);
    startAvatar().then(() => offerFlame(message.flame ?? null));
    // Who gives no previews has no settings either: a replay, or another program's server.
    const controlled = message.streams.includes("preview");
    document.body.classList.toggle("no-panel", !controlled);
    if (!controlled || avatarOnly) return;
    controls.refresh();
    takes.refresh();
    outputs.refresh();
  },
  frame(message) {
    newest = message;
    arrivals.push(performance.now());
    if (looking) camera.frame(message);
  },
  preview: (message) => looking && camera.preview(message),
  status(message) {
    if (avatarOnly) return;
    const { replay } = message;
    show("state", replay ? `${STATES.live}: a take ${replay.paused ? "is paused" : "plays"}` : STATES.live);
    show("subscribers", message.subscribers);
    plots.add(message);
    controls.status(message);
    takes.status(message);
    outputs.status(message);
    showLevel(message.devices?.audio);
    if (message.devices) offerPicture(message.devices.video);
    showProblems(message.problems ?? Object.values(message.devices ?? {}).flatMap((device) => device?.error ?? []));
  },
  error: (message) => showProblems([message.message]),
});

const controls = new Controls(connection, (state) => {
  shapes.showGains(state.gains);
  calibration.show(state);
});
const shapes = new Shapes(element("shapes"), (name, factor) => controls.set({ gain: { [name]: factor } }));
const calibration = new CalibrationPart(connection, controls);
const takes = new TakesPart(connection);
const outputs = new OutputsPart(connection);

/** Say where there is no picture to look at: there is no camera, or a phone tracks the face and keeps it to itself. */
function offerPicture(device) {
  const none = !device || device.kind === "phone";
  if (none && !element("look").disabled) camera.clear();
  element("look").disabled = none;
  element("camera-hint").hidden = looking && !none;
  const why = device ? "The phone tracks the face and sends no picture." : "No camera is in use: the microphone alone moves the face.";
  show("camera-hint", none ? why : "The picture is sent only while you look.");
}

function look(on) {
  looking = on;
  element("look").setAttribute("aria-pressed", on);
  show("look", on ? "Hide the picture" : "Show the picture");
  element("camera-hint").hidden = on;
  camera.on = on;
  if (!on) camera.clear();
  localStorage.setItem("facewire-look", on ? "1" : "");
  subscribe();
}

element("flame").addEventListener("click", () => {
  localStorage.setItem("facewire-flame", flame ? "" : "1");
  showFlame(!flame);
});
element("flame-reset").addEventListener("click", ({ target }) =>
  busy(target, element("flame-result"), async () => {
    await connection.command("flame_reset");
    return "learning this face";
  }),
);
element("look").addEventListener("click", () => look(!looking));
element("copy").addEventListener("click", () => copyAddress(connection));
document.addEventListener("visibilitychange", subscribe);
document.body.classList.toggle("avatar", avatarOnly);
if (options.get("background") === "transparent") document.documentElement.classList.add("transparent");
show("address", connection.address.split("?")[0]); // Not the token: this page may be on a stream.
show("obs", `${location.origin}/?view=avatar&background=transparent`);
if (avatarOnly) subscribe();
else {
  look(localStorage.getItem("facewire-look") === "1");
  setInterval(showFigures, 500);
}
requestAnimationFrame(draw);
