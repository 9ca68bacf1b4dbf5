"""From landmarks to the 52 ARKit blendshapes."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array
from facewire.models.face.landmarks import BLENDSHAPE_INPUT
from facewire.models.face.network import Device, Network
from facewire.models.jit import kernel

NETWORK_NAMES: tuple[str, ...] = (
    "_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff",
    "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight",
    "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight",
    "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen",
    "jawRight", "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight",
    "mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight",
    "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
    "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft",
    "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight",
)  # fmt: skip
"""What the network's outputs are, in its order (face_blendshapes_graph.cc). It knows no tongueOut."""

FROM_NETWORK = np.array([NETWORK_NAMES.index(name) if name in NETWORK_NAMES else -1 for name in BLENDSHAPES], np.int32)


class BlendshapeStage(Protocol):
    """What a tracker asks for the blendshapes. One that corrects another wraps it."""

    def infer(self, landmarks: Float32Array, head: Float32Array, blendshapes: Float32Array) -> None:
        """Write blendshapes [52], 0..1, from landmarks [478, 3] in pixels and the head pose [7]."""


class BlendshapeNetwork:
    """MediaPipe's blendshape network, made for the landmarks of FaceMesh V2. tongueOut is always 0."""

    def __init__(self, *, device: Device = "auto", threads: int = 1) -> None:
        """Load the network.

        Raises:
            ModelError: it cannot be fetched or started.
        """
        self._network = Network("face_blendshapes", "landmarks", ("blendshapes",), device=device, threads=threads)

    @property
    def input(self) -> Float32Array:
        """The network's input [146, 2]: x and y in pixels of the landmarks named by ``BLENDSHAPE_INPUT``."""
        points: Float32Array = self._network.input[0]
        return points

    def run(self, blendshapes: Float32Array) -> None:
        """Write blendshapes [52] from ``input``."""
        (scores,) = self._network.run()
        scatter(scores.reshape(-1), blendshapes)

    def infer(self, landmarks: Float32Array, head: Float32Array, blendshapes: Float32Array) -> None:  # noqa: ARG002
        """See ``BlendshapeStage``."""
        gather(landmarks, self.input)
        self.run(blendshapes)


@kernel
def gather(landmarks: Float32Array, points: Float32Array) -> None:
    """Copy x and y of the landmarks that the network reads to points [146, 2]."""
    for i in range(BLENDSHAPE_INPUT.shape[0]):
        points[i, 0] = landmarks[BLENDSHAPE_INPUT[i], 0]
        points[i, 1] = landmarks[BLENDSHAPE_INPUT[i], 1]


@kernel
def scatter(scores: Float32Array, blendshapes: Float32Array) -> None:
    """Put the network's scores [52] into the frame's order, kept within 0..1."""
    for i in range(FROM_NETWORK.shape[0]):
        k = FROM_NETWORK[i]
        blendshapes[i] = min(max(scores[k], np.float32(0)), np.float32(1)) if k >= 0 else np.float32(0)
