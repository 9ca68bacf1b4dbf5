"""BlazeFace short range: find faces in a whole image. It runs only while no face is being followed.

Anchors, decoding and weighted non-maximum suppression follow Bazarevsky et al. 2019 (arXiv 1907.05047, section 3)
with the constants of MediaPipe's ``face_detection_short_range`` graph.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arrays import Float32Array, Float64Array, Image
from facewire.models.face.network import Device, Network
from facewire.models.face.region import MARGIN, crop
from facewire.models.jit import kernel

SIDE = 128
ANCHORS_PER_CELL = {8: 2, 16: 6}
"""Stride of the feature map in pixels: anchors at each of its cells."""
SCORE_THRESHOLD = 0.5
OVERLAP_THRESHOLD = 0.3
BOX_VALUES = 16
"""Offset of the centre (x, y), width, height, then 6 key points (x, y): the eyes are the first two."""


def anchors() -> Float32Array:
    """Return the centres [896, 2] in pixels of the network's input, in the order of its outputs."""
    rows = []
    for stride, count in ANCHORS_PER_CELL.items():
        cells = (np.arange(SIDE // stride, dtype=np.float32) + 0.5) * stride
        x, y = np.meshgrid(cells, cells)
        rows.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), count, axis=0))
    return np.concatenate(rows)


@dataclass(frozen=True, slots=True)
class Detection:
    """One face: its probability, and the region in which its landmarks are to be looked for (see ``region``)."""

    score: float
    region: Float64Array

    @property
    def size_px(self) -> float:
        """Side of the square around the face, without the margin."""
        return float(self.region[2]) / MARGIN


def suppress(scores: Float32Array, boxes: Float32Array) -> list[tuple[float, Float32Array]]:
    """Merge boxes [n, 16] that overlap into their mean weighted by score; the best face comes first.

    A box is its corners (left, top, right, bottom) and the 6 key points.
    """
    order = np.argsort(-scores, kind="stable")
    merged = []
    while order.size:
        overlap = _overlap(boxes[order[0]], boxes[order])
        same = overlap > OVERLAP_THRESHOLD
        same[0] = True
        group = order[same]
        weights = scores[group]
        merged.append((float(scores[order[0]]), (weights @ boxes[group] / weights.sum()).astype(np.float32)))
        order = order[~same]
    return merged


def _overlap(box: Float32Array, boxes: Float32Array) -> npt.NDArray[np.float32]:
    """Return the intersection over the union of one box with each of the boxes [n, 4+]."""
    width = np.minimum(box[2], boxes[:, 2]) - np.maximum(box[0], boxes[:, 0])
    height = np.minimum(box[3], boxes[:, 3]) - np.maximum(box[1], boxes[:, 1])
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    total = (box[2] - box[0]) * (box[3] - box[1]) + area - shared
    return np.asarray(np.where(total > 0, shared / np.maximum(total, 1e-12), 0), np.float32)


def region_from_box(box: Float32Array, frame: Float64Array) -> Float64Array:
    """Return the region of the face whose box [16] was found in the crop ``frame``: its eyes are level in it."""
    scale = frame[2] / SIDE
    cos, sin = math.cos(frame[3]), math.sin(frame[3])
    x, y = 0.5 * float(box[0] + box[2]) - SIDE / 2, 0.5 * float(box[1] + box[3]) - SIDE / 2
    angle = math.atan2(float(box[7] - box[5]), float(box[6] - box[4]))
    turn = math.remainder(angle + frame[3], math.tau)
    side = MARGIN * scale * float(max(box[2] - box[0], box[3] - box[1]))
    return np.array(
        [frame[0] + scale * (cos * x - sin * y), frame[1] + scale * (sin * x + cos * y), side, turn], np.float64
    )


class View(NamedTuple):
    """A square part of the image to look for faces in."""

    turn: int = 0
    """Quarter turns, clockwise, by which an upright face would have to be turned to stand as it does in the image."""
    zoom: float = 1.0
    """How many times smaller than the image's longer side the square is."""
    along: float = 0.5
    """Where along the longer side its middle is."""

    def frame(self, width: int, height: int) -> Float64Array:
        """Return it as a region of an image of that size."""
        x, y = (self.along, 0.5) if width >= height else (0.5, self.along)
        side = max(width, height) / self.zoom
        return np.array([x * width, y * height, side, self.turn * math.pi / 2], np.float64)


WHOLE = View()
TURNED = (View(turn=1), View(turn=2), View(turn=3))
CLOSER = (View(zoom=2), View(zoom=2, along=0.25), View(zoom=2, along=0.75))


class FaceDetector:
    """Finds faces of at least about a tenth of the view's side, upright in it within some 45 degrees."""

    def __init__(self, *, device: Device = "auto", threads: int = 1) -> None:
        """Load the network.

        Raises:
            ModelError: it cannot be fetched or started.
        """
        self._network = Network("face_detector", "image", ("boxes", "scores"), device=device, threads=threads)
        self._anchors = anchors()
        self._decoded = np.empty((len(self._anchors), BOX_VALUES), np.float32)
        self._probabilities = np.empty(len(self._anchors), np.float32)

    def detect(self, image: Image, view: View = WHOLE) -> list[Detection]:
        """Return the faces in a view of a contiguous BGR image uint8[h, w, 3], best first."""
        frame = view.frame(image.shape[1], image.shape[0])
        crop(image, frame, -1.0, 1.0, False, self._network.input[0])
        boxes, scores = self._network.run()
        count = decode(boxes[0], scores[0, :, 0], self._anchors, self._decoded, self._probabilities)
        found = suppress(self._probabilities[:count], self._decoded[:count])
        return [Detection(score, region_from_box(box, frame)) for score, box in found]

    def score(self, image: Image, frame: Float64Array) -> float:
        """Return how much a region of the image looks like an upright face: the best anchor's probability."""
        crop(image, frame, -1.0, 1.0, False, self._network.input[0])
        _, scores = self._network.run()
        return 1.0 / (1.0 + math.exp(-min(max(float(scores.max()), -100.0), 100.0)))


@kernel
def decode(
    boxes: Float32Array, logits: Float32Array, centres: Float32Array, decoded: Float32Array, probabilities: Float32Array
) -> int:
    """Write corners and key points, in pixels of the input, of the anchors that are faces; return their number."""
    count = 0
    for i in range(boxes.shape[0]):
        probability = 1.0 / (1.0 + math.exp(-min(max(logits[i], -100.0), 100.0)))
        if probability < SCORE_THRESHOLD:
            continue
        x, y = boxes[i, 0] + centres[i, 0], boxes[i, 1] + centres[i, 1]
        half_width, half_height = 0.5 * boxes[i, 2], 0.5 * boxes[i, 3]
        decoded[count, 0], decoded[count, 1] = x - half_width, y - half_height
        decoded[count, 2], decoded[count, 3] = x + half_width, y + half_height
        for k in range(4, BOX_VALUES):
            decoded[count, k] = boxes[i, k] + centres[i, k & 1]
        probabilities[count] = probability
        count += 1
    return count
