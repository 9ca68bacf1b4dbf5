"""Who may connect: the checks on an HTTP request before it becomes a websocket. Pure: headers in, refusal or None out.

A browser lets any page open a websocket to any address, loopback included, and tells the server only through
``Origin``; and a page can point a name of its own at 127.0.0.1 (DNS rebinding), which shows only in ``Host``. Hence
both checks, also without a token.
"""

from __future__ import annotations

import hmac
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs

from facewire.bridge.server.arrival.names import (
    LOOPBACK_NAMES,
    host_name,
    is_address,
    is_loopback,
    is_wildcard,
    plain_name,
    urlsplit_or_none,
)
from facewire.bridge.server.arrival.request import Refusal

_PLAIN_NAME = re.compile(r"[a-z0-9.:-]+")
_PLAIN_ORIGIN = re.compile(r"[A-Za-z0-9.:/\[\]-]+")


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """What a server that listens on ``listen_host`` accepts."""

    listen_host: str
    token: str | None = None
    """What a client must show; None asks for nothing."""
    origins: tuple[str, ...] = ()
    """Origins accepted besides the server's own, such as ``https://overlay.example``."""
    host_names: tuple[str, ...] = ()
    """Host names accepted besides the server's own, such as a reverse proxy's."""
    addresses: tuple[str, ...] = ()
    """The addresses that ``listen_host`` turned out to mean."""

    def check_host(self, hosts: Sequence[str]) -> Refusal | None:
        """Check the values of the ``Host`` header (RFC 9112, 3.2: exactly one)."""
        name = host_name(hosts[0]) if len(hosts) == 1 else None
        if name is None:
            return Refusal(400, "bad host", "The request needs one valid Host header.")
        if name in self._extra_names() or self._is_own(name):
            return None
        text = f"This server does not answer to the host name {name[:100]!r}."
        if _PLAIN_NAME.fullmatch(name):
            text += f" If it is this machine's, start the server with: --host-name {name}"
        return Refusal(403, "foreign host", text)

    def check_origin(self, origins: Sequence[str], hosts: Sequence[str]) -> Refusal | None:
        """Check the values of the ``Origin`` header (RFC 6455, 10.2); no header at all means a program, not a
        browser."""
        if not origins or (len(origins) == 1 and origins[0] in self.origins):
            return None
        origin = urlsplit_or_none(origins[0]) if len(origins) == 1 else None
        name = host_name(origin.netloc) if origin is not None and origin.scheme in ("http", "https") else None
        own = host_name(hosts[0]) if hosts else None
        if name is not None and (name == own or (is_loopback(name) and own is not None and is_loopback(own))):
            return None
        if name is not None and name in self._extra_names():
            return None
        text = f"Pages from {origins[0][:100]!r} may not connect to this server."
        if len(origins) == 1 and name is not None and _PLAIN_ORIGIN.fullmatch(origins[0]):
            text += f" If you trust that page, start the server with: --origin {origins[0]}"
        return Refusal(403, "foreign origin", text)

    def check_token(self, target: str, authorizations: Sequence[str]) -> Refusal | None:
        """Check the token in ``?token=`` or in ``Authorization: Bearer`` (RFC 6750, 2), in constant time."""
        if self.token is None:
            return None
        shown = parse_qs(target.partition("?")[2], errors="surrogateescape").get("token", [])
        shown += [value[7:].strip() for value in authorizations if value[:7].lower() == "bearer "]
        expected = self.token.encode(errors="surrogateescape")
        matches = [hmac.compare_digest(token.encode(errors="surrogateescape"), expected) for token in shown]
        if any(matches):
            return None
        kind = "wrong token" if shown else "no token"
        return Refusal(401, kind, "This server needs its token: add ?token=... to the address.")

    def _extra_names(self) -> set[str]:
        return {name for text in self.host_names if (name := host_name(text)) is not None}

    def _is_own(self, name: str) -> bool:
        own = {plain_name(host) for host in (self.listen_host, *self.addresses)}
        if all(map(is_loopback, own)):
            return is_loopback(name)
        if name in own:
            return True
        if not any(map(is_wildcard, own)):
            return False
        # Rebinding needs a name: a plain address is what the user typed, maybe one that a router maps to this machine.
        machine = plain_name(socket.gethostname())
        short = machine.partition(".")[0]
        return is_address(name) or name in (*LOOPBACK_NAMES, machine, short, f"{short}.local")
