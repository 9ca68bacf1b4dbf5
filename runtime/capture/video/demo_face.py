"""A face that moves without a camera: a photograph bent by a few smooth warps, always the same at the same time.

The photograph is the portrait of Eileen Collins (NASA, public domain) that scikit-image ships as ``astronaut``. The
places of eyes and mouth below were read off it once, in pixels of the enlarged crop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from facewire.bridge.shared.arrays import Float32Array, Image

WIDTH, HEIGHT = 640, 480
_CROP_X, _CROP_Y, _ENLARGED = 64, 12, 2
PHOTO_SHAPE = (512, 512, 3)

# The part of the picture that bends: left, top, right, bottom.
_X0, _Y0, _X1, _Y1 = 190, 80, 450, 424
_EYES = ((276.5, 177.0), (366.5, 181.0))
_EYE_HALF_WIDTH, _LID_UP, _LID_DOWN, _BROW_UP = 27.0, 9.0, 10.0, 17.0
_MOUTH_X, _LIP_Y, _MOUTH_HALF_WIDTH = 320.0, 275.0, 35.0
_MOUTH_CORNERS = ((281.0, 258.0), (359.0, 260.0))
_JAW_DROP = 46.0
_CHIN_Y, _NECK_Y = 336.0, 404.0
_MOUTH_BGR = np.array([38, 26, 62], np.float32)


@dataclass(frozen=True, slots=True)
class DemoPose:
    """What the face does at one moment; 0..1 except where it says otherwise."""

    jaw: float = 0.0
    lids: float = 0.0
    """1 is both eyes closed."""
    sober: float = 0.0
    """How much of the photograph's smile is taken away."""
    brows: float = 0.0
    turn: float = 0.0
    """-1..1, to the left or right of the picture."""
    roll_rad: float = 0.0
    shift_px: tuple[float, float] = (0.0, 0.0)
    zoom: float = 1.0


def demo_pose(t_s: float) -> DemoPose:
    """Return the motion: talks, smiles, blinks, looks about; no two parts share a period, so none repeats."""

    def wave(period_s: float, phase: float = 0.0) -> float:
        return math.sin(2 * math.pi * (t_s / period_s + phase))

    talking = 0.5 + 0.5 * wave(7.3, 0.2)
    syllables = 0.5 + 0.3 * wave(0.43) + 0.2 * wave(0.29, 0.3)
    since_blink_s = t_s % 3.1 - 1.0
    blink = math.sin(math.pi * since_blink_s / 0.28) ** 2 if 0 < since_blink_s < 0.28 else 0.0
    return DemoPose(
        jaw=talking * syllables,
        lids=blink,
        sober=0.5 - 0.5 * wave(5.9),
        brows=max(0.0, wave(4.7, 0.5)) ** 2,
        turn=wave(6.1, 0.1),
        roll_rad=0.06 * wave(8.9),
        shift_px=(14 * wave(10.3, 0.4), 6 * wave(5.3)),
        zoom=1 + 0.03 * wave(12.7),
    )


