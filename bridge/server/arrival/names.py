"""Host names and addresses, in the one form in which they are compared. Pure: text in, text out."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


def host_name(host: str) -> str | None:
    """Return the plain name in ``name[:port]`` without brackets, or None if it is malformed."""
    parts = urlsplit_or_none(f"//{host}")
    if parts is None or not parts.hostname or "@" in host or "/" in host or parts.query or parts.fragment:
        return None
    return plain_name(parts.hostname)


def plain_name(name: str) -> str:
    """Return ``name`` as all ways to write it are compared: an address in its shortest form and without its zone, a
    name in lower case, in ASCII as a browser sends it, and without a final dot."""
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        name = name.lower().removesuffix(".")
        try:
            return name if name.isascii() else name.encode("idna").decode()
        except UnicodeError:
            return name
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def is_loopback(name: str) -> bool:
    """Say whether ``name`` is ``localhost`` or a loopback address."""
    try:
        return name.lower() in LOOPBACK_NAMES or ipaddress.ip_address(plain_name(name)).is_loopback
    except ValueError:
        return False


def is_wildcard(name: str) -> bool:
    """Say whether listening on ``name`` means every address of the machine."""
    return plain_name(name) in ("", "0.0.0.0", "::")


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
