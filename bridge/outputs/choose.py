"""Outputs by name: ``vmc``, ``vmc:192.168.1.5:39539``, ``vmc:?names=vrm``, ``csv:take.csv``, ``jsonl:-``."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl

from facewire.bridge.outputs.base import Output, OutputError
from facewire.bridge.shared.clock import Clock
from facewire.bridge.shared.maker import find_maker
from facewire.bridge.shared.text import as_line, is_plain

MAX_SPEC_LENGTH = 500
_SCOPE = re.compile(r"[A-Za-z0-9._~ -]{1,64}")
"""Names of interfaces; Windows numbers them."""


@dataclass(frozen=True, slots=True)
class OutputKind:
    """What there is to choose."""

    maker: str
    """``module:name`` of what makes an Output from a Target; imported when it is first asked for."""
    about: str
    """For people, in a few words."""
    to: Literal["address", "file"]
    host: str = "127.0.0.1"
    port: int = 0
    options: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of what may follow ``?``, each with the values that it accepts; none means any text."""


def _no_clock() -> int:
    raise OutputError("this output needs a clock: give make_output one")


@dataclass(frozen=True, slots=True)
class Target:
    """Where an output goes, as the user wrote it or by default."""

    host: str = ""
    port: int = 0
    path: str = ""
    """Of a file; ``-`` is standard output."""
    options: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None
    """Where it may keep what it must remember, such as another program's permission; None keeps nothing."""
    clock: Clock = field(default=_no_clock, compare=False)
    """For what an output does on a thread of its own; ``send`` and ``idle`` get the time as an argument."""


_LOCAL_4 = ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16")
_LOCAL_6 = ("::1/128", "fe80::/10", "fc00::/7")
LOCAL = tuple(ipaddress.ip_network(network) for network in (*_LOCAL_4, *_LOCAL_6))
"""Loopback, private and link-local addresses (RFC 1918, 3927, 4193, 4291). ``is_private`` has more than these."""

OUTPUTS: dict[str, OutputKind] = {
    "vmc": OutputKind(
        "facewire.bridge.outputs.vmc:VmcOutput",
        "VMC protocol: VSeeFace, VMagicMirror, Warudo, VNyan, Blender",
        "address",
        port=39539,
        options={"names": ("arkit", "camel", "vrm", "vrm0"), "bones": ("on", "head", "off")},
    ),
    "livelink": OutputKind(
        "facewire.bridge.outputs.livelink:LiveLinkOutput",
        "Live Link Face: Unreal Engine",
        "address",
        port=11111,
        options={"subject": ()},
    ),
    "ifacialmocap": OutputKind(
        "facewire.bridge.outputs.ifacialmocap:IFacialMocapOutput",
        "iFacialMocap: programs that read the iPhone app",
        "address",
        port=49983,
        options={"version": ("v1", "v2"), "phone": ()},
    ),
    "vts": OutputKind(
        "facewire.bridge.outputs.vts.output:VtsOutput",
        "VTube Studio: its public API for plug-ins",
        "address",
        port=8001,
    ),
    "vrchat": OutputKind(
        "facewire.bridge.outputs.vrchat.output:VrchatOutput",
        "VRChat: Unified Expressions and eye tracking by OSC",
        "address",
        port=9000,
        options={"listen": ()},
    ),
    "csv": OutputKind("facewire.bridge.outputs.files:CsvOutput", "Live Link Face's columns, a line per frame", "file"),
    "jsonl": OutputKind("facewire.bridge.outputs.files:JsonlOutput", "a line of JSON per frame", "file"),
}
"""By name, in the order in which they are shown; the quickest to send first."""


def make_output(spec: str, folder: Path | None = None, clock: Clock = _no_clock) -> Output:
    """Make the output that ``spec`` names; it is not open yet.

    Args:
        folder: for what it must remember.
        clock: for outputs with a thread of their own: ``vts`` and ``vrchat``.

    Raises:
        OutputError: there is no such output, or it cannot be made so; one line.
    """
    name, target = parse_spec(spec)
    maker: Callable[[Target], Output] = find_maker(OUTPUTS[name].maker)
    return maker(replace(target, folder=folder, clock=clock))


