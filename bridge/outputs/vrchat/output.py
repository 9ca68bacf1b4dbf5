"""VRChat: the avatar's face by VRCFaceTracking's Unified Expressions, and the eyes by VRChat's own addresses.

OSC over UDP to VRChat's port 9000, in bundles: what moved since it was told last, at most ``MAX_RATE`` times a second,
and everything again every few seconds and for every new avatar. Which parameters the avatar has is known from VRChat's
OSCQuery service, or from the file that VRChat writes when it announces a new avatar (``/avatar/change``); until it is
known, every name is sent as a float. Sources: VRChat's documentation ("OSC Avatar Parameters", "OSC Eye Tracking"),
VRCFaceTracking's ("Parameters").
"""

from __future__ import annotations

import contextlib
import math
import struct
from operator import sub
from pathlib import Path

from facewire.bridge import mapping
from facewire.bridge.formats.osc import MAX_DATAGRAM_BYTES, encode_message
from facewire.bridge.outputs.addresses import is_own, share_network
from facewire.bridge.outputs.base import Output, OutputError
from facewire.bridge.outputs.choose import Target
from facewire.bridge.outputs.udp import UdpSender
from facewire.bridge.outputs.vrchat import avatar
from facewire.bridge.outputs.vrchat.listener import Listener
from facewire.bridge.outputs.vrchat.unified import RESOLUTION, Feed, bundles, element
from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX
from facewire.bridge.shared.clock import NS_PER_S
from facewire.bridge.wire.frame import FaceFrame
from facewire.bridge.wire.pacing import SourceInterval, Thinner

MAX_RATE = 90.0
"""VRChat takes what came once for each picture that it draws, 90 a second in most headsets."""
REFRESH_NS = 4 * NS_PER_S
"""Everything again: datagrams get lost, and VRChat gives the eyes back to itself after 10 s."""
MAX_LOCAL_BYTES = 4096
"""A datagram within this machine is not cut to pieces; VRCFaceTracking sends VRChat as many in one."""
EYE_RESOLUTION_DEG = 0.1
GAZE, LIDS = "/tracking/eye/LeftRightPitchYaw", "/tracking/eye/EyesClosedAmount"
GAZE_HEAD = element(encode_message(GAZE, 0.0, 0.0, 0.0, 0.0))[:-16]
LIDS_HEAD = element(encode_message(LIDS, 0.0))[:-4]
_LEFT_BLINK, _RIGHT_BLINK = BLENDSHAPE_INDEX["eyeBlinkLeft"], BLENDSHAPE_INDEX["eyeBlinkRight"]


