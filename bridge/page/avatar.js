// A head in WebGL: the open head, moved by 52 shapes. Its mesh is `head.bin` (models/head/export_page.py writes it).
// `show` puts another head in its place: anything with positions, triangles, materials and `move`.

import { matrix } from "./head.js";

const VERTEX = `
  attribute vec3 position, normal, colour;
  attribute float shine, inside;
  uniform mat3 turn; uniform vec3 place; uniform vec2 zoom; uniform float flip;
  varying vec3 n, c, at; varying float s, m, above;
  void main() {
    // How far above the neck's end, which lies lower in front so that no chin comes near it.
    above = position.y + 0.0915 + 0.15 * position.z + 3.0 * max(position.z - 0.06, 0.0);
    at = turn * position + place;
    n = turn * normal; c = colour; s = shine; m = inside;
    float depth = ${(1.15).toFixed(2)} - at.z;
    gl_Position = vec4(flip * at.x * zoom.x, at.y * zoom.y, (depth - 0.5) * 0.5 * depth, depth);
  }`;
const FRAGMENT = `
  precision mediump float;
  varying vec3 n, c, at; varying float s, m, above;
  void main() {
    vec3 normal = normalize(n), eye = normalize(vec3(0.0, 0.0, 1.15) - at);
    float solid = smoothstep(0.0, 0.014, above);
    if (solid < 0.02 || (above < 0.05 && dot(normal, eye) < -0.3)) discard; // Nor is the inside of the neck to be seen.
    vec3 key = normalize(vec3(0.5, 0.7, 0.8)), fill = normalize(vec3(-0.8, 0.1, 0.5));
    float lit = 0.75 * max((dot(normal, key) + 0.25) / 1.25, 0.0) + 0.25 * max(dot(normal, fill), 0.0);
    // The lips keep the lamps off what is behind them: there, what faces the viewer is bright and nothing gleams.
    lit = mix(lit, 0.12 + 0.28 * abs(dot(normal, eye)), m);
    float sky = 0.22 + 0.10 * normal.y * (1.0 - m);
    float rim = 0.18 * pow(1.0 - max(dot(normal, eye), 0.0), 3.0);
    float spark = s * pow(max(dot(normal, normalize(key + eye)), 0.0), 40.0);
    vec3 light = c * (lit + sky) + rim * vec3(0.8, 0.9, 1.0) * 0.3 * (1.0 - m) + spark * (1.0 - m);
    gl_FragColor = vec4(pow(light, vec3(0.4545)) * solid, solid);
  }`;

/** Shapes that move lids too: what of it a blink has done already must not be done again, or lids cross. */
const LIDS = /^eye(Squint|Wide|LookDown|LookUp)/;
const MOUTH = new Set(["mouth", "teeth", "tongue"]);

/** Fetch and unpack the head: positions, triangles, colours, and each shape's vertices and moves; `names` is the shapes' order. */
async function loadHead(names, url = "head.bin") {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`the head could not be loaded (${answer.status})`);
  const bytes = await answer.arrayBuffer();
  const length = new DataView(bytes).getUint32(0, true);
  const about = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
  const part = (Type, [start, count]) => new Type(bytes, 4 + length + start, count);
  const positions = Float32Array.from(part(Int16Array, about.positions), (v) => v * about.unit_m);
  const shapes = about.shapes.map(({ name, step_m, vertices, moves }) => ({
    name, step: step_m, vertices: part(Uint16Array, vertices), moves: part(Int8Array, moves),
  }));
  const order = shapes.map(({ name }) => names.indexOf(name));
  const blinks = shapes.map(({ name }) => (LIDS.test(name) ? names.indexOf(name.replace(LIDS, "eyeBlink")) : -1));
  const move = (moved, weights) => {
    moved.set(positions);
    shapes.forEach((shape, i) => addShape(moved, shape, (weights[order[i]] ?? 0) * (1 - (weights[blinks[i]] ?? 0))));
  };
  return { positions, triangles: part(Uint16Array, about.triangles), materials: about.materials, move };
}

