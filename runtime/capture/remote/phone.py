"""Phones and other programs that track a face themselves and send it here by UDP."""

from __future__ import annotations

import contextlib
import ipaddress
import select
import socket
from collections.abc import Callable

import numpy as np

from facewire.bridge.formats.ifacialmocap_text import encode_handshake
from facewire.bridge.formats.received import DatagramError, FaceReader, OlderDatagramError, ReceivedFace
from facewire.bridge.shared.arrays import Float32Array, Image
from facewire.bridge.shared.clock import Clock, now_ns
from facewire.bridge.shared.face import REST_DISTANCE_M, FaceState
from facewire.runtime.capture.video.source import CapturedFace, CaptureError, Source, SourceSilent
from facewire.runtime.tools.network import own_address, route_to

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
NOWHERE_M: Float32Array = np.array([0, 0, -REST_DISTANCE_M], np.float32)
"""Where a head is whose sender does not say: straight before the camera."""


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
    ) -> None:
        """Get ready to listen on ``host``; if there is a ``phone``, on the address that faces it, and to nobody else.

        With a ``phone_port`` the phone is asked there for iFacialMocap's frames.
        """
        super().__init__()
        self.name = name
        self._reader, self._host, self._port = reader, host, port
        self._phone, self._phone_port = phone, phone_port
        self._notify, self._clock = notify, clock
        self._phone_address: str | None = None
        self._socket: socket.socket | None = None
        self._buffer = bytearray(65536)
        self._view = memoryview(self._buffer)
        self._holder: tuple[str, int] | None = None
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
            if self._take(self._view[:size], (str(sender[0]), int(sender[1])), now):
                news, arrived_ns = news + 1, now
        if not news:
            return None
        self._dropped["overtaken"] += news - 1
        face = self._reader.face
        return CapturedFace(None if face is None else to_face(face), arrived_ns)

    def _take(self, data: memoryview, sender: tuple[str, int], now: int) -> bool:
        """Return whether a datagram says something new. Only one that its format knows gives its sender the port."""
        wrong = self._phone_address is not None and sender[0] != self._phone_address
        held = self._holder is not None and now - self._heard_ns < HOLD_NS
        if wrong or (held and sender != self._holder):
            self._refuse(sender[0])
            return False
        if sender != self._holder:
            self._reader.reset()
        news = False
        try:
            news = self._reader.take(data, now)
        except OlderDatagramError:
            self._dropped["late"] += 1
        except DatagramError:
            self._dropped["broken"] += 1
            return False
        self._holder, self._heard_ns = sender, now
        return news

    def _refuse(self, host: str) -> None:
        self._dropped["foreign"] += 1
        if host not in self._named and len(self._named) < MAX_NAMED:
            self._named.add(host)
            heard = self._phone_address or (self._holder or ("another",))[0]
            who, heard = (f"another program on {host}", "the first") if host == heard else (host, heard)
            self._notify(f"{self.name}: {who} sends too; only {heard} is used (further ones are counted)")

    def _ask(self) -> None:
        """Send the hand-shake while nothing comes; a phone that sleeps is asked until it wakes."""
        now = self._clock()
        silent = self._holder is None or now - self._heard_ns > ASK_NS
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
        if self._holder is None:
            raise SourceSilent(f"{self.name}: nothing has arrived yet; make the app send to {self._where()}")
        raise SourceSilent(f"{self.name}: nothing arrives any more from {self._holder[0]}; is the app still open?")

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

    def _where(self) -> str:
        host, port = self.address
        return f"{own_address() if ipaddress.ip_address(host).is_unspecified else host}, UDP port {port}"


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


def describe_opening(address: tuple[str, int], phone: str | None) -> str:
    """Return what an open port means, in one line."""
    host, port = address
    where = f"UDP {f'[{host}]' if ':' in host else host}:{port}"
    if ipaddress.ip_address(host).is_loopback:
        return f"{where}, to this machine only"
    if phone is not None:
        return f"{where}, to the phone {phone} only"
    machine = own_address() if ipaddress.ip_address(host).is_unspecified else host
    return f"{where}, to the network: anyone who reaches this machine there ({machine}) can move the face"
