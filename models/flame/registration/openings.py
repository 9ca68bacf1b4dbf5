"""Where the eyes and the mouth of a FLAME template open, found by its shape alone: no vertex is named by hand.

The template is looked at from the front. An eye opens where its eyeball is seen; the lips part where the surface
breaks off from one pixel to the one below and goes on with triangles that are far away on the mesh, and where the
jaw's weight rises most. Both slits are then followed to their corners, as far as the surface breaks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facewire.bridge.shared.arrays import Float64Array
from facewire.models.errors import ModelError
from facewire.models.flame.model import FlameModel
from facewire.models.flame.registration.surface import (
    UNSEEN,
    BoolArray,
    IndexArray,
    Int32Array,
    View,
    components_of,
    edges_of,
    look_at,
    vertex_areas_of,
)

JAW, LEFT_EYE, RIGHT_EYE = 2, 3, 4
PIXELS_BETWEEN_EYES = 250
"""The view's resolution: about a quarter of a millimetre."""
FOLLOW, PAUSE = 5, 3
"""In pixels: how far a slit may rise or fall to the next column, and how many columns it may be closed for."""
LIP_GAP = 32
"""Pixels that the lips of a template may be apart: about 8 mm."""
LIP_LEAST, LIP_MOST, LIP_STEP, LIP_MIDDLE = 16, 64, 6, 0.5
"""How thick a lower lip is, in pixels; over how many it ends; and in which share of the mouth's width that is seen."""
MOUTH = (0.5, 1.7)
"""How far below the eyes a mouth may be, in distances between them."""
HOLE_M = -1e3
"""How deep a hole is, where the fall of the surface is looked at."""
NOSE = (0.3, 0.8)
"""Where between eyes and mouth the tip of the nose may be."""
EYE_WIDTHS, MOUTH_WIDTHS = (0.25, 0.8), (0.4, 1.4)
"""What an opening may measure from corner to corner, in distances between the eyes."""


def along(line: Float64Array, x: float) -> Float64Array:
    """Return the point [3] of a line of points [c, 3], x rising, at an x."""
    return np.array([np.interp(x, line[:, 0], line[:, axis]) for axis in range(3)])


@dataclass(frozen=True, slots=True)
class Opening:
    """The rims of an opening from the subject's right to the left, metres: one column of pixels after the other."""

    upper: Float64Array
    """[c, 3], x rising."""
    lower: Float64Array
    """[c, 3]"""

    @property
    def ends(self) -> tuple[Float64Array, Float64Array]:
        """Its two corners, [3] each: the subject's right, left."""
        middle = (self.upper + self.lower) / 2
        return middle[0], middle[-1]

    def at(self, fraction: float, *, upper: bool) -> Float64Array:
        """Return the point [3] of a rim at a fraction of the way from the right corner to the left."""
        right, left = self.ends
        return along(self.upper if upper else self.lower, right[0] + fraction * (left[0] - right[0]))

    def above(self, points: Float64Array) -> BoolArray:
        """Which points [p, 3] are above the middle of the slit."""
        middle = (self.upper[:, 1] + self.lower[:, 1]) / 2
        above: BoolArray = points[:, 1] > np.interp(points[:, 0], self.upper[:, 0], middle)
        return above


@dataclass(frozen=True, slots=True)
class Front:
    """What of a template is found by looking at its front, metres."""

    skin: IndexArray
    """[t], numbers of the triangles of the skin: the largest part that hangs together, without eyeballs or teeth."""
    eyeballs: tuple[IndexArray, IndexArray]
    """Numbers of the left and of the right eyeball's triangles."""
    eye_centres: Float64Array
    """[2, 3], joints of the left and the right eye."""
    left_eye: Opening
    right_eye: Opening
    mouth: Opening
    nose_tip: Float64Array
    """[3]"""
    lower_lip: Float64Array
    """[c, 3], x rising: where the lower lip ends and the chin begins, beneath the middle of the mouth."""


