// A simple head on a canvas, as in a mirror: an ellipsoid of lines that turns with the pose, and two eyes that look.

const RINGS = [-60, -30, 0, 30, 60];
const MERIDIANS = [0, 30, 60, 90, 120, 150];
const SIZE = [0.075, 0.1, 0.085]; // Half axes of a head in metres.
const EYES = [[0.032, 0.02], [-0.032, 0.02]]; // The subject's left eye has positive x.
const DEGREES = Math.PI / 180;

/** Return `point` turned by the unit quaternion x, y, z, w. */
export function rotate([x, y, z, w], [a, b, c]) {
  const [p, q, r] = [2 * (y * c - z * b), 2 * (z * a - x * c), 2 * (x * b - y * a)];
  return [a + w * p + y * r - z * q, b + w * q + z * p - x * r, c + w * r + x * q - y * p];
}

/** Return yaw, pitch and roll in degrees of a quaternion: yaw about +y, then pitch about +x, then roll about +z. */
export function angles([x, y, z, w]) {
  const pitch = Math.asin(Math.max(-1, Math.min(1, 2 * (w * x - y * z))));
  const yaw = Math.atan2(2 * (x * z + w * y), 1 - 2 * (x * x + y * y));
  const roll = Math.atan2(2 * (x * y + w * z), 1 - 2 * (x * x + z * z));
  return { yaw: yaw / DEGREES, pitch: pitch / DEGREES, roll: roll / DEGREES };
}

/** Draw the head with this pose and gaze on `canvas`, in the page's colours. */
export function drawHead(canvas, pose, gaze) {
  const context = canvas.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  const [scale, turn] = [1050, pose.slice(0, 4)];
  const project = (point) => {
    const [x, y, z] = rotate(turn, point);
    return { x: canvas.width / 2 - x * scale, y: canvas.height / 2 - y * scale, front: z >= -0.005 };
  };
  const line = (points, colour) => {
    context.strokeStyle = colour;
    context.beginPath();
    points.forEach((point, i) => {
      const here = project(point);
      if (i && here.front) context.lineTo(here.x, here.y);
      else context.moveTo(here.x, here.y);
    });
    context.stroke();
  };
  const surface = (latitude, longitude) => [
    SIZE[0] * Math.cos(latitude * DEGREES) * Math.cos(longitude * DEGREES),
    SIZE[1] * Math.sin(latitude * DEGREES),
    SIZE[2] * Math.cos(latitude * DEGREES) * Math.sin(longitude * DEGREES),
  ];
  const steps = Array.from({ length: 37 }, (_, i) => i * 10);

  context.clearRect(0, 0, canvas.width, canvas.height);
  context.lineWidth = 1.5;
  for (const ring of RINGS) line(steps.map((step) => surface(ring, step)), style.getPropertyValue("--mesh"));
  for (const meridian of MERIDIANS) line(steps.map((step) => surface(step, meridian)), style.getPropertyValue("--mesh"));
  context.lineWidth = 3;
  line([[0, 0.015, 0.085], [0, -0.015, 0.105], [0, -0.02, 0.085]], style.getPropertyValue("--quiet"));
  EYES.forEach(([x, y], i) => {
    const [yaw, pitch] = [gaze[2 * i], gaze[2 * i + 1]];
    const reach = 0.06;
    const end = [Math.sin(yaw) * Math.cos(pitch) * reach, Math.sin(pitch) * reach, Math.cos(yaw) * Math.cos(pitch) * reach];
    line([[x, y, 0.08], [x + end[0], y + end[1], 0.08 + end[2]]], style.getPropertyValue("--accent"));
    const eye = project([x, y, 0.08]);
    context.fillStyle = style.getPropertyValue("--accent");
    context.beginPath();
    context.arc(eye.x, eye.y, 6, 0, 2 * Math.PI);
    if (eye.front) context.fill();
  });
}
