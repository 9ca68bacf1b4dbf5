"""Phones and other programs that track a face themselves and send it here by UDP."""

from __future__ import annotations

import contextlib
import ipaddress
import select
import socket
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from facewire.bridge.formats.ifacialmocap_text import encode_handshake
from facewire.bridge.formats.received import DatagramError, FaceReader, OlderDatagramError, ReceivedFace
from facewire.bridge.shared.arrays import Float32Array, Image
from facewire.bridge.shared.clock import Clock, now_ns
from facewire.bridge.shared.face import REST_DISTANCE_M, FaceState
from facewire.runtime.capture.remote.sender import Sender
from facewire.runtime.capture.video.source import CapturedFace, CaptureError, Source, SourceSilent
from facewire.runtime.tools.network import find_own_address, route_to

WAIT_S = 0.1
HOLD_NS = 1_000_000_000
"""The sender has the port for itself until it was silent for this long."""
SILENT_NS = 2_000_000_000
"""Silence that a person should be told of."""
ASK_NS = 1_000_000_000
"""How often a phone that is silent is asked for frames."""
MAX_DRAIN = 256
"""Datagrams that are taken at once; the rest wait in the system's buffer, which drops the newest when it is full."""
MAX_NAMED = 16
NO_NETWORK = "it is in no network now: join the phone's"
NOWHERE_M: Float32Array = np.array([0, 0, -REST_DISTANCE_M], np.float32)
"""Where a head is whose sender does not say: straight before the camera."""


@dataclass(frozen=True, slots=True)
class App:
    """What sends faces."""

    title: str
    port: int
    """That it sends to by itself."""
    reader: Callable[[], FaceReader]
    name: str
    """In ``--video``."""
    names_device: bool = False
    """Whether its datagrams say which device they come from."""

    def former_names(self, port: int) -> tuple[str, ...]:
        """Return what earlier versions called what sends to ``port``, or to the usual one."""
        return tuple(f"{self.title} on port {one}" for one in dict.fromkeys((port, self.port)))