class VrchatOutput(Output):
    """Sends what has moved. State: what VRChat was told, the newest frame, and when everything was told."""

    name = "vrchat"

    def __init__(self, target: Target) -> None:
        """Make the output. ``listen`` in the options is a port for VRChat's messages if nobody can tell it ours
        (9001 is its default).

        Raises:
            OutputError: ``listen`` is not a port.
        """
        self._udp = UdpSender(target.host, target.port)
        listen = _port(target.options.get("listen", ""))
        self._listener = Listener(listen, avatar.osc_folders(Path.home()), lambda line: self.notify(line), target.clock)
        self._datagram_bytes = MAX_DATAGRAM_BYTES
        self._table = mapping.load("unified")
        self._feed = Feed(self._table, None)
        self._known = 0
        self._thinner, self._interval = Thinner(MAX_RATE), SourceInterval()
        self._newest: FaceFrame | None = None
        self._late = False
        self._refreshed_ns: int | None = None
        self._gaze_told_deg: list[float] | None = None
        self._lids_told: float | None = None

    def open(self) -> None:
        """Look the host up, and listen to the VRChat there: on loopback if it is on this machine, else on that one's
        network and to that one alone, if this machine is in it.

        Raises:
            OutputError: that is not possible.
        """
        self._udp.open()
        own, other = self._udp.way()
        if is_own(other):  # what a VRChat here has on says nothing of one elsewhere
            self._datagram_bytes = MAX_LOCAL_BYTES
            self._listener.open()
        elif self._is_near(own, other):
            self._listener.open_to(own, other)

    def _is_near(self, own: str, other: str) -> bool:
        with contextlib.suppress(ImportError, ValueError):  # an IPv6 address: VRChat's OSC has IPv4 alone
            return ":" not in own and share_network(own, other)
        return False

    def send(self, frame: FaceFrame, now_ns: int) -> None:
        """Send what has moved, at most ``MAX_RATE`` times a second.

        Raises:
            OutputError: VRChat does not answer.
            OSError: nothing can be sent.
        """
        self.overtaken += self._late
        self._newest, self._late = frame, True
        if self._thinner.take(now_ns, self._interval.update(now_ns)):
            self._tell(frame, now_ns)

    def idle(self, now_ns: int) -> None:
        """Tell the last frame to the end, and again when it is time.

        Raises:
            Exception: what ``send`` raises.
        """
        if self._newest is not None and (self._late or self._is_due(now_ns) or self._known != self._listener.news):
            self._tell(self._newest, now_ns)

    def close(self) -> None:
        """End the listener and close the sockets."""
        self._listener.close()
        self._udp.close()

    def describe(self) -> str:
        """Return where it sends, and what is known of the avatar."""
        known = self._listener.parameters is not None and self._known > 0
        return f"{self._udp}, {len(self._feed)} parameters of the avatar" if known else str(self._udp)

    def _tell(self, frame: FaceFrame, now_ns: int) -> None:
        self._late = False
        if self._known != self._listener.news:
            self._known = self._listener.news
            self._feed = Feed(self._table, self._listener.parameters)
            self._refreshed_ns = None
        if self._is_due(now_ns):
            self._refreshed_ns = now_ns
            self._feed.forget()
            self._gaze_told_deg = self._lids_told = None
        seen = frame.confidence > 0
        elements = self._feed.changes(self._table.apply_frame(frame), (seen and frame.sources != "audio", seen, seen))
        if seen:  # with nobody there, VRChat moves the eyes and blinks by itself after a while
            self._add_eyes(frame, elements)
        for datagram in bundles(elements, self._datagram_bytes):
            self._udp.send(datagram)
        try:
            self._udp.settle()
        except (ConnectionRefusedError, ConnectionResetError):  # as Linux and as Windows report it
            raise OutputError("VRChat is not running, or OSC is off in its Action menu") from None

    def _is_due(self, now_ns: int) -> bool:
        return self._refreshed_ns is None or abs(now_ns - self._refreshed_ns) >= REFRESH_NS

    def _add_eyes(self, frame: FaceFrame, elements: list[bytes]) -> None:
        """VRChat's own eyes, unless the avatar has parameters for them: pitch + down and yaw + right, in degrees."""
        if not self._feed.takes_gaze:
            left_yaw, left_pitch, right_yaw, right_pitch = frame.gaze.tolist()
            now_deg = [_degrees(-rad) for rad in (left_pitch, left_yaw, right_pitch, right_yaw)]
            told_deg = self._gaze_told_deg
            if told_deg is None or max(map(abs, map(sub, now_deg, told_deg))) >= EYE_RESOLUTION_DEG:
                self._gaze_told_deg = now_deg
                elements.append(GAZE_HEAD + struct.pack(">4f", *now_deg))
        if not self._feed.takes_lids:
            shut = (frame.blendshapes.item(_LEFT_BLINK) + frame.blendshapes.item(_RIGHT_BLINK)) / 2
            shut = min(max(shut, 0.0), 1.0) if math.isfinite(shut) else 0.0
            told = self._lids_told
            if told is None or abs(shut - told) >= RESOLUTION or (shut in (0.0, 1.0) and shut != told):
                self._lids_told = shut
                elements.append(LIDS_HEAD + struct.pack(">f", shut))


def _degrees(angle_rad: float) -> float:
    """In degrees, and as much as an eye turns at most."""
    return min(max(math.degrees(angle_rad), -90.0), 90.0) if math.isfinite(angle_rad) else 0.0


def _port(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536):
        raise OutputError(f"vrchat: listen is a port, such as 9001, not {text[:20]!r}")
    return int(text)
