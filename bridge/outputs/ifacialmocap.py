"""iFacialMocap: the phone app's lines, to a program on this machine, or to those that ask for them as one asks a phone.

Programs that read the app bind its port, 49983, themselves; so on one machine nobody can ask, and lines are simply
sent there. With ``phone=ADDRESS`` Facewire takes the phone's place in the network: it waits on that port for the
hand-shake and answers to the same port of the machine that asked.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from facewire.bridge.formats.ifacialmocap_text import encode, read_handshake
from facewire.bridge.outputs.base import Output, OutputError
from facewire.bridge.outputs.choose import Target, is_local
from facewire.bridge.outputs.udp import UdpSender
from facewire.bridge.wire.frame import FaceFrame

MAX_ASKERS = 4
"""Programs that are answered at once; one more takes the place of the first."""
MAX_REQUESTS = 16
"""Datagrams that are looked at between two frames."""
VERSIONS = {"v1": 1, "v2": 2}


class IFacialMocapOutput(Output):
    """Sends a line a frame.

    State: the last frame, which is repeated as the app does while it sees no face, and who has asked.
    """

    name = "ifacialmocap"

    def __init__(self, target: Target) -> None:
        """Make the output; nothing is opened yet.

        Raises:
            OutputError: ``phone`` names no address.
        """
        self._version = VERSIONS[target.options.get("version", "v1")]
        address = target.options.get("phone")
        if address == "":
            raise OutputError("ifacialmocap: phone is the address to wait on: 127.0.0.1, or 0.0.0.0 for every network")
        self._phone = None if address is None else PhonePort(address, target.port)
        self._udp = UdpSender(target.host, target.port)
        self._frame: FaceFrame | None = None

    def open(self) -> None:
        """Look the host up, or listen as a phone does.

        Raises:
            OutputError: that is not possible.
        """
        if self._phone is None:
            self._udp.open()
        else:
            self._phone.open()
            self._note_waiting()

    def send(self, frame: FaceFrame, now_ns: int) -> None:
        """Send the frame's line.

        Raises:
            OSError: it could not be sent.
        """
        del now_ns
        self._frame = frame
        if self._phone is not None:
            self._phone.answer(lambda version: encode(frame, version))
            self._note_waiting()
            return
        self._udp.send(encode(frame, self._version))
        self._udp.settle()

    def idle(self, now_ns: int) -> None:
        """Repeat the last frame, and check whether somebody asks.

        Raises:
            OSError: it could not be sent.
        """
        if self._frame is not None:
            self.send(self._frame, now_ns)
        elif self._phone is not None:
            self._phone.look()
            self._note_waiting()

    def close(self) -> None:
        """Close the sockets."""
        self._udp.close()
        if self._phone is not None:
            self._phone.close()

    def describe(self) -> str:
        """Return where it sends, or what it listens on."""
        return str(self._udp) if self._phone is None else str(self._phone)

    def _note_waiting(self) -> None:
        asked = self._phone is None or self._phone.askers
        self.waiting = None if asked else f"a program that asks for iFacialMocap on {self._phone}"


class PhonePort:
    """The phone's side of the hand-shake: a port, and who has asked there. Never waits.

    Only machines of this machine's own networks are answered: a datagram's sender can be forged, and nobody outside
    shall be sent what they did not ask for.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self.askers: dict[tuple[str, int], int] = {}
        """Where lines go, and in which version."""
        self.refused = 0
        """Datagrams that were no hand-shake, or came from outside."""
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Listen.

        Raises:
            OutputError: the port is taken.
        """
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.bind((self._host, self._port))
        except (OSError, UnicodeError) as error:
            self.close()
            what = getattr(error, "strerror", None) or error
            raise OutputError(
                f"ifacialmocap cannot listen on {self} ({what}): is a program that reads iFacialMocap running here? "
                "Then leave phone out"
            ) from None

    def answer(self, encode: Callable[[int], bytes]) -> None:
        """Look for new askers, then send each the line of its version.

        Raises:
            OSError: one was not sent.
        """
        assert self._socket is not None, "call open first"
        self.look()
        lines: dict[int, bytes] = {}
        problem: OSError | None = None
        for address, version in self.askers.items():
            lines.setdefault(version, b"")
            if not lines[version]:
                lines[version] = encode(version)
            try:
                self._socket.sendto(lines[version], address)
            except OSError as error:
                problem = error
        if problem is not None:
            raise problem

    def look(self) -> None:
        """Take the hand-shakes that have come."""
        assert self._socket is not None, "call open first"
        for _ in range(MAX_REQUESTS):
            try:
                data, (host, port) = self._socket.recvfrom(256)
            except BlockingIOError:
                return
            except OSError:
                continue  # Windows: an answer reached nobody, or a datagram was longer than a hand-shake
            version = read_handshake(data)
            if version is None or not is_local(host):
                self.refused += 1
                continue
            # On this machine the app's port is ours: a program that asks from here gets the answer where it asked.
            address = (host, port if _is_here(host) else self._port)
            self.askers.pop(address, None)
            self.askers[address] = version
            if len(self.askers) > MAX_ASKERS:
                del self.askers[next(iter(self.askers))]

    def close(self) -> None:
        """Close the socket; safe to call twice."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __str__(self) -> str:
        return f"{self._host}:{self._port}"


def _is_here(host: str) -> bool:
    """Whether an address is one of this machine's: then the way to it begins at itself. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 9))
        except OSError:
            return False
        return bool(probe.getsockname()[0] == host)