class DemoFace:
    """Draws poses of the photograph, [512, 512, 3] BGR; all buffers are made here, once."""

    def __init__(self, photo: Image) -> None:
        if photo.shape != PHOTO_SHAPE:
            raise ValueError(f"the demo photograph must be {PHOTO_SHAPE}, not {photo.shape}")
        crop = photo[_CROP_Y : _CROP_Y + HEIGHT // _ENLARGED, _CROP_X : _CROP_X + WIDTH // _ENLARGED]
        self._photo = cv2.resize(crop, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        self._bent = self._photo.copy()
        columns, rows = np.arange(_X0, _X1, dtype=np.float32), np.arange(_Y0, _Y1, dtype=np.float32)
        self._grid_x, self._grid_y = np.meshgrid(columns, rows)
        self._map_x, self._map_y = np.empty_like(self._grid_x), np.empty_like(self._grid_y)
        self._scratch = np.empty_like(self._grid_x)
        self._sober_x, self._sober_y, self._brows_y, self._turn_x = self._smooth_fields()
        self._gap_profile, self._jaw_profile, self._lip_y = self._mouth_fields()

    def render(self, pose: DemoPose, out: Image | None = None) -> Image:
        """Return the picture of a pose, uint8[480, 640, 3] BGR, written into ``out`` if one is given."""
        np.copyto(self._map_x, self._grid_x)
        np.copyto(self._map_y, self._grid_y)
        self._add(self._map_x, self._sober_x, pose.sober)
        self._add(self._map_y, self._sober_y, pose.sober)
        self._add(self._map_y, self._brows_y, pose.brows)
        self._add(self._map_x, self._turn_x, pose.turn)
        self._add(self._map_y, self._jaw_profile, -_JAW_DROP * pose.jaw)
        for centre in _EYES:
            self._close_lid(centre, pose.lids)
        face = self._bent[_Y0:_Y1, _X0:_X1]
        cv2.remap(self._photo, self._map_x, self._map_y, cv2.INTER_LINEAR, dst=face, borderMode=cv2.BORDER_REPLICATE)
        if pose.jaw > 0.02:
            self._open_mouth(face, pose)
        turn = cv2.getRotationMatrix2D((_MOUTH_X, 240.0), math.degrees(pose.roll_rad), pose.zoom)
        turn[:, 2] += np.array(pose.shift_px)
        return cv2.warpAffine(  # type: ignore[return-value]
            self._bent, turn, (WIDTH, HEIGHT), dst=out, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )

    def _add(self, into: Float32Array, field: Float32Array, amount: float) -> None:
        np.multiply(field, amount, out=self._scratch)
        into += self._scratch

    def _smooth_fields(self) -> tuple[Float32Array, Float32Array, Float32Array, Float32Array]:
        """Displacements that scale with their amount; they say where a pixel comes from, so signs are reversed."""

        def bump(x: float, y: float, width: float, height: float) -> Float32Array:
            return np.exp(-(((self._grid_x - x) / width) ** 2) - ((self._grid_y - y) / height) ** 2)

        (left_x, left_y), (right_x, right_y) = _MOUTH_CORNERS
        left, right = bump(left_x, left_y, 24, 22), bump(right_x, right_y, 24, 22)
        brows = bump(_EYES[0][0], 158, 34, 16) + bump(_EYES[1][0], 162, 34, 16)
        depth = bump(_MOUTH_X, 225, 62, 80) * self._edge_fade()
        return (right - left) * 12, (left + right) * -9, brows * 8, depth * -16

    def _edge_fade(self) -> Float32Array:
        """1 inside, 0 on the border of the part that bends, so that no seam shows."""
        x = np.minimum(self._grid_x - _X0, _X1 - 1 - self._grid_x) / 30
        y = np.minimum(self._grid_y - _Y0, _Y1 - 1 - self._grid_y) / 30
        return np.clip(np.minimum(x, y), 0, 1)

    def _mouth_fields(self) -> tuple[Float32Array, Float32Array, Float32Array]:
        """How far the lips part (per column), how far the jaw below goes along, and where the lips meet."""
        across = (self._grid_x - _MOUTH_X) / _MOUTH_HALF_WIDTH
        gap = np.sqrt(np.clip(1 - across**2, 0, 1))
        lip_y = _LIP_Y - 9 * np.clip(across**2, 0, 1)
        below = self._grid_y - lip_y
        flesh = np.exp(-(((self._grid_x - _MOUTH_X) / 62) ** 2))
        share = np.clip(below / 40, 0, 1)
        fade = np.clip((_NECK_Y - self._grid_y) / (_NECK_Y - _CHIN_Y), 0, 1)
        jaw = np.where(below > 0, ((1 - share) * gap + share * flesh) * fade, 0)
        return gap, jaw.astype(np.float32), lip_y

    def _open_mouth(self, face: Image, pose: DemoPose) -> None:
        """Darken what opens between the lips."""
        top, bottom, left, right = 250 - _Y0, 344 - _Y0, 278 - _X0, 362 - _X0
        part = np.s_[top:bottom, left:right]
        below = self._grid_y[part] - self._lip_y[part]
        opening = _JAW_DROP * pose.jaw * self._gap_profile[part]
        inside = np.clip(np.minimum(below + 1, opening - below), 0, 1) * np.minimum(opening / 3, 1)
        mouth = face[part]
        mouth[:] = mouth + (inside[:, :, None] * (_MOUTH_BGR - mouth)).astype(np.int16)

    def _close_lid(self, centre: tuple[float, float], amount: float) -> None:
        """Slide the skin between brow and lid down over the eye."""
        x, y = centre
        left, right = int(x - _EYE_HALF_WIDTH) - _X0, int(x + _EYE_HALF_WIDTH) + 1 - _X0
        top, bottom = int(y - _BROW_UP) - _Y0, int(y + _LID_DOWN) + 1 - _Y0
        part = np.s_[top:bottom, left:right]
        profile = np.sqrt(np.clip(1 - ((self._grid_x[part] - x) / _EYE_HALF_WIDTH) ** 2, 0, 1))
        brow_y, open_y = y - _BROW_UP, y - _LID_UP * profile
        lid_y = open_y + amount * (y + _LID_DOWN * profile - open_y)
        from_brow = self._grid_y[part] - brow_y
        stretched = from_brow * (open_y - brow_y) / (lid_y - brow_y)
        covered = self._grid_y[part] <= lid_y
        self._map_y[part] -= np.where(covered, from_brow - stretched, 0)
