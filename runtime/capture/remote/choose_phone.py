"""From ``livelink:PORT``, ``ifacialmocap:PHONE`` and ``vmc:PORT`` to a source."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable

from facewire.bridge.formats.ifacialmocap_text import IFacialMocapReader
from facewire.bridge.formats.livelink_packet import LiveLinkReader
from facewire.bridge.formats.vmc_messages import VmcReader
from facewire.bridge.outputs.choose import OUTPUTS, parse_spec
from facewire.bridge.shared.named import has_scheme
from facewire.runtime.capture.remote.phone import App, PhoneSource
from facewire.runtime.capture.video.source import CaptureError, Source
from facewire.runtime.tools.network import route_to

LOOPBACK = "127.0.0.1"
HERE = (LOOPBACK, "localhost", "::1")


APPS = {
    "livelink": App("Live Link Face", 11111, LiveLinkReader, "livelink", names_device=True),
    "ifacialmocap": App("iFacialMocap", 49983, IFacialMocapReader, "ifacialmocap"),
    "vmc": App("VMC protocol", 39539, VmcReader, "vmc"),
}
"""By the name that a user writes, with the port that each uses by itself."""


def is_phone(what: str) -> bool:
    """Whether what a user writes after ``--video`` is one of these."""
    return what.partition(":")[0] in APPS and not has_scheme(what)


def phone_source(what: str, notify: Callable[[str], None]) -> PhoneSource:
    """Return the source that ``what`` names; it is not open yet. ``notify`` hears of senders that are ignored.

    Raises:
        CaptureError: what follows the name is not an address.
    """
    name, _, where = what.partition(":")
    app = APPS[name]
    host, port = _address(name, where, app.port)
    if name != "ifacialmocap" or _listens(host):
        return PhoneSource(
            f"{app.title} on port {port}", app.reader(), host or LOOPBACK, port, notify=notify, app=app
        )  # fmt: skip
    return PhoneSource(
        f"{app.title} on {host}", app.reader(), "", port, phone=host, phone_port=port, notify=notify
    )  # fmt: skip


def check_no_circle(source: Source | None, outputs: Iterable[str]) -> None:
    """Raise CaptureError if one of the ``outputs`` sends to the port that ``source`` reads, if it is a phone's."""
    if not isinstance(source, PhoneSource) or not source.listening:
        return
    host, port = source.address
    for spec in outputs:
        name, target = parse_spec(spec)
        if OUTPUTS[name].to != "address" or target.port != port:
            continue
        if _reaches(target.host, host):
            raise CaptureError(f"the output {spec} would feed its own input {source.name}: give one another port")


def _listens(host: str) -> bool:
    """Whether an address is where to listen, and no phone's."""
    try:
        address = ipaddress.ip_address(host or LOOPBACK)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_unspecified


def _reaches(target: str, listening: str) -> bool:
    """Whether what is sent to ``target`` comes to who listens on the address ``listening``; nothing is sent."""
    if target == listening or (target in HERE and _listens(listening)):
        return True
    if not ipaddress.ip_address(listening).is_unspecified:
        return False
    try:
        address, own = route_to(target)
    except (OSError, UnicodeError):
        return False  # nothing will be sent there either
    return address == own or ipaddress.ip_address(address).is_loopback


def _address(name: str, where: str, port: int) -> tuple[str, int]:
    """Return ``PORT``, ``HOST``, ``HOST:PORT`` or ``[IPv6]:PORT`` in parts; an empty host if none is named.

    Raises:
        CaptureError: the input is not there, or is lost.
    """
    host, colon, number = where.rpartition(":")
    if (not colon and not where.isdigit()) or where.endswith("]"):
        host, number = where, str(port)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    usable = number.isascii() and number.isdigit() and int(number[:6]) < 65536
    if not usable or any(character.isspace() or character in "/@" for character in host):
        example = "ifacialmocap:192.168.1.20" if name == "ifacialmocap" else f"{name}:{port}"
        raise CaptureError(f"{where[:80]!r} is not an address to receive {APPS[name].title} on: write {example}")
    return host, int(number)
