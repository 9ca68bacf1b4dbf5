"""What the formats decode to, and what they say of a datagram that is not theirs."""

from __future__ import annotations

from dataclasses import dataclass

from facewire.bridge.errors import FacewireError
from facewire.bridge.frame import Float32Array


class DatagramError(FacewireError):
    """A datagram that breaks its format, or is of another; whoever reads it drops and counts it."""


@dataclass(frozen=True, slots=True)
class ReceivedFace:
    """A face that another program tracked, in FaceFrame's units and spaces."""

    blendshapes: Float32Array
    """Shape [52], 0..1, in the order of ``BLENDSHAPES``."""
    rotation: Float32Array
    """Shape [4]: the head's unit quaternion x, y, z, w."""
    gaze: Float32Array
    """Shape [4], as in FaceFrame."""
    position_m: Float32Array | None = None
    """Shape [3]: where the head is, as in FaceFrame; None where the format does not say."""
