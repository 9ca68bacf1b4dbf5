// The FLAME head: skinned here by the `flame` stream. Its mesh is `flame.bin` (models/flame/packed.py has the format); it is
// fetched, like this file, only when somebody switches it on.

import { floats } from "./msgpack.js";

const MAGIC = "FWFLAME1";
const JOINTS = 5;
const [NECK, JAW, LEFT_EYE, RIGHT_EYE] = [1, 2, 3, 4];
/** Between the open head's eyes, in metres: any other head is put where its own eyes are there. */
const EYES = [0, 0.0309, 0.1085];
/** What a file's materials look like: those of the open head, and of a FLAME file, which tells only eyes from skin. */
const LOOKS = { eyes: "sclera" };

/** Fetch the FLAME head of this server; `token` is the page's own, `materials` the open head's, for their colours. */
export async function loadFlame(token, materials) {
  const answer = await fetch(token ? `flame.bin?token=${encodeURIComponent(token)}` : "flame.bin");
  if (!answer.ok) throw new Error(`the FLAME head could not be loaded (${answer.status})`);
  return new FlameHead(unpack(await answer.arrayBuffer()), materials);
}

/** Reads the file: see models/flame/packed.py. Throws where it is another. */
export function unpack(bytes) {
  const view = new DataView(bytes);
  let at = MAGIC.length;
  const text = () => {
    const length = view.getUint8(at);
    at += 1 + length;
    return new TextDecoder().decode(new Uint8Array(bytes, at - length, length));
  };
  const int = () => view.getInt32((at += 4) - 4, true);
  const take = (Type, count) => {
    const start = at;
    at += count * Type.BYTES_PER_ELEMENT;
    return new Type(bytes.slice(start, at)); // Nothing in the file is aligned.
  };
  const column = (count) => ({ unit: take(Float32Array, 1)[0], steps: take(Int16Array, count) });
  if (new TextDecoder().decode(new Uint8Array(bytes, 0, at)) !== MAGIC) throw new Error("this file is not a FLAME head");
  const [vertices, triangles, materials, expressions, correctives] = [int(), int(), int(), int(), int()];
  return {
    name: text(),
    digest: text(),
    materials: Array.from({ length: materials }, () => ({ name: text(), triangles: [int(), int()] })),
    positions: take(Float32Array, 3 * vertices),
    triangles: take(Uint16Array, 3 * triangles),
    weights: Float32Array.from(take(Uint16Array, JOINTS * vertices), (v) => v / 65535),
    joints: take(Float32Array, 3 * JOINTS),
    expressions: Array.from({ length: expressions }, () => column(3 * vertices)),
    correctives: Array.from({ length: correctives }, () => ({ entry: int(), ...column(3 * vertices) })),
  };
}

/** A head as `Avatar.show` takes it; its values are a frame's `flame`. */
class FlameHead {
  constructor(file, materials) {
    Object.assign(this, file);
    const looks = Object.fromEntries(materials.map((material) => [material.name, material]));
    this.materials = file.materials.map((part) => ({ ...(looks[LOOKS[part.name] ?? part.name] ?? looks.skin), ...part }));
    const middle = (i) => (this.joints[3 * LEFT_EYE + i] + this.joints[3 * RIGHT_EYE + i]) / 2;
    const moved = EYES.map((place, i) => place - middle(i));
    for (const places of [this.positions, this.joints]) for (let i = 0; i < places.length; i++) places[i] += moved[i % 3];
    this.shaped = new Float32Array(this.positions.length);
    this.features = new Float32Array(9 * (JOINTS - 1));
    this.transforms = Array.from({ length: JOINTS }, () => new Float32Array(12));
  }

  /** Skin to a frame's `flame` (Li et al. 2017, section 3): expression and correctives, then the joints; null is rest. */
  move(positions, flame) {
    const values = (name, count) => (flame ? floats(flame[name]) : new Float32Array(count));
    this.pose(values("neck", 3), values("jaw", 3), values("eyes", 6));
    this.shaped.set(this.positions);
    const expression = values("expression", 0);
    this.expressions.slice(0, expression.length).forEach((column, i) => addColumn(this.shaped, column, expression[i]));
    for (const column of this.correctives) addColumn(this.shaped, column, this.features[column.entry]);
    this.turn(positions);
  }

  pose(neck, jaw, eyes) {
    const about = [null, neck, jaw, eyes.subarray(0, 3), eyes.subarray(3, 6)].map((axis) => rodrigues(axis ?? [0, 0, 0]));
    this.place(0, about[0], null);
    this.place(NECK, about[NECK], this.transforms[0]);
    for (const joint of [JAW, LEFT_EYE, RIGHT_EYE]) this.place(joint, about[joint], this.transforms[NECK]);
  }

  /** A joint turns about its own place, then does what its parent does: three rows of four. */
  place(joint, turn, parent) {
    const [out, j] = [this.transforms[joint], this.joints.subarray(3 * joint, 3 * joint + 3)];
    for (let row = 0; row < 3; row++) {
      let moved = parent ? parent[4 * row + 3] : j[row];
      for (let column = 0; column < 3; column++) {
        let sum = parent ? 0 : turn[3 * row + column];
        if (parent) for (let k = 0; k < 3; k++) sum += parent[4 * row + k] * turn[3 * k + column];
        out[4 * row + column] = sum;
        moved += ((parent ? parent[4 * row + column] : 0) - sum) * j[column];
        if (joint > 0) this.features[9 * (joint - 1) + 3 * row + column] = turn[3 * row + column] - (row === column ? 1 : 0);
      }
      out[4 * row + 3] = moved;
    }
  }

  turn(positions) {
    const { shaped, weights, transforms } = this;
    positions.fill(0);
    for (let at = 0, w = 0; at < shaped.length; at += 3, w += JOINTS) {
      const [x, y, z] = [shaped[at], shaped[at + 1], shaped[at + 2]];
      for (let joint = 0; joint < JOINTS; joint++) {
        const weight = weights[w + joint];
        if (weight === 0) continue;
        const t = transforms[joint];
        positions[at] += weight * (t[0] * x + t[1] * y + t[2] * z + t[3]);
        positions[at + 1] += weight * (t[4] * x + t[5] * y + t[6] * z + t[7]);
        positions[at + 2] += weight * (t[8] * x + t[9] * y + t[10] * z + t[11]);
      }
    }
  }
}

function addColumn(positions, { unit, steps }, weight) {
  if (Math.abs(weight) < 1e-6) return;
  const scale = unit * weight;
  for (let i = 0; i < steps.length; i++) positions[i] += scale * steps[i];
}

/** Axis times angle to a matrix by rows. */
function rodrigues([x, y, z]) {
  const square = x * x + y * y + z * z;
  const angle = Math.sqrt(square);
  const s = angle < 1e-4 ? 1 - square / 6 : Math.sin(angle) / angle;
  const c = angle < 1e-4 ? 0.5 - square / 24 : (1 - Math.cos(angle)) / square;
  return [
    1 - c * (y * y + z * z), c * x * y - s * z, c * x * z + s * y,
    c * x * y + s * z, 1 - c * (x * x + z * z), c * y * z - s * x,
    c * x * z - s * y, c * y * z + s * x, 1 - c * (x * x + y * y),
  ];
}
