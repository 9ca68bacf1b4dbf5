"""Unreal's Live Link Face: a datagram a frame, as Epic's phone app sends them."""

from __future__ import annotations

from facewire.bridge.formats.livelink_packet import LiveLinkEncoder
from facewire.bridge.outputs.base import Output, OutputError
from facewire.bridge.outputs.choose import Target
from facewire.bridge.outputs.udp import UdpSender
from facewire.bridge.wire.frame import FaceFrame


class LiveLinkOutput(Output):
    """Sends a datagram a frame. State: whether the last frame showed a face that nobody sees any more."""

    name = "livelink"

    def __init__(self, target: Target) -> None:
        """Make the output; nothing is opened yet.

        Raises:
            OutputError: the subject's name is not valid.
        """
        try:
            self._encoder = LiveLinkEncoder(target.options.get("subject", "Facewire"))
        except ValueError as error:
            raise OutputError(f"livelink: {error}") from None
        self._udp = UdpSender(target.host, target.port)
        self._unseen = True

    def open(self) -> None:
        """Look the host up.

        Raises:
            OutputError: it cannot be sent to.
        """
        self._udp.open()

    def send(self, frame: FaceFrame, now_ns: int) -> None:
        """Send the frame. Its time is when it is sent: a frame that eases to rest has no newer picture.

        Raises:
            OSError: it could not be sent.
        """
        self._unseen = frame.sources == "held"
        self._udp.send(self._encoder.encode(frame, now_ns))
        self._udp.settle()

    def idle(self, now_ns: int) -> None:
        """Say that there is no face, as the app does, once the face that was lost rests.

        Raises:
            OSError: it could not be sent.
        """
        if self._unseen:
            self._udp.send(self._encoder.encode_no_face(now_ns))
            self._udp.settle()

    def close(self) -> None:
        """Close the socket."""
        self._udp.close()

    def describe(self) -> str:
        """Return where it sends."""
        return str(self._udp)
