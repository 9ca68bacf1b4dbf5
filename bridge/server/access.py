"""Who may connect: the checks on an HTTP request before it becomes a websocket. Pure: headers in, refusal or None out.

A browser lets any page open a websocket to any address, loopback included, and tells the server only through
``Origin``; and a page can point a name of its own at 127.0.0.1 (DNS rebinding), which shows only in ``Host``. Hence
both checks, also without a token.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, urlsplit

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP answer instead of a websocket."""

    status: int
    kind: str
    """For logging each kind once."""
    text: str


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

    def check_host(self, hosts: Sequence[str]) -> Refusal | None:
        """Check the values of the ``Host`` header (RFC 9112, 3.2: exactly one)."""
        name = host_name(hosts[0]) if len(hosts) == 1 else None
        if name is None:
            return Refusal(400, "bad host", "The request needs one valid Host header.")
        if name in self.host_names or self._is_own(name):
            return None
        return Refusal(403, "foreign host", f"This server does not answer to the host name {name[:100]!r}.")

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
        return Refusal(403, "foreign origin", f"Pages from {origins[0][:100]!r} may not connect to this server.")

    def check_token(self, target: str, authorizations: Sequence[str]) -> Refusal | None:
        """Check the token in ``?token=`` or in ``Authorization: Bearer`` (RFC 6750, 2), in constant time."""
        if self.token is None:
            return None
        shown = parse_qs(target.partition("?")[2]).get("token", [])
        shown += [value[7:].strip() for value in authorizations if value[:7].lower() == "bearer "]
        expected = self.token.encode()
        matches = [hmac.compare_digest(token.encode(errors="surrogateescape"), expected) for token in shown]
        if any(matches):
            return None
        return Refusal(401, "wrong token", "This server needs its token: add ?token=... to the address.")

    def _is_own(self, name: str) -> bool:
        if is_loopback(self.listen_host):
            return is_loopback(name)
        if name == self.listen_host:
            return True
        if not is_wildcard(self.listen_host):
            return False
        # Rebinding needs a name: a plain address is what the user typed, maybe one that a router maps to this machine.
        machine = socket.gethostname().lower()
        return is_address(name) or name in (*LOOPBACK_NAMES, machine, f"{machine}.local")


def host_name(host: str) -> str | None:
    """Return the lower-case name in ``name[:port]`` without brackets, or None if it is malformed."""
    parts = urlsplit_or_none(f"//{host}")
    if parts is None or not parts.hostname or "@" in host or "/" in host or parts.query or parts.fragment:
        return None
    return parts.hostname.removesuffix(".")


def is_loopback(name: str) -> bool:
    """Say whether ``name`` is ``localhost`` or a loopback address."""
    try:
        return name in LOOPBACK_NAMES or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def is_wildcard(name: str) -> bool:
    """Say whether listening on ``name`` means every address of the machine."""
    return name in ("", "0.0.0.0", "::")


def is_address(name: str) -> bool:
    """Say whether ``name`` is a plain IP address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def urlsplit_or_none(url: str) -> SplitResult | None:
    """Return the parts of ``url``, or None if it or its port is malformed."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts
