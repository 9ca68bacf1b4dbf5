"""Keeps Attention Mesh's blendshapes near FaceMesh V2's by asking V2 a few times a second.

A part of Attention Mesh's error in the blendshapes belongs to the person and the pose of the moment: it changes slowly,
and no training on other people takes it away. So now and then FaceMesh V2 looks at the same image too, and most of the
difference between the two is added to what Attention Mesh gives until V2 looks again. What is quick stays Attention
Mesh's own. docs/attention-blendshapes.md has the figures.
"""

from __future__ import annotations

import numpy as np

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array, Float64Array, Image
from facewire.models.face.blendshapes import BlendshapeNetwork
from facewire.models.face.landmarks import LANDMARK_COUNT
from facewire.models.face.meshes import FaceMeshV2
from facewire.models.face.network import Device
from facewire.models.jit import kernel

INTERVAL_NS = 150_000_000
"""How often V2 looks: at 30 images a second every fifth time. Each costs about two steps of Attention Mesh's."""
GAIN = 0.7
"""How much of what has changed between the two is believed at once; less than all, as V2's shapes are noisy too."""
LEAST_PROBABILITY = 0.5
"""V2 must see a face at least so surely to be believed."""


class Anchor:
    """State: the offset of each shape and when V2 last looked. Delay: none."""

    def __init__(self, *, device: Device = "auto", threads: int = 1, interval_ns: int = INTERVAL_NS) -> None:
        """Load the networks.

        Raises:
            ModelError: a network cannot be fetched or started.
        """
        self._mesh = FaceMeshV2(device=device, threads=threads)
        self._shapes = BlendshapeNetwork(device=device, threads=threads)
        self._interval_ns = interval_ns
        self._landmarks = np.zeros((LANDMARK_COUNT, 3), np.float32)
        self._wanted = np.zeros(len(BLENDSHAPES), np.float32)
        self._offset = np.zeros(len(BLENDSHAPES), np.float32)
        self.reset()

    def reset(self) -> None:
        """Forget the person: the next step asks V2 at once."""
        self._offset[:] = 0
        self._gain = 1.0
        self._last_ns: int | None = None

    def step(self, image: Image, region: Float64Array, head: Float32Array, now_ns: int, shapes: Float32Array) -> None:
        """Move blendshapes [52] of the face in that region of the contiguous BGR image, in place, at ``now_ns``."""
        if self._last_ns is None or not 0 <= now_ns - self._last_ns < self._interval_ns:
            self._last_ns = now_ns
            if self._mesh.infer(image, region, self._landmarks) >= LEAST_PROBABILITY:
                self._shapes.infer(self._landmarks, head, self._wanted)
                approach(shapes, self._wanted, self._gain, self._offset)
                self._gain = GAIN
        add_offset(self._offset, shapes)


@kernel
def approach(shapes: Float32Array, wanted: Float32Array, gain: float, offset: Float32Array) -> None:
    """Move the offset [52] towards what the shapes lack of the wanted ones."""
    for i in range(offset.shape[0]):
        offset[i] += np.float32(gain) * (wanted[i] - shapes[i] - offset[i])


@kernel
def add_offset(offset: Float32Array, shapes: Float32Array) -> None:
    """Add the offset to the shapes [52], kept within 0..1."""
    for i in range(shapes.shape[0]):
        shapes[i] = min(max(shapes[i] + offset[i], np.float32(0)), np.float32(1))
