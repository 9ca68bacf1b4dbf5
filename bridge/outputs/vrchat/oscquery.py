"""OSCQuery, so that VRChat finds us and we find VRChat without ports to fill in.

Our side: an HTTP server on loopback that tells our one address, ``/avatar/change``, and mDNS that announces the server.
VRChat's side: its own OSCQuery server, found by mDNS, whose tree lists the avatar's parameters. mDNS is zeroconf's
(``pip install 'facewire[vrchat]'``); without it everything else works. Source: the OSCQuery proposal (Vidvox), and
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

from facewire.bridge.outputs.vrchat import avatar
from facewire.bridge.shared.clock import NS_PER_S, Clock

HTTP_TYPE = "_oscjson._tcp.local."
OSC_TYPE = "_osc._udp.local."
VRCHAT = "VRChat-Client"
"""What the names of VRChat's services begin with."""
MAX_CONNECTIONS = 8
"""HTTP requests at once; one more is closed unanswered."""
MAX_PATH_LENGTH = 1024
REQUEST_TIMEOUT_S = 2.0
FETCH_TIMEOUT_S = 1.0
FETCH_TOTAL_NS = 3 * NS_PER_S
_LOOPBACK = "127.0.0.1"
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


def answer(target: str, name: str, osc_port: int) -> tuple[int, dict[str, Any] | None]:
    """Return status and JSON for a request's target, such as ``/avatar?ACCESS``: 404 if there is no such node, 400
    for an attribute that OSCQuery does not have, 204 for one that this node does not have."""
    path, _, query = target.partition("?")
    if query == "HOST_INFO":
        return 200, host_info(name, osc_port)
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


def host_info(name: str, osc_port: int) -> dict[str, Any]:
    """Return who we are, and where our OSC goes."""
    return {
        "NAME": name,
        "OSC_IP": _LOOPBACK,
        "OSC_PORT": osc_port,
        "OSC_TRANSPORT": "UDP",
        "EXTENSIONS": {"ACCESS": True, "CLIPMODE": False, "RANGE": False, "TYPE": True, "VALUE": False},
    }


class QueryServer(ThreadingTCPServer):
    """Answers OSCQuery's requests on a loopback port of its own, in threads; at most ``MAX_CONNECTIONS`` at once."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = MAX_CONNECTIONS

    def __init__(self, name: str, osc_port: int) -> None:
        """Listen.

        Raises:
            OSError: no port is free.
        """
        super().__init__((_LOOPBACK, 0), _Handler)
        self.socket.settimeout(REQUEST_TIMEOUT_S)  # who is gone again before accept would stop it, and close with it
        self.name, self.osc_port = name, osc_port
        self.port: int = self.server_address[1]
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.1,), name="facewire-oscquery", daemon=True)
        self._thread.start()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a connection, or close it if there are too many."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that breaks off is no news."""

    def close(self) -> None:
        """Stop listening and end the thread."""
        self.shutdown()
        self.server_close()
        self._thread.join(1.0)


class _Handler(BaseHTTPRequestHandler):
    """GET only; every connection gets one answer and is closed."""

    timeout = REQUEST_TIMEOUT_S
    server_version, sys_version = "Facewire", ""

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, QueryServer)
        if len(self.path) > MAX_PATH_LENGTH:
            status, content = 414, None
        else:
            status, content = answer(self.path, server.name, server.osc_port)
        body = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        if status != 204:  # RFC 9110, 8.6: no length if there can be no content
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-cache")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: other programs' requests are not the user's concern."""


class Advert:
    """mDNS: announces us, and finds VRChat."""

    def __init__(
        self,
        http_port: int,
        osc_port: int,
        found: Callable[[str, int], None],
        interfaces: Sequence[str] | None = None,
    ) -> None:
        """``found`` is called with address and port of VRChat's OSCQuery server, on a thread of zeroconf's.

        Raises:
            ImportError: zeroconf is not installed.
            OSError: there is no network to ask.
        """
        import zeroconf

        self.name = f"Facewire-{secrets.token_hex(3).upper()}"
        options: dict[str, Any] = {} if interfaces is None else {"interfaces": list(interfaces)}
        self._zeroconf = zeroconf.Zeroconf(ip_version=zeroconf.IPVersion.V4Only, **options)
        self._found = found
        try:
            for kind, port in ((HTTP_TYPE, http_port), (OSC_TYPE, osc_port)):
                self._zeroconf.register_service(
                    zeroconf.ServiceInfo(
                        kind,
                        f"{self.name}.{kind}",
                        addresses=[socket.inet_aton(_LOOPBACK)],
                        port=port,
                        properties={"txtvers": "1"},
                        server=f"{self.name}.local.",
                    ),
                    cooperating_responders=True,  # the name is our own: no need to ask for a second whether it is
                )
            self._browser = zeroconf.ServiceBrowser(self._zeroconf, HTTP_TYPE, handlers=[self._on_change])
        except BaseException:
            self._zeroconf.close()
            raise

    def _on_change(self, zeroconf: Any, service_type: str, name: str, state_change: Any) -> None:
        if not name.startswith(VRCHAT) or state_change.name == "Removed":
            return
        info = zeroconf.get_service_info(service_type, name, timeout=1500)
        own = [] if info is None else [address for address in info.parsed_addresses() if is_own(address)]
        if own and info.port:
            self._found(own[0], info.port)

    def close(self) -> None:
        """Say good-bye to those who listen."""
        with contextlib.suppress(OSError, RuntimeError):
            self._zeroconf.close()
        with contextlib.suppress(RuntimeError):  # older ones say so of the loop that has ended
            self._browser.cancel()  # its thread, which may still ask somebody: the good-bye does not wait for that


def is_own(address: str) -> bool:
    """Say whether ``address`` is one of this machine's: mDNS answers come from anybody in the network."""
    if address.startswith("127."):
        return True
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        return True
    return False


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