def look(model: FlameModel) -> Front:
    """Find it all.

    Raises:
        ModelError: the template is not a face that looks along +z with +y up.
    """
    template = model.template.astype(np.float64)
    centres = (model.joint_regressor.astype(np.float64) @ template)[[LEFT_EYE, RIGHT_EYE]]
    between = centres[0, 0] - centres[1, 0]
    if not np.linalg.norm(centres[0] - centres[1]) * 0.9 < between < np.ptp(template[:, 0]):
        raise ModelError(f"the eyes of {model.name} are not side by side along x: turn it to look along +z, +y up")
    skin = _skin(template, model.triangles)
    eyeballs = [np.nonzero((model.weights[model.triangles, eye] > 0.5).all(1))[0] for eye in (LEFT_EYE, RIGHT_EYE)]
    drawn = np.concatenate([skin, *eyeballs])
    seen = _Seen(model, look_at(template, model.triangles[drawn], between / PIXELS_BETWEEN_EYES), drawn)
    left, right = (_checked(seen.eye(ball), between, EYE_WIDTHS, "both eyes", model) for ball in eyeballs)
    eyes_middle = centres.mean(0)
    mouth = _checked(seen.mouth(eyes_middle, between), between, MOUTH_WIDTHS, "the mouth", model)
    nose, lip = seen.nose_tip(eyes_middle, mouth, between), seen.lower_lip(mouth)
    if not (np.isfinite(nose).all() and np.isfinite(lip).all()):
        raise ModelError(f"{model.name} has a hole where a face has its nose or lower lip: is it a FLAME model?")
    return Front(skin, (eyeballs[0], eyeballs[1]), centres, left, right, mouth, nose, lip)


def _skin(template: Float64Array, triangles: Int32Array) -> IndexArray:
    label = components_of(triangles, len(template))
    largest = np.bincount(label, vertex_areas_of(template, triangles)).argmax()
    return np.nonzero(label[triangles[:, 0]] == largest)[0]


def _checked(
    opening: Opening | None, between: float, widths: tuple[float, float], what: str, model: FlameModel
) -> Opening:
    if opening is not None and len(opening.upper):
        right, left = opening.ends
        if widths[0] < (left[0] - right[0]) / between < widths[1]:
            return opening
    raise ModelError(f"cannot find {what} in {model.name}: is it a FLAME model, its mouth closed and its eyes open?")


