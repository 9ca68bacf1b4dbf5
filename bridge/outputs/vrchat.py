"""VRChat: the avatar's face by VRCFaceTracking's Unified Expressions, and the eyes by VRChat's own addresses.

OSC over UDP to VRChat's port 9000, in bundles: what moved since it was told last, at most ``MAX_RATE`` times a second,
and everything anew every few seconds and for every new avatar. Which parameters the avatar has is known from VRChat's
OSCQuery service, or from the file that VRChat writes when it tells of a new avatar (``/avatar/change``); until it is
known, every name is sent as a float. Sources: VRChat's documentation ("OSC Avatar Parameters", "OSC Eye Tracking"),
VRCFaceTracking's ("Parameters").
"""

from __future__ import annotations

import atexit
import contextlib
import math
import random
import socket
import struct
import threading
import time
from collections.abc import Callable
from operator import sub
from pathlib import Path

from facewire.bridge import mapping
from facewire.bridge.frame import BLENDSHAPE_INDEX, FaceFrame
from facewire.bridge.outputs import avatar, oscquery
from facewire.bridge.outputs.avatar import AvatarError
from facewire.bridge.outputs.base import Output, OutputError
from facewire.bridge.outputs.choose import Target
from facewire.bridge.outputs.osc import OscError, decode, encode_message
from facewire.bridge.outputs.udp import MAX_DATAGRAM_BYTES, UdpSender
from facewire.bridge.outputs.unified import RESOLUTION, Feed, bundles, element
from facewire.bridge.pacing import NS_PER_S, Backoff, MessageBudget, SourceInterval, Thinner

MAX_RATE = 60.0
"""VRChat takes what came once for each picture that it draws; more would only be overwritten."""
REFRESH_NS = 4 * NS_PER_S
"""Everything anew: datagrams get lost, and VRChat gives the eyes back to itself after 10 s."""
MAX_LOCAL_BYTES = 4096
"""A datagram within this machine is not cut to pieces; VRCFaceTracking sends VRChat as many in one."""
EYE_RESOLUTION_DEG = 0.1
CHANGE = "/avatar/change"
GAZE, LIDS = "/tracking/eye/LeftRightPitchYaw", "/tracking/eye/EyesClosedAmount"
POLL_S = 0.2
MOST_RETRY_S = 10.0
LOADING_S = 10.0
"""How long VRChat's tree may still be the avatar's before."""
LOOK_AGAIN_S = 30.0
"""VRChat tells of a new avatar; this is for the message that was lost."""
MAX_DATAGRAMS_A_SECOND = 200
"""That we look at; the system drops what does not fit its buffer meanwhile."""
GAZE_HEAD = element(encode_message(GAZE, 0.0, 0.0, 0.0, 0.0))[:-16]
LIDS_HEAD = element(encode_message(LIDS, 0.0))[:-4]
_LEFT_BLINK, _RIGHT_BLINK = BLENDSHAPE_INDEX["eyeBlinkLeft"], BLENDSHAPE_INDEX["eyeBlinkRight"]


class VrchatOutput(Output):
    """Carries over what VRChat was told, the newest frame, and when everything was told."""

    name = "vrchat"

    def __init__(self, target: Target) -> None:
        """``listen`` in the options: a port for VRChat's messages where nobody can tell it ours (9001 is its default).
        Raises OutputError."""
        self._udp = UdpSender(target.host, target.port)
        listen = _port(target.options.get("listen", ""))
        self._listener = Listener(listen, avatar.osc_folders(Path.home()), lambda line: self.report(line))
        self._datagram_bytes = MAX_LOCAL_BYTES if oscquery.is_own(target.host) else MAX_DATAGRAM_BYTES
        self._table = mapping.load("unified")
        self._values = self._table.new_values()
        self._feed = Feed(self._table, None)
        self._known = 0
        self._thinner, self._interval = Thinner(MAX_RATE), SourceInterval()
        self._newest: FaceFrame | None = None
        self._late = False
        self._refreshed_ns: int | None = None
        self._gaze_told_deg: list[float] | None = None
        self._lids_told: float | None = None

    def open(self) -> None:
        """Raises OutputError."""
        self._udp.open()
        self._listener.open()

    def send(self, frame: FaceFrame, now_ns: int) -> None:
        """Raises OSError where VRChat is not there."""
        self._newest, self._late = frame, True
        if self._thinner.take(now_ns, self._interval.update(now_ns)):
            self._tell(frame, now_ns)

    def idle(self, now_ns: int) -> None:
        """Tells the last frame to the end, and again when it is time. Raises OSError."""
        if self._newest is not None and (self._late or self._is_due(now_ns) or self._known != self._listener.news):
            self._tell(self._newest, now_ns)

    def close(self) -> None:
        """Ends the listener and closes the sockets."""
        self._listener.close()
        self._udp.close()

    def describe(self) -> str:
        """Where it sends, and what is known of the avatar."""
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
        self._table.apply_frame(frame, self._values)
        seen = frame.confidence > 0
        elements = self._feed.changes(self._values, (seen and frame.sources != "audio", seen, seen))
        if seen:  # with nobody there, VRChat moves the eyes and blinks by itself after a while
            self._add_eyes(frame, elements)
        for datagram in bundles(elements, self._datagram_bytes):
            self._udp.send(datagram)
        self._udp.settle()

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
            shut = float(frame.blendshapes[_LEFT_BLINK] + frame.blendshapes[_RIGHT_BLINK]) / 2
            shut = min(max(shut, 0.0), 1.0) if math.isfinite(shut) else 0.0
            told = self._lids_told
            if told is None or abs(shut - told) >= RESOLUTION or (shut in (0.0, 1.0) and shut != told):
                self._lids_told = shut
                elements.append(LIDS_HEAD + struct.pack(">f", shut))