def parse_spec(spec: str) -> tuple[str, Target]:
    """Return the output's name and where it goes.

    Raises:
        OutputError: the text names none; one line, whatever the text is.
    """
    if len(spec) > MAX_SPEC_LENGTH:
        raise OutputError(f"an output is at most {MAX_SPEC_LENGTH} characters, such as vmc:127.0.0.1:39539")
    name, _, rest = spec.partition(":")
    if not is_plain(spec) and name not in ("csv", "jsonl"):  # of a file it is the user's own name for it
        raise OutputError(f"the output {as_line(spec)[:80]} has characters that cannot be written: type it anew")
    name, _, early = name.partition("?")  # vmc?names=vrm
    if name not in OUTPUTS:
        raise OutputError(f"there is no output {name[:40]!r}: choose one of {', '.join(OUTPUTS)}")
    kind = OUTPUTS[name]
    if kind.to == "file":
        if not rest or early or "\0" in rest:
            raise OutputError(f"say where {name} goes: {name}:take.{name}, or {name}:- for standard output")
        return name, Target(path=rest)
    where, _, query = (rest, "", early) if early else rest.partition("?")
    host, port = _address(name, where, kind)
    return name, Target(host, port, options=_options(name, query, kind))


def check_remote(spec: str) -> str:
    """Return ``spec``, if somebody who is not at this machine's keyboard may start it: clients' commands and profiles
    name no files, and send only to this machine or to its own network.

    Raises:
        OutputError: it is not such an output.
    """
    name, target = parse_spec(spec)
    if OUTPUTS[name].to == "file":
        raise OutputError(f"{name} writes a file: start it from the command line, with --output")
    if target.host != "localhost" and not is_local(target.host):
        raise OutputError(
            f"{target.host[:80]!r} is not an address of this machine or its own network: use --output to send there"
        )
    if not _is_loopback(target.options.get("phone", "127.0.0.1")):
        raise OutputError(f"{name} would listen to the network: start it from the command line, with --output")
    return spec


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_local(host: str) -> bool:
    """Whether ``host`` is an address of this machine or of a network that it is in, and no name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False  # no names: who answers to one may change
    address = getattr(address, "ipv4_mapped", None) or address  # ::ffff:8.8.8.8 goes to 8.8.8.8
    return any(address in network for network in LOCAL)


def _address(name: str, where: str, kind: OutputKind) -> tuple[str, int]:
    host, colon, port = where.rpartition(":")
    if not colon:
        host, port = ("", where) if where.isascii() and where.isdigit() else (where, "")
    elif where.endswith("]"):
        host, port = where, ""
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise OutputError(f"{name}: write an IPv6 address in brackets, such as {name}:[::1]:{kind.port}")
    if port and not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        raise OutputError(f"{name}: {port[:20]!r} is not a port from 1 to 65535")
    if any(char.isspace() or char in "/@\0" for char in host):
        raise OutputError(f"{name}: {host[:40]!r} is not a host; write {name}:{kind.host}:{kind.port}")
    if "%" in host and _SCOPE.fullmatch(host.partition("%")[2]) is None:
        raise OutputError(f"{name}: what follows % is not the name of a network interface, such as [fe80::1%eth0]")
    return host or kind.host, int(port) if port else kind.port


def _options(name: str, query: str, kind: OutputKind) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=20)) if query else {}
    for key, value in options.items():
        if not is_plain(value):  # what was written %00, for instance
            raise OutputError(f"{name}: an option has characters that cannot be seen")
        if key not in kind.options:
            known = ", ".join(kind.options) or "none"
            raise OutputError(f"{name} has no option {key[:40]!r}; it has: {known}")
        if kind.options[key] and value not in kind.options[key]:
            raise OutputError(f"{name}: {key} is one of {', '.join(kind.options[key])}, not {value[:40]!r}")
    return options
