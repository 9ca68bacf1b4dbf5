// A head's turn: quaternions to angles and matrices.

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

/** Return the columns of the rotation matrix of a quaternion, nine numbers as WebGL takes them. */
export function matrix(turn) {
  return new Float32Array([...rotate(turn, [1, 0, 0]), ...rotate(turn, [0, 1, 0]), ...rotate(turn, [0, 0, 1])]);
}
