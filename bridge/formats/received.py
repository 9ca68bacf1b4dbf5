"""What the formats decode to, and what they say of a datagram that is not theirs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.shared.errors import FacewireError


class DatagramError(FacewireError):
    """A datagram that breaks its format, or is of another; the reader drops and counts it."""


class OlderDatagramError(DatagramError):
    """A datagram that was overtaken by a newer one on its way, or came twice."""


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


class FaceReader(Protocol):
    """Reads one sender's datagrams in the order in which they come."""

    face: ReceivedFace | None
    """The newest face; None while the sender sees none."""

    def take(self, data: memoryview, now_ns: int) -> bool:
        """Take a datagram that came at ``now_ns``; True if it says something new of the face.

        Raises:
            DatagramError: it changes nothing; ``face`` is as before.
        """
        ...

    def reset(self) -> None:
        """Forget the sender: the next datagram may be another one's."""
        ...

    def device_of(self, data: memoryview) -> str:
        """Return what a datagram says of the device that sends it; empty where the format has no place for that.

        Raises:
            DatagramError: it is not one of this format.
        """
        ...

    def follows(self, data: memoryview) -> bool:
        """Return whether a datagram's time can follow the newest one's: true where the format has none.

        Raises:
            DatagramError: it is not one of this format.
        """
        ...
