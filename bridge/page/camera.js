// The camera's picture with the tracked mesh over it. Both come from the same moment: frames wait for their picture.

import { floats } from "./msgpack.js";

// Outlines of the canonical face mesh: face, lips (outer, inner), eyes.
const OUTLINES = [
  [10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109, 10],
  [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185, 61],
  [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191, 78],
  [33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246, 33],
  [263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466, 263],
];
const KEPT_FRAMES = 30;

/** Shows previews on a canvas. */
export class CameraView {
  #frames = [];

  constructor(canvas) {
    this.canvas = canvas;
    this.on = false;
  }

  /** Keep a frame's landmarks until its picture comes. */
  frame(message) {
    if (!message.landmarks) return;
    this.#frames.push({ capture: message.capture_ns, landmarks: floats(message.landmarks) });
    if (this.#frames.length > KEPT_FRAMES) this.#frames.shift();
  }

  /** Show a picture, and the mesh of the nearest moment. */
  async preview(message) {
    const { jpeg } = message;
    const bytes = new Uint8Array(jpeg.buffer, jpeg.byteOffset, jpeg.byteLength);
    const picture = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }));
    const { canvas } = this;
    if (!this.on) return picture.close(); // Hidden while it was decoded.
    if (canvas.width !== picture.width || canvas.height !== picture.height) {
      canvas.width = picture.width;
      canvas.height = picture.height;
    }
    const context = canvas.getContext("2d");
    context.drawImage(picture, 0, 0);
    const near = this.#frames.reduce((a, b) => (!a || distance(b, message) < distance(a, message) ? b : a), null);
    if (near && distance(near, message) < 100e6) drawMesh(context, near.landmarks, picture.width / message.width);
    picture.close();
  }

  /** Leave nothing of the picture on the screen. */
  clear() {
    this.#frames = [];
    this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
  }
}

const distance = (frame, message) => Math.abs(frame.capture - message.capture_ns);

function drawMesh(context, landmarks, scale) {
  context.fillStyle = "rgba(120, 225, 255, .55)";
  for (let i = 0; i < 468; i++) context.fillRect(landmarks[3 * i] * scale - 0.5, landmarks[3 * i + 1] * scale - 0.5, 1, 1);
  context.strokeStyle = "rgba(120, 225, 255, .9)";
  context.lineWidth = 1.2;
  for (const outline of OUTLINES) {
    context.beginPath();
    for (const i of outline) context.lineTo(landmarks[3 * i] * scale, landmarks[3 * i + 1] * scale);
    context.stroke();
  }
}
