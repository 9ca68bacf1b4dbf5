// The page: it draws the newest frame at the screen's pace and its figures twice a second.

import { Connection, liveAddress } from "./connection.js";
import { angles, drawHead } from "./head.js";
import { floats } from "./msgpack.js";

const STATES = { connecting: "connecting", live: "connected", gone: "no connection: trying again" };
const element = (id) => document.getElementById(id);
const show = (id, value) => (element(id).textContent = value);

let names = [];
let bars = [];
let newest = null;
let drawn = null;
const arrivals = [];

function makeBars() {
  const items = names.map((name) => {
    const item = document.createElement("li");
    const [label, track, bar, value] = ["span", "div", "div", "output"].map((tag) => document.createElement(tag));
    label.textContent = name;
    track.className = "track";
    bar.className = "bar";
    track.append(bar);
    item.append(label, track, value);
    return { item, bar, value };
  });
  bars = items;
  element("shapes").replaceChildren(...items.map(({ item }) => item));
}

function draw() {
  requestAnimationFrame(draw);
  if (newest === null || newest === drawn) return;
  drawn = newest;
  const shapes = drawn.blendshapes && floats(drawn.blendshapes);
  shapes?.forEach((value, i) => (bars[i].bar.style.transform = `scaleX(${Math.min(1, Math.max(0, value))})`));
  if (drawn.head && drawn.gaze) drawHead(element("head"), floats(drawn.head), floats(drawn.gaze));
}

function showFigures() {
  const now = performance.now();
  while (arrivals.length && now - arrivals[0] > 2000) arrivals.shift();
  const span = arrivals.length > 1 ? (arrivals.at(-1) - arrivals[0]) / 1000 : 0;
  show("rate", span > 0 ? ((arrivals.length - 1) / span).toFixed(1) : "0");
  show("missed", connection.missed);
  show("latency", connection.latencyMs === null ? "–" : `${connection.latencyMs.toFixed(1)} ms`);
  if (newest === null) return;
  show("sources", newest.sources);
  show("confidence", newest.confidence.toFixed(2));
  if (newest.blendshapes) floats(newest.blendshapes).forEach((value, i) => (bars[i].value.textContent = value.toFixed(2)));
  if (newest.head) showPose(floats(newest.head));
}

function showPose(head) {
  const { yaw, pitch, roll } = angles(head);
  // Turning about +x looks down; people count looking up as positive, as the gaze does.
  for (const [id, value] of Object.entries({ yaw, pitch: -pitch, roll })) show(id, `${value.toFixed(0)}°`);
  show("x", `${(head[4] * 100).toFixed(1)} cm`);
  show("y", `${(head[5] * 100).toFixed(1)} cm`);
  show("z", `${(-head[6] * 100).toFixed(1)} cm`);
}

function showProblem(text) {
  element("problem").hidden = !text;
  show("problem", text ?? "");
}

const connection = new Connection(liveAddress(location), {
  state(state) {
    element("state").dataset.state = state;
    show("state", STATES[state]);
    if (state === "gone") showProblem("The server is gone or refuses this page. Is it running, and is the token in the address right?");
    if (state === "live") showProblem(null);
  },
  hello(message) {
    names = message.blendshapes;
    makeBars();
    show("server", `${message.server}, session ${message.session}`);
  },
  frame(message) {
    newest = message;
    arrivals.push(performance.now());
  },
  status(message) {
    show("subscribers", message.subscribers);
    const broken = Object.values(message.devices ?? {}).filter((device) => device?.error);
    showProblem(broken.map((device) => device.error).join(" ") || null);
  },
  error(message) {
    showProblem(message.message);
  },
});

show("address", connection.address.split("?")[0]); // Not the token: this page may be on a stream.
setInterval(showFigures, 500);
requestAnimationFrame(draw);
