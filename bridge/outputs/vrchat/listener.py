"""What VRChat tells of its avatar to senders of faces: by OSC, by OSCQuery, and in the files that it writes."""

from __future__ import annotations

import atexit
import contextlib
import random
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from facewire.bridge.formats.osc import OscError, decode
from facewire.bridge.outputs.base import OutputError
from facewire.bridge.outputs.vrchat import avatar, oscquery
from facewire.bridge.outputs.vrchat.avatar import AvatarError
from facewire.bridge.shared.clock import NS_PER_S, Clock
from facewire.bridge.shared.install import install_extra
from facewire.bridge.shared.regular_file import read_regular
from facewire.bridge.wire.pacing import Backoff, MessageBudget

CHANGE = "/avatar/change"
POLL_S = 0.2
MOST_RETRY_S = 10.0
LOADING_NS = 10 * NS_PER_S
"""How long VRChat's tree may still be the avatar's before."""
LOOK_AGAIN_NS = 30 * NS_PER_S
"""VRChat announces a new avatar; this is for the message that was lost."""
MAX_DATAGRAMS_A_SECOND = 200
"""That we look at; the system drops what does not fit its buffer meanwhile."""


class Listener:
    """What VRChat tells us: its avatar. Has a thread, which also asks VRChat's OSCQuery service and reads files.

    ``parameters`` is the avatar's list, or None while nobody knows it; ``news`` counts up with each change.
    """

    def __init__(
        self,
        port: int,
        folders: list[Path],
        notify: Callable[[str], None],
        clock: Clock,
        interfaces: list[str] | None = None,
    ) -> None:
        """``port`` 0 is any; ``folders`` are VRChat's; ``interfaces`` are for mDNS, None for the one listened on."""
        self.parameters: avatar.Parameters | None = None
        self.news = 0
        self.advert: oscquery.Advert | None = None
        """What announces us by OSCQuery; None if nothing does."""
        self._port, self._folders, self._interfaces = port, folders, interfaces
        self._notify, self._clock = notify, clock
        self._host = oscquery.LOOPBACK
        self._peer: str | None = None
        self._socket: socket.socket | None = None
        self._service: tuple[str, int] | None = None
        self._identity: str | None = None
        self._changed_ns = -LOADING_NS
        self._ask_ns: int | None = None
        self._retries = Backoff(random.random, most_s=MOST_RETRY_S)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="facewire-vrchat", daemon=True)

    def open(self) -> None:
        """Listen on loopback.

        Raises:
            OutputError: the port is taken.
        """
        self._listen(oscquery.LOOPBACK, None)

    def open_to(self, host: str, peer: str) -> None:
        """Listen on this machine's address ``host``, to the VRChat at the address ``peer`` alone.

        Raises:
            OutputError: the port is taken.
        """
        self._listen(host, peer)

    def _listen(self, host: str, peer: str | None) -> None:
        self._host, self._peer = host, peer
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind((host, self._port))
        except OSError as error:
            raise OutputError(
                f"cannot listen to VRChat on {host}:{self._port}: {error.strerror or error}; another OSC program "
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
        """Make the thread end, which says good-bye and closes the socket; wait for nothing. Safe to call twice, and
        before ``open``."""
        self._stop.set()
        if self._socket is None:
            return
        if not self._thread.is_alive():
            self._socket.close()
        with contextlib.suppress(OSError):
            self._socket.sendto(b"", (self._host, self._port))  # wakes the thread

    def found(self, host: str, port: int) -> None:
        """Note VRChat's OSCQuery service."""
        self._retries.reset()
        self._service, self._ask_ns = (host, port), 0

    def _leave(self) -> None:
        """At the program's end: the good-bye must be out before threads are cut off."""
        self.close()
        self._thread.join(1.0)

    def _run(self) -> None:
        assert self._socket is not None
        with self._socket, contextlib.closing(self._query_server()) as server:
            self._serve(server.port)
        atexit.unregister(self._leave)

    def _query_server(self) -> oscquery.QueryServer:
        return oscquery.QueryServer("Facewire", self._port, self._host, self._peer)

    def _serve(self, http_port: int) -> None:
        try:
            self._advertise(http_port)
            budget = MessageBudget(MAX_DATAGRAMS_A_SECOND, MAX_DATAGRAMS_A_SECOND)
            while not self._stop.is_set():
                self._receive()
                if not budget.spend(self._clock()):
                    self._stop.wait(POLL_S)
                if self._ask_ns is not None and self._clock() >= self._ask_ns:
                    self._ask()
        finally:
            if self.advert is not None:
                self.advert.close()

    def _advertise(self, http_port: int) -> None:
        try:
            self.advert = oscquery.Advert(
                http_port, self._port, self.found, self._interfaces, host=self._host, peer=self._peer
            )
        except ImportError:
            why = f"zeroconf is missing: {install_extra('vrchat')}"
        except Exception as error:  # zeroconf's own, or no network: the face goes out all the same
            why = str(error) or type(error).__name__
        else:
            return
        self._notify(f"OSCQuery is not advertised ({why}); every parameter is sent as a float")

    def _receive(self) -> None:
        assert self._socket is not None
        try:
            data, sender = self._socket.recvfrom(4096)
        except OSError:  # nothing came; ICMP for what nobody sent; or it is closed
            return
        if self._peer not in (None, sender[0]):
            return
        try:
            messages = decode(data)
        except OscError:
            return
        for address, arguments in messages:
            if address == CHANGE and arguments and isinstance(arguments[0], str):
                self._change(arguments[0])

    def _change(self, identity: str) -> None:
        """Take a new avatar: its list from the file at once, and from VRChat as soon as it has one."""
        self._identity, self._changed_ns = identity, self._clock()
        file = avatar.find_file(identity, self._folders) if self._peer is None else None  # those are this machine's
        parameters = None
        if file is not None:
            try:
                parameters = avatar.from_file(read_regular(file, avatar.MAX_BYTES))[1]
            except (OSError, AvatarError):
                parameters = None
        self._publish(parameters)
        if self._service is not None:
            self._retries.reset()
            self._ask_ns = 0

    def _ask(self) -> None:
        assert self._service is not None
        try:
            identity, parameters = oscquery.fetch_avatar(*self._service, self._clock)
            if identity != self._identity and self._clock() < self._changed_ns + LOADING_NS:
                raise AvatarError("it still describes the previous avatar")
        except (OSError, AvatarError):
            self._ask_ns = self._clock() + round(self._retries.next_s() * NS_PER_S)
            return
        self._retries.reset()
        self._ask_ns = self._clock() + LOOK_AGAIN_NS
        if parameters != self.parameters:
            self._publish(parameters)

    def _publish(self, parameters: avatar.Parameters | None) -> None:
        self.parameters = parameters
        self.news += 1
