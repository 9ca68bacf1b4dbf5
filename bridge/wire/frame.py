"""The one record that flows through Facewire: a face at one moment.

Names follow ARKit's ``ARFaceAnchor.BlendShapeLocation``; their order is the one in which Live Link Face writes its
CSV columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.shared.face import Sources

SOURCES: tuple[Sources, ...] = get_args(Sources)

LANDMARK_COUNT = 478
"""468 points of the canonical face mesh, then 5 for each iris (left, right) as MediaPipe orders them."""


@dataclass(frozen=True, slots=True)
class FlameParameters:
    """FLAME parameters of one frame; rotations are axis-angle in radians (Li et al. 2017, section 3)."""

    expression: Float32Array
    """Expression coefficients, shape [n], in units of the model's own standard deviations."""
    jaw: Float32Array
    """Jaw rotation, shape [3]."""
    neck: Float32Array
    """Neck rotation, shape [3]."""
    eyes: Float32Array
    """Left, then right eye rotation, shape [6]."""


@dataclass(frozen=True, slots=True)
class FaceFrame:
    """A face at one moment. Arrays belong to the frame: its maker hands over arrays that nobody writes again."""

    seq: int
    """Counts up by one for each frame published in a session."""
    capture_ns: int
    """Session clock in nanoseconds when the newest input behind the frame was captured."""
    publish_ns: int
    """Session clock in nanoseconds when the frame was handed to the server."""
    sources: Sources
    """Which inputs drive it; ``held`` means that input was lost and the face is held or easing to rest."""
    confidence: float
    """0..1, of the tracked face, or of speech if only the microphone drives it."""
    blendshapes: Float32Array
    """Shape [52], 0..1, in the order of ``BLENDSHAPES``."""
    head: Float32Array
    """Shape [7]: unit quaternion x, y, z, w, then translation x, y, z in metres; camera space, right-handed:
    +x to the right of the unmirrored image (the subject's left), +y up, +z from the face towards the camera."""
    gaze: Float32Array
    """Shape [4]: left yaw, left pitch, right yaw, right pitch in radians, relative to the head;
    +yaw turns towards the subject's left, +pitch looks up."""
    landmarks: Float32Array | None = None
    """Shape [478, 3]: x, y in pixels of the source image and relative depth on the same scale."""
    flame: FlameParameters | None = None
    raw: Float32Array | None = None
    """Shape [52], 0..1: the camera's shapes as they were tracked, before calibration, fusion and filters."""
    video_ns: int | None = None
    """Session clock when the picture behind the frame was captured; None if no camera drives it."""
    audio_ns: int | None = None
    """Session clock when the newest sound behind the frame was captured; None if no microphone drives it."""
    extra: Mapping[str, Float32Array] | None = None
    """Further streams by name, as ``wire.streams`` registers them; None if there is none."""
