"""The parts of a face put together by their weights: the camera's, speech's, and idle eyes while no camera sees any."""

from __future__ import annotations

import numpy as np

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.shared.face import FaceState
from facewire.runtime.fusion.idle import IdleEyes
from facewire.runtime.fusion.sync import Aligner
from facewire.runtime.fusion.weights import Weights

MOUTH = np.array([
    i for i, name in enumerate(BLENDSHAPES) if name.startswith(("jaw", "mouth", "tongue")) or name == "cheekPuff"
])  # fmt: skip
"""Shapes that speech may drive, in a frame's order."""


class Mixer:
    """Mixes a moment of camera and speech. State: that of the idle eyes."""

    def __init__(self, seed: int) -> None:
        self.idle = IdleEyes(seed)
        self._mouth: Float32Array = np.zeros(len(MOUTH), np.float32)

    def step(self, moment: Aligner, weights: Weights, speech_trust: float, now_ns: int, face: FaceState) -> None:
        """Write shapes, head and gaze of ``face`` for ``now_ns``."""
        video, spoken = moment.video, moment.speech
        shapes, upper = face.blendshapes, (1.0 - weights.camera) * weights.idle
        # What is seen has eased with its visibility already: only a mode that shuts the camera out takes it away here.
        share = weights.camera_share
        np.multiply(video.blendshapes, share, out=shapes)
        np.multiply(video.blendshapes[MOUTH], weights.video, out=self._mouth)
        shapes[MOUTH] = self._mouth
        np.multiply(video.gaze, share, out=face.gaze)
        _turn_head(video.head, share, face.head)
        if upper > 0.0:
            self.idle.step(now_ns)
            shapes += upper * self.idle.blendshapes
            face.gaze[:] += upper * self.idle.gaze
        if weights.speech > 0.0 or upper > 0.0:
            mouth = shapes[MOUTH] + weights.speech * spoken[MOUTH]
            shapes += upper * speech_trust * spoken
            shapes[MOUTH] = mouth
        np.clip(shapes, 0.0, 1.0, out=shapes)


def _turn_head(seen: Float32Array, share: float, out: Float32Array) -> None:
    """Write the camera's head, or the way from it to none if the camera is shut out; its place stays."""
    out[:] = seen
    if share < 1.0:
        turn = out[:4]
        turn *= share if turn[3] >= 0 else -share
        turn[3] += 1.0 - share
        turn /= max(float(np.linalg.norm(turn)), 1e-6)
