"""OSCQuery, so that VRChat finds us and we find VRChat without ports to fill in.

Our side: an HTTP server that tells our one address, ``/avatar/change``, and mDNS that announces the server. All is on
loopback while VRChat is on this machine; for one on another it is on that one's network, and answers that one alone.
VRChat's side: its own OSCQuery server, found by mDNS, whose tree lists the avatar's parameters. mDNS is zeroconf's
(the extra ``vrchat``); without it everything else works. Source: the OSCQuery proposal (Vidvox), and
VRChat's documentation of it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import socket
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any
from urllib.parse import unquote

from facewire.bridge.outputs.addresses import is_own as is_own
from facewire.bridge.outputs.vrchat import avatar
from facewire.bridge.shared.clock import NS_PER_S, Clock

HTTP_TYPE = "_oscjson._tcp.local."
OSC_TYPE = "_osc._udp.local."
VRCHAT = "VRChat-Client"
"""What the names of VRChat's services begin with."""
MAX_CONNECTIONS = 8
"""HTTP requests at once. Drop policy: one more takes the place of the oldest, so that idle ones shut nobody out."""
MAX_PATH_LENGTH = 1024
REQUEST_TIMEOUT_S = 2.0
FETCH_TIMEOUT_S = 1.0
FETCH_TOTAL_NS = 3 * NS_PER_S
LOOPBACK = "127.0.0.1"
_ATTRIBUTES = {"DESCRIPTION", "FULL_PATH", "ACCESS", "CONTENTS", "TYPE", "VALUE"}

TREE: dict[str, Any] = {
    "DESCRIPTION": "Facewire",
    "FULL_PATH": "/",
    "ACCESS": 0,
    "CONTENTS": {
        "avatar": {
            "FULL_PATH": "/avatar",
            "ACCESS": 0,
            "CONTENTS": {
                "change": {
                    "DESCRIPTION": "which avatar the wearer has now",
                    "FULL_PATH": "/avatar/change",
                    "ACCESS": 2,
                    "TYPE": "s",
                }
            },
        }
    },
}
"""What we take. VRChat sends an application what is below the addresses that it names, and nothing else."""


def answer(target: str, name: str, osc_port: int, host: str = LOOPBACK) -> tuple[int, dict[str, Any] | None]:
    """Return status and JSON for a request's target, such as ``/avatar?ACCESS``: 404 if there is no such node, 400
    for an attribute that OSCQuery does not have, 204 for one that this node does not have."""
    path, _, query = target.partition("?")
    if query == "HOST_INFO":
        return 200, host_info(name, osc_port, host)
    node: Any = TREE
    for part in (part for part in unquote(path).split("/") if part):
        node = node.get("CONTENTS", {}).get(part)
        if node is None:
            return 404, None
    if not query:
        return 200, node
    if query not in _ATTRIBUTES:
        return 400, None
    return (200, {query: node[query]}) if query in node else (204, None)


def host_info(name: str, osc_port: int, host: str = LOOPBACK) -> dict[str, Any]:
    """Return who we are, and where our OSC goes."""
    return {
        "NAME": name,
        "OSC_IP": host,
        "OSC_PORT": osc_port,
        "OSC_TRANSPORT": "UDP",
        "EXTENSIONS": {"ACCESS": True, "CLIPMODE": False, "RANGE": False, "TYPE": True, "VALUE": False},
    }


class QueryServer(ThreadingTCPServer):
    """Answers OSCQuery's requests on a port of its own, in threads; at most ``MAX_CONNECTIONS`` at once."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = MAX_CONNECTIONS

    def __init__(self, name: str, osc_port: int, host: str = LOOPBACK, peer: str | None = None) -> None:
        """Listen on ``host``; if there is a ``peer``, to that address alone.

        Raises:
            OSError: no port is free.
        """
        super().__init__((host, 0), _Handler)
        self.socket.settimeout(REQUEST_TIMEOUT_S)  # who is gone again before accept would stop it, and close with it
        self.name, self.osc_port, self.host, self._peer = name, osc_port, host, peer
        self.port: int = self.server_address[1]
        self._open: dict[socket.socket, None] = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.1,), name="facewire-oscquery", daemon=True)
        self._thread.start()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Return whether whoever has connected is heard."""
        del request
        return self._peer in (None, client_address[0])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a connection; the oldest one ends for it if there are too many."""
        with self._lock:
            self._open[request] = None
            too_many = list(self._open)[:-MAX_CONNECTIONS]
            for old in too_many:
                del self._open[old]
        for old in too_many:
            end(old)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one connection, which has one deadline, however it divides its bytes."""
        deadline = threading.Timer(REQUEST_TIMEOUT_S, end, [request])
        deadline.daemon = True
        deadline.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            deadline.cancel()
            with self._lock:
                self._open.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that breaks off is no news."""

    def close(self) -> None:
        """Stop listening and end the thread."""
        self.shutdown()
        self.server_close()
        self._thread.join(1.0)


def end(connection: socket.socket) -> None:
    """Wake the thread that waits for a connection: nothing more comes, nothing more is sent."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    """GET and HEAD only; every connection gets one answer and is closed."""

    timeout = REQUEST_TIMEOUT_S
    server_version, sys_version = "Facewire", ""

    def handle(self) -> None:
        """Answer, and read what else was sent: closing before that would take the answer away."""
        super().handle()
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            while self.rfile.read1(1 << 16):
                pass

    def send_error(self, code: int, *_: object) -> None:
        """Answer what is no request of ours: 405 to other methods, 400 to the rest, without a page."""
        status = {501: 405}.get(code, 400 if code == 505 else code)
        self.request_version = "HTTP/1.1"  # What could not be read counts as HTTP/0.9, which has no status.
        self.send_response(status)
        if status == 405:
            self.send_header("Allow", "GET, HEAD")
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if self.request_version == "HTTP/0.9":
            self.send_error(400)
            return
        server = self.server
        assert isinstance(server, QueryServer)
        if len(self.path) > MAX_PATH_LENGTH:
            status, content = 414, None
        else:
            status, content = answer(self.path, server.name, server.osc_port, server.host)
        body = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        if status != 204:  # RFC 9110, 8.6: no length if there can be no content
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-cache")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: other programs' requests are not the user's concern."""