def _degrees(angle_rad: float) -> float:
    """In degrees, and as much as an eye turns at most."""
    return min(max(math.degrees(angle_rad), -90.0), 90.0) if math.isfinite(angle_rad) else 0.0


class Listener:
    """What VRChat tells us: its avatar. Has a thread, which also asks VRChat's OSCQuery service and reads files.

    ``parameters`` is the avatar's list, or None while nobody knows it; ``news`` counts up with each change.
    """

    def __init__(
        self, port: int, folders: list[Path], report: Callable[[str], None], interfaces: list[str] | None = None
    ) -> None:
        """``port`` 0 is any; ``folders`` are VRChat's; ``interfaces`` are for mDNS, None for all."""
        self.parameters: avatar.Parameters | None = None
        self.news = 0
        self.advert: oscquery.Advert | None = None
        """Whether OSCQuery tells of us; None where it does not."""
        self._port, self._folders, self._report, self._interfaces = port, folders, report, interfaces
        self._socket: socket.socket | None = None
        self._service: tuple[str, int] | None = None
        self._identity: str | None = None
        self._changed_s = -LOADING_S
        self._ask_s: float | None = None
        self._retries = Backoff(random.random, most_s=MOST_RETRY_S)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="facewire-vrchat", daemon=True)

    def open(self) -> None:
        """Listens on loopback. Raises OutputError where the port is taken."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind(("127.0.0.1", self._port))
        except OSError as error:
            raise OutputError(
                f"cannot listen to VRChat on 127.0.0.1:{self._port}: {error.strerror or error}; another OSC program "
                "may listen there: leave listen out, or choose another port"
            ) from None
        self._socket.settimeout(POLL_S)
        self._port = self._socket.getsockname()[1]
        atexit.register(self._leave)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    def close(self) -> None:
        """Has the thread end, which says good-bye and closes the socket; waits for nothing. Safe to call twice, and
        before ``open``."""
        self._stop.set()
        if self._socket is None:
            return
        if not self._thread.is_alive():
            self._socket.close()
        with contextlib.suppress(OSError):
            self._socket.sendto(b"", ("127.0.0.1", self._port))  # wakes the thread

    def found(self, host: str, port: int) -> None:
        """Takes note of VRChat's OSCQuery service."""
        self._retries.reset()
        self._service, self._ask_s = (host, port), 0.0

    def _leave(self) -> None:
        """At the program's end: the good-bye must be out before threads are cut off."""
        self.close()
        self._thread.join(1.0)

    def _run(self) -> None:
        assert self._socket is not None
        with self._socket, contextlib.closing(oscquery.QueryServer("Facewire", self._port)) as server:
            self._serve(server.port)
        atexit.unregister(self._leave)

    def _serve(self, http_port: int) -> None:
        try:
            self._advertise(http_port)
            budget = MessageBudget(MAX_DATAGRAMS_A_SECOND, MAX_DATAGRAMS_A_SECOND)
            while not self._stop.is_set():
                self._receive()
                if not budget.spend(time.monotonic_ns()):
                    self._stop.wait(POLL_S)
                if self._ask_s is not None and time.monotonic() >= self._ask_s:
                    self._ask()
        finally:
            if self.advert is not None:
                self.advert.close()

    def _advertise(self, http_port: int) -> None:
        try:
            self.advert = oscquery.Advert(http_port, self._port, self.found, self._interfaces)
        except ImportError:
            why = "zeroconf is missing: pip install 'facewire[vrchat]'"
        except Exception as error:  # zeroconf's own, or no network: the face goes out all the same
            why = str(error) or type(error).__name__
        else:
            return
        self._report(f"OSCQuery is not advertised ({why}); every parameter is sent as a float")

    def _receive(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(4096)
        except OSError:  # nothing came; ICMP for what nobody sent; or it is closed
            return
        try:
            messages = decode(data)
        except OscError:
            return
        for address, arguments in messages:
            if address == CHANGE and arguments and isinstance(arguments[0], str):
                self._change(arguments[0])

    def _change(self, identity: str) -> None:
        """A new avatar: its list from the file at once, and from VRChat as soon as it has one."""
        self._identity, self._changed_s = identity, time.monotonic()
        file = avatar.find_file(identity, self._folders)
        parameters = None
        if file is not None:
            try:
                if file.stat().st_size <= avatar.MAX_BYTES:
                    parameters = avatar.from_file(file.read_bytes())[1]
            except (OSError, AvatarError):
                parameters = None
        self._publish(parameters)
        if self._service is not None:
            self._retries.reset()
            self._ask_s = 0.0

    def _ask(self) -> None:
        assert self._service is not None
        try:
            identity, parameters = oscquery.fetch_avatar(*self._service)
            if identity != self._identity and time.monotonic() < self._changed_s + LOADING_S:
                raise AvatarError("it still tells of the avatar before")
        except (OSError, AvatarError):
            self._ask_s = time.monotonic() + self._retries.next_s()
            return
        self._retries.reset()
        self._ask_s = time.monotonic() + LOOK_AGAIN_S
        if parameters != self.parameters:
            self._publish(parameters)

    def _publish(self, parameters: avatar.Parameters | None) -> None:
        self.parameters = parameters
        self.news += 1


def _port(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536):
        raise OutputError(f"vrchat: listen is a port, such as 9001, not {text[:20]!r}")
    return int(text)
