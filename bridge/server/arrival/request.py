"""HTTP as far as a websocket and a page need it (RFC 9110, RFC 9112). Pure: bytes in, a request or a refusal out.

Our own instead of the websocket library's: that one answers some malformed requests and hangs up on others, by version.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

MAX_HEAD_BYTES = 32 * 1024
MAX_LINE_BYTES = 8 * 1024
MAX_FIELDS = 128
HEAD_END = b"\r\n\r\n"
_WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e]+) HTTP/(\d)\.(\d)")
_LINE_SO_FAR = re.compile(rb"(" + _TOKEN + rb"( [\x20-\x7e]*\r?)?)?")
_NAME = re.compile(_TOKEN)
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP answer instead of a websocket."""

    status: int
    kind: str
    """For logging each kind once."""
    text: str


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request."""

    method: str
    target: str
    """Path and query."""
    fields: Sequence[tuple[str, str]] = ()
    """Names in lower case, and values."""

    @property
    def path(self) -> str:
        """The target without its query; never decoded, so that it can only be compared."""
        return self.target.partition("?")[0]

    def values(self, name: str) -> list[str]:
        """Return the values of all fields of this name, given in lower case."""
        return [value for key, value in self.fields if key == name]

    def words(self, name: str) -> list[str]:
        """Return the members of a field that is a list (RFC 9110, 5.6.1)."""
        return [word for value in self.values(name) for part in value.split(",") if (word := part.strip())]


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, after which the connection is closed."""

    status: int
    fields: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    hold_s: float = 0.0
    """How long to wait before it is sent."""

    def head(self, server: str) -> bytes:
        """Return everything in front of the body."""
        lines = {"Server": server, "Connection": "close", **self.fields}
        text = "".join(f"{key}: {value}\r\n" for key, value in lines.items())
        return f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\n{text}\r\n".encode("latin-1")


def malformed(why: str) -> Refusal:
    """Return what is answered to bytes that are no request that we can read."""
    return Refusal(400, "malformed request", why)


def doubt(data: bytes) -> Refusal | None:
    """Say of the beginning of a head whether it can still become one: whoever sends something else hears so at once."""
    if data[:1] == b"\x16":
        return malformed("This port speaks no TLS: use http:// and ws://.")
    line = without_blank_line(data[: MAX_LINE_BYTES + 2]).partition(b"\r\n")[0]
    if not _LINE_SO_FAR.fullmatch(line) or data.startswith(HEAD_END):
        return malformed("This is not an HTTP request.")
    if len(line) > MAX_LINE_BYTES or len(data) > MAX_HEAD_BYTES:
        return malformed("The request's head is too long.")
    return None


def parse_head(data: bytes) -> Request | Refusal:
    """Read the head of a request, up to and with its blank line."""
    line, *lines = without_blank_line(data).removesuffix(HEAD_END).split(b"\r\n")
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        return malformed("This is not an HTTP request.")
    method, raw_target, major, _ = match.groups()
    if major != b"1":
        return malformed("This server speaks HTTP/1.1.")
    fields: list[tuple[str, str]] = []
    for raw in lines[: MAX_FIELDS + 1]:
        name, colon, value = raw.partition(b":")
        if not colon or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value) or len(fields) == MAX_FIELDS:
            return malformed("The request has a header field that is malformed, or too many.")
        fields.append((name.decode().lower(), value.strip(b" \t").decode("ascii", "surrogateescape")))
    target = raw_target.decode()
    if scheme := re.match(r"https?://([^/?#]*)", target, re.IGNORECASE):  # As to a proxy (RFC 9112, 3.2.2).
        fields = [pair for pair in fields if pair[0] != "host"] + [("host", scheme[1])]
        target = target[scheme.end() :]
        target = target if target.startswith("/") else f"/{target}"
    return Request(method.decode(), target, fields)


def without_blank_line(data: bytes) -> bytes:
    """Skip one blank line in front of the request, which old clients leave behind (RFC 9112, 2.2)."""
    return data[2:] if data.startswith(b"\r\n") else data


def check_method(request: Request) -> Refusal | None:
    """Only reading is offered, on every path."""
    if request.method not in ("GET", "HEAD"):
        return Refusal(405, "method", "Everything here can only be read: use GET.")
    if not request.path.startswith("/"):
        return malformed("The request's target must begin with a slash.")
    return None


def websocket_key(request: Request) -> str | Refusal:
    """Return what proves to the client that this is a websocket (RFC 6455, 4.2.2), or why it cannot be one."""
    upgrades, options = request.words("upgrade"), request.words("connection")
    if (
        request.method != "GET"
        or "websocket" not in map(str.lower, upgrades)
        or "upgrade" not in map(str.lower, options)
    ):
        return Refusal(426, "no websocket", "This address is a websocket's: open it with a websocket client.")
    if request.values("sec-websocket-version") != ["13"]:
        return Refusal(426, "websocket version", "This server speaks version 13 of the websocket protocol.")
    keys = request.values("sec-websocket-key")
    try:
        key = base64.b64decode(keys[0], validate=True) if len(keys) == 1 else b""
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 16:
        return malformed("A websocket handshake needs one Sec-WebSocket-Key of 16 bytes.")
    return base64.b64encode(hashlib.sha1(keys[0].encode() + _WEBSOCKET_GUID, usedforsecurity=False).digest()).decode()