class Advert:
    """mDNS: announces us, and finds VRChat, on one network: this machine's loopback, or the one that VRChat is in."""

    def __init__(
        self,
        http_port: int,
        osc_port: int,
        found: Callable[[str, int], None],
        interfaces: Sequence[str] | None = None,
        *,
        host: str = LOOPBACK,
        peer: str | None = None,
    ) -> None:
        """``found`` is called with address and port of VRChat's OSCQuery server, on a thread of zeroconf's.

        We are reached at ``host``, and heard on the interface with this address alone unless ``interfaces`` says
        otherwise. VRChat is at ``peer``, or on this machine.

        Raises:
            ImportError: zeroconf is not installed.
            OSError: there is no network to ask.
        """
        import zeroconf

        self.name = f"Facewire-{secrets.token_hex(3).upper()}"
        self._zeroconf = zeroconf.Zeroconf(
            ip_version=zeroconf.IPVersion.V4Only, interfaces=[host] if interfaces is None else list(interfaces)
        )
        self._found, self._peer = found, peer
        try:
            for kind, port in ((HTTP_TYPE, http_port), (OSC_TYPE, osc_port)):
                # The name is our own: no need to ask for a second whether it is.
                self._zeroconf.register_service(self._service(kind, host, port), cooperating_responders=True)
            self._browser = zeroconf.ServiceBrowser(self._zeroconf, HTTP_TYPE, handlers=[self._on_change])
        except BaseException:
            self._zeroconf.close()
            raise

    def _service(self, kind: str, host: str, port: int) -> Any:
        import zeroconf

        return zeroconf.ServiceInfo(
            kind,
            f"{self.name}.{kind}",
            addresses=[socket.inet_aton(host)],
            port=port,
            properties={"txtvers": "1"},
            server=f"{self.name}.local.",
        )

    def _on_change(self, zeroconf: Any, service_type: str, name: str, state_change: Any) -> None:
        if not name.startswith(VRCHAT) or state_change.name == "Removed":
            return
        info = zeroconf.get_service_info(service_type, name, timeout=1500)
        meant = [] if info is None else [address for address in info.parsed_addresses() if self._is_meant(address)]
        if meant and info.port:
            self._found(meant[0], info.port)

    def _is_meant(self, address: str) -> bool:
        """Whether the VRChat there is the one that gets the face: mDNS answers come from anybody in the network."""
        return is_own(address) if self._peer is None else address == self._peer

    def close(self) -> None:
        """Say good-bye to those who listen."""
        with contextlib.suppress(OSError, RuntimeError):
            self._zeroconf.close()
        with contextlib.suppress(RuntimeError):  # older ones say so of the loop that has ended
            self._browser.cancel()  # its thread, which may still ask somebody: the good-bye does not wait for that


def fetch_avatar(host: str, port: int, clock: Clock) -> tuple[str | None, avatar.Parameters]:
    """Ask VRChat's OSCQuery server for the avatar. Takes a second or two at most.

    Raises:
        AvatarError: it has none, or its answer is not valid.
        OSError: it does not answer.
    """
    connection = http.client.HTTPConnection(host, port, timeout=FETCH_TIMEOUT_S)
    try:
        connection.request("GET", "/avatar")
        response = connection.getresponse()
        if response.status != 200:
            raise avatar.AvatarError(f"VRChat's OSCQuery answers {response.status}")
        return avatar.from_tree(_read(response, clock))
    except http.client.HTTPException as error:
        raise avatar.AvatarError(f"VRChat's OSCQuery does not speak HTTP: {type(error).__name__}") from None
    finally:
        connection.close()


def _read(response: http.client.HTTPResponse, clock: Clock) -> bytes:
    """Return the whole answer, if it is of a usual length and does not come in drops.

    Raises:
        AvatarError: it is not.
    """
    content, end_ns = bytearray(), clock() + FETCH_TOTAL_NS
    while part := response.read1(1 << 16):
        content += part
        if len(content) > avatar.MAX_BYTES or clock() > end_ns:
            raise avatar.AvatarError("VRChat's OSCQuery sends too long an answer")
    return bytes(content)