class _Seen:
    """A template from the front, and which of its triangles hang together."""

    def __init__(self, model: FlameModel, view: View, drawn: IndexArray) -> None:
        self._view = view
        self._triangle = np.where(view.triangle == UNSEEN, UNSEEN, drawn[view.triangle])
        self._triangles = model.triangles
        self._jaw = model.weights[model.triangles, JAW].mean(1)
        self._around: list[set[int]] = [{vertex} for vertex in range(len(model.template))]
        for one, other in edges_of(model.triangles).tolist():
            self._around[one].add(other)
            self._around[other].add(one)

    def nose_tip(self, eyes_middle: Float64Array, mouth: Opening, between: float) -> Float64Array:
        """Return the foremost point in the middle of the way from the eyes to the mouth."""
        x, y, _ = eyes_middle
        first, last = self._view.column(x - 0.15 * between), self._view.column(x + 0.15 * between) + 1
        top, bottom = (self._view.row(y + share * (mouth.ends[0][1] - y)) for share in NOSE)
        part = self._view.depth[top:bottom, first:last]
        row, column = np.unravel_index(part.argmax(), part.shape)
        return self._view.place(top + int(row), first + int(column))

    def eye(self, eyeball: IndexArray) -> Opening | None:
        """Return the opening in front of an eyeball."""
        shown = np.isin(self._triangle, eyeball)
        columns = np.nonzero(shown.any(0))[0]
        if not len(columns):
            return None
        spans = {}
        for column in range(columns[0], columns[-1] + 1):
            rows = np.nonzero(shown[:, column])[0]
            if len(rows):
                spans[column] = (int(rows[0]) - 1, int(rows[-1]) + 1)
        return self._opening(spans)

    def mouth(self, eyes_middle: Float64Array, between: float) -> Opening | None:
        """Return the slit below the eyes across which the jaw's weight rises most."""
        column = self._view.column(eyes_middle[0])
        top, bottom = (self._view.row(eyes_middle[1] - share * between) for share in MOUTH)
        best, rise = None, 0.2
        for row in range(top, min(bottom, self._triangle.shape[0] - LIP_GAP)):
            span = self._breaks(column, row, row + LIP_GAP)
            if span is None or self._triangle[span[0], column] == UNSEEN or self._triangle[span[1], column] == UNSEEN:
                continue
            step = self._jaw[self._triangle[span[1], column]] - self._jaw[self._triangle[span[0], column]]
            if step > rise:
                best, rise = span, step
        return None if best is None else self._opening({column: best})

    def lower_lip(self, mouth: Opening) -> Float64Array:
        """Beneath the middle of the mouth, column by column, where the surface falls back most within a few pixels."""
        part = np.abs(np.linspace(-1, 1, len(mouth.lower))) < LIP_MIDDLE
        steepest = []
        for x, y, _ in mouth.lower[part]:
            column, first = self._view.column(x), self._view.row(y) + LIP_LEAST
            depth = self._view.depth[first : first + LIP_MOST, column].clip(HOLE_M)  # Infinity has no differences.
            steepest.append(first + int(np.argmax(depth[:-LIP_STEP] - depth[LIP_STEP:])) + LIP_STEP // 2)
        around = np.lib.stride_tricks.sliding_window_view(np.pad(steepest, LIP_STEP, mode="edge"), 2 * LIP_STEP + 1)
        rows = np.median(around, axis=1).astype(int)
        return np.array(
            [self._view.place(row, self._view.column(x)) for row, x in zip(rows, mouth.lower[part, 0], strict=True)]
        )

    def _opening(self, spans: dict[int, tuple[int, int]]) -> Opening:
        """Follows the slit from the columns known to both sides until it is closed."""
        for step in (-1, 1):
            column = min(spans) if step < 0 else max(spans)
            span, closed = spans[column], 0
            while closed <= PAUSE and 0 < column < self._triangle.shape[1] - 1:
                column += step
                middle = (span[0] + span[1]) // 2
                half = min((span[1] - span[0] + 1) // 2 + FOLLOW, LIP_GAP)
                found = self._breaks(column, middle - half, middle + half)
                closed = closed + 1 if found is None else 0
                if found is not None:
                    spans[column] = span = found
        columns = sorted(c for c, (u, d) in spans.items() if UNSEEN not in (self._triangle[u, c], self._triangle[d, c]))
        upper = np.array([self._view.place(spans[column][0], column) for column in columns]).reshape(-1, 3)
        lower = np.array([self._view.place(spans[column][1], column) for column in columns]).reshape(-1, 3)
        return Opening(upper, lower)

    def _breaks(self, column: int, first: int, last: int) -> tuple[int, int] | None:
        """Return the rows before the first and after the last break of the surface in a part of a column."""
        rows = [row for row in range(first, last) if not self._hang_together(row, column)]
        return (rows[0], rows[-1] + 1) if rows else None

    def _hang_together(self, row: int, column: int) -> bool:
        """Whether a pixel and the one below show the same surface: triangles at most an edge apart."""
        one, other = int(self._triangle[row, column]), int(self._triangle[row + 1, column])
        if UNSEEN in (one, other):
            return one == other
        corners = set(self._triangles[other].tolist())
        return any(not corners.isdisjoint(self._around[corner]) for corner in self._triangles[one].tolist())