class PhoneSource(Source):
    """Listens on one port and gives the newest face that came there. Delay: none beyond the way here.

    State: the sender, and when it was heard last. Drop policy: of several datagrams that wait, the newest counts;
    late, broken and foreign ones are counted.
    """

    kind, gives, returns, rate = "phone", "faces", True, 60.0

    def __init__(
        self,
        name: str,
        reader: FaceReader,
        host: str,
        port: int,
        *,
        phone: str | None = None,
        phone_port: int | None = None,
        notify: Callable[[str], None] = lambda _: None,
        clock: Clock = now_ns,
        app: App | None = None,
    ) -> None:
        """Get ready to listen on ``host``; if there is a ``phone``, on the address that faces it, and to nobody else.

        With a ``phone_port`` the phone is asked there for iFacialMocap's frames. If there is an ``app``, what sends is
        known again by that and by the device that its datagrams name, once by the port; else by ``name``.
        """
        super().__init__()
        self.name, self._app = name, app
        if app is not None:
            self._be(name, app.title, (app.title,) if app.names_device else app.former_names(port))
        self._reader, self._host, self._port = reader, host, port
        self._phone, self._phone_port = phone, phone_port
        self._notify, self._clock = notify, clock
        self._phone_address: str | None = None
        self._socket: socket.socket | None = None
        self._buffer = bytearray(65536)
        self._view = memoryview(self._buffer)
        self._sender = Sender()
        self._heard_ns = self._asked_ns = self._said_ns = 0
        self._named: set[str] = set()
        self._dropped = {"late": 0, "broken": 0, "foreign": 0, "overtaken": 0}

    @property
    def dropped(self) -> dict[str, int]:
        """Datagrams that were not used: overtaken on their way, no face's, somebody else's, or replaced by a newer one
        before anybody looked."""
        return dict(self._dropped)

    @property
    def listening(self) -> bool:
        """Whether it is open."""
        return self._socket is not None

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens, once it is open."""
        assert self._socket is not None, "call open first"
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    def open(self) -> None:
        """Listen from now on.

        Raises:
            CaptureError: the port is taken, or the phone has no such address.
        """
        if self._socket is not None:
            return
        if self._phone is not None:
            self._phone_address, self._host = find_route(self._phone)
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            self._socket = socket.socket(family, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
            self._socket.bind((self._host, self._port))
        except (OSError, UnicodeError) as error:
            self.close()
            why = getattr(error, "strerror", None) or error
            raise CaptureError(
                f"{self.name} cannot listen on {self._host}, UDP port {self._port} ({why}): "
                "stop what listens there, or choose another address or port"
            ) from None
        self._heard_ns = self._said_ns = self._clock()
        self._asked_ns = 0
        self.opened = describe_opening(self.address, self._phone_address)

    def read(self, spare: Image | None = None) -> CapturedFace | None:
        """Wait for the next face.

        Raises:
            SourceSilent: nothing has come for some time.
            CaptureError: it is not open, or its address is lost.
        """
        del spare
        while not self._interrupted.is_set():
            if self._socket is None:
                raise CaptureError(f"{self.name} is not open")
            self._ask()
            if select.select([self._socket], [], [], WAIT_S)[0]:
                captured = self._drain(self._socket)
                if captured is not None:
                    return captured
            self._check_silence()
        return None

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _drain(self, one: socket.socket) -> CapturedFace | None:
        """Take what waits; None if nothing of it is news."""
        news = arrived_ns = 0
        for _ in range(MAX_DRAIN):
            try:
                size, sender = one.recvfrom_into(self._buffer)
            except BlockingIOError:
                break
            except ConnectionError:
                continue  # Windows says so if a hand-shake found nobody
            except OSError as error:
                raise CaptureError(f"{self.name} cannot receive any more: {error.strerror or error}") from None
            now = self._clock()
            if self._take(self._view[:size], str(sender[0]), int(sender[1]), now):
                news, arrived_ns = news + 1, now
        if not news:
            return None
        self._dropped["overtaken"] += news - 1
        face = self._reader.face
        return CapturedFace(None if face is None else to_face(face), arrived_ns)

    def _take(self, data: memoryview, host: str, port: int, now: int) -> bool:
        """Return whether a datagram says something new. Only one that its format knows gives its sender the port."""
        sender = self._sender
        wrong = self._phone_address is not None and host != self._phone_address
        held = sender.host is not None and now - self._heard_ns < HOLD_NS
        news = False
        try:
            device = "" if wrong else self._reader.device_of(data)
            same = sender.is_it(host, port, device, lambda: self._reader.follows(data))
            if wrong or (held and not same):
                self._refuse(host)
                return False
            if not same:
                sender.restart()
                self._reader.reset()
            news = self._reader.take(data, now)
        except OlderDatagramError:
            self._dropped["late"] += 1
        except DatagramError:
            if held and not sender.was_at(host, port):
                self._refuse(host)
            else:
                self._dropped["broken"] += 1
            return False
        self._note(host, port, device, now)
        return news

    def _note(self, host: str, port: int, device: str, now: int) -> None:
        """Take the sender of a datagram that was understood for who has the port."""
        if self._app is not None and device != self._sender.device:
            self._be(self.name, f"{self._app.title} {device}".strip(), self._app.former_names(self._port))
        self._sender.note(host, port, device)
        self._heard_ns = now

    def _refuse(self, host: str) -> None:
        self._dropped["foreign"] += 1
        if host not in self._named and len(self._named) < MAX_NAMED:
            self._named.add(host)
            heard = self._phone_address or self._sender.host or "another"
            who, heard = (f"another program on {host}", "the first") if host == heard else (host, heard)
            self._notify(f"{self.name}: {who} sends too; only {heard} is used (further ones are counted)")

    def _ask(self) -> None:
        """Send the hand-shake while nothing comes; a phone that sleeps is asked until it wakes."""
        now = self._clock()
        silent = self._sender.host is None or now - self._heard_ns > ASK_NS
        if self._phone_port is None or not silent or now - self._asked_ns < ASK_NS:
            return
        self._asked_ns = now
        assert self._socket is not None
        assert self._phone_address is not None
        with contextlib.suppress(OSError):  # no network now; it is asked again, and silence is reported
            self._socket.sendto(encode_handshake(), (self._phone_address, self._phone_port))

    def _check_silence(self) -> None:
        now = self._clock()
        if now - self._heard_ns < SILENT_NS or now - self._said_ns < SILENT_NS:
            return
        self._said_ns = now
        self._check_way()
        if self._sender.host is None:
            raise SourceSilent(f"{self.name}: nothing has arrived yet; {self._advice()}")
        raise SourceSilent(f"{self.name}: nothing arrives any more from {self._sender.host}; is the app still open?")

    def _check_way(self) -> None:
        """Check that neither the phone nor this machine has a new address: then nothing would arrive here any more."""
        if self._phone is None:
            return
        try:
            way = find_route(self._phone)
        except CaptureError:
            return  # no network at all: it may come back as it was
        if way != (self._phone_address, self._host):
            raise CaptureError(f"{self.name}: its address has changed, or this machine's")

    def _advice(self) -> str:
        host, port = self.address
        return where_to_send(host, port, "livelink" if self._app is None else self._app.name)


def to_face(received: ReceivedFace) -> FaceState:
    """Return a received face as the pipeline expects it: sure of itself, for the formats have no doubts."""
    position_m = NOWHERE_M if received.position_m is None else received.position_m
    return FaceState.of(received.blendshapes, np.concatenate([received.rotation, position_m]), received.gaze)


def find_route(phone: str) -> tuple[str, str]:
    """Return a phone's address and this machine's own on the way to it; nothing is sent.

    Raises:
        CaptureError: there is no way to it.
    """
    try:
        return route_to(phone)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise CaptureError(f"cannot reach the phone {phone!r} ({why}): check its address and the Wi-Fi") from None


def where_to_send(host: str, port: int, option: str) -> str:
    """Return what to do so that datagrams come to a port that is open on ``host``; ``option`` is the input's name."""
    machine = find_own_address() if ipaddress.ip_address(host).is_unspecified else host
    if not ipaddress.ip_address(host).is_loopback:
        return f"make the app send to {machine or NO_NETWORK}, UDP port {port}"
    network = find_own_address()
    to = f"{network}, port {port}" if network else f"this machine's address, port {port} ({NO_NETWORK})"
    return (
        f"a program on this machine has to send to {host}, UDP port {port}; a phone cannot reach that: "
        f"start again with --video {option}:0.0.0.0:{port}, and make the app send to {to}"
    )


def describe_opening(address: tuple[str, int], phone: str | None) -> str:
    """Return what an open port means, in one line."""
    host, port = address
    where = f"UDP {f'[{host}]' if ':' in host else host}:{port}"
    if ipaddress.ip_address(host).is_loopback:
        return f"{where}, to this machine only"
    if phone is not None:
        return f"{where}, to the phone {phone} only"
    machine = (find_own_address() or NO_NETWORK) if ipaddress.ip_address(host).is_unspecified else host
    return f"{where}, to the network: anyone who reaches this machine there ({machine}) can move the face"