/** Draws a head on `canvas`. `makeAvatar` throws where there is no WebGL. */
class Avatar {
  constructor(gl, head) {
    this.gl = gl;
    this.own = head;
    this.program = makeProgram(gl);
    this.buffers = Object.fromEntries(["colour", "shine", "inside", "position", "normal", "triangles"].map((name) => [name, gl.createBuffer()]));
    gl.useProgram(this.program);
    gl.enable(gl.DEPTH_TEST);
    gl.clearColor(0, 0, 0, 0);
    this.show(head);
  }

  /** Draw this head from now on: { positions, triangles, materials, move(positions, values) }. */
  show(head) {
    const { gl } = this;
    this.head = head;
    this.positions = head.positions.slice();
    this.normals = new Float32Array(head.positions.length);
    this.attribute("colour", 3, colours(head, (material) => material.colour));
    this.attribute("shine", 1, colours(head, (material) => [material.shine]));
    this.attribute("inside", 1, colours(head, (material) => [MOUTH.has(material.name) ? 1 : 0]));
    this.attribute("position", 3, this.positions);
    this.attribute("normal", 3, this.normals);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.buffers.triangles);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, head.triangles, gl.STATIC_DRAW);
  }

  attribute(name, size, data) {
    const { gl } = this;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
    const place = gl.getAttribLocation(this.program, name);
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, size, gl.FLOAT, false, 0, 0);
  }

  /** Move the head by `values`, which it understands (52 weights, or FLAME), and to the pose `head` [7]; mirrored where `flip` is -1. */
  draw(values, head, flip) {
    const { gl, positions } = this;
    this.head.move(positions, values);
    findNormals(positions, this.head.triangles, this.normals);
    for (const [name, data] of [["position", positions], ["normal", this.normals]]) {
      gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
      gl.bufferSubData(gl.ARRAY_BUFFER, 0, data);
    }
    const { width, height } = gl.canvas;
    gl.viewport(0, 0, width, height);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const zoom = 7.6 * Math.min(1, width / height);
    const uniform = (name) => gl.getUniformLocation(this.program, name);
    gl.uniformMatrix3fv(uniform("turn"), false, matrix(head.slice(0, 4)));
    gl.uniform3f(uniform("place"), 0, -0.018, -0.03);
    gl.uniform2f(uniform("zoom"), (zoom * height) / width, zoom);
    gl.uniform1f(uniform("flip"), flip);
    gl.drawElements(gl.TRIANGLES, this.head.triangles.length, gl.UNSIGNED_SHORT, 0);
  }
}

/** Return an avatar on `canvas` whose shapes come in the order of `names`. */
export async function makeAvatar(canvas, names) {
  const gl = canvas.getContext("webgl", { alpha: true, antialias: true, premultipliedAlpha: true });
  if (!gl) throw new Error("no WebGL");
  return new Avatar(gl, await loadHead(names));
}

function makeProgram(gl) {
  const program = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  return program;
}

function addShape(positions, { step, vertices, moves }, weight) {
  if (weight < 0.002) return;
  const scale = step * Math.min(weight, 1);
  for (let i = 0; i < vertices.length; i++) {
    const to = 3 * vertices[i];
    positions[to] += scale * moves[3 * i];
    positions[to + 1] += scale * moves[3 * i + 1];
    positions[to + 2] += scale * moves[3 * i + 2];
  }
}

/** Write each vertex's normal: the sum of its triangles', each as long as the triangle is large. */
function findNormals(p, triangles, normals) {
  normals.fill(0);
  for (let t = 0; t < triangles.length; t += 3) {
    const [a, b, c] = [3 * triangles[t], 3 * triangles[t + 1], 3 * triangles[t + 2]];
    const ux = p[b] - p[a], uy = p[b + 1] - p[a + 1], uz = p[b + 2] - p[a + 2];
    const vx = p[c] - p[a], vy = p[c + 1] - p[a + 1], vz = p[c + 2] - p[a + 2];
    const x = uy * vz - uz * vy, y = uz * vx - ux * vz, z = ux * vy - uy * vx;
    for (const i of [a, b, c]) {
      normals[i] += x;
      normals[i + 1] += y;
      normals[i + 2] += z;
    }
  }
}

function colours(head, value) {
  const size = value(head.materials[0]).length;
  const result = new Float32Array((head.positions.length / 3) * size);
  for (const material of head.materials) {
    const [first, count] = material.triangles;
    for (const vertex of head.triangles.subarray(3 * first, 3 * (first + count))) result.set(value(material), size * vertex);
  }
  return result;
}
