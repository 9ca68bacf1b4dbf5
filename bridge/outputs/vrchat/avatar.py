"""Which parameters a VRChat avatar has: from the file that VRChat writes for it, or from VRChat's OSCQuery tree.

Sources: VRChat, "OSC Avatar Parameters" (the file); the OSCQuery proposal, "Attributes" (the tree).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

from facewire.bridge.shared.errors import FacewireError

Kind: TypeAlias = Literal["float", "bool", "int"]
Parameters: TypeAlias = dict[str, Kind]
"""By OSC address: the type that it accepts."""

MAX_PARAMETERS = 8192
"""What VRChat lets an avatar have."""
MAX_BYTES = 4_000_000
MAX_DEPTH = 32
MAX_ADDRESS_LENGTH = 400
AVATAR_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
"""Of an avatar that has a file: nothing that leaves the folder. Test builds are called ``local:…`` and have none."""
PREFIX = "/avatar/parameters/"
_FILE_KINDS: dict[str, Kind] = {"Float": "float", "Bool": "bool", "Int": "int"}
_OSC_KINDS: dict[str, Kind] = {"f": "float", "T": "bool", "F": "bool", "b": "bool", "i": "int"}


class AvatarError(FacewireError):
    """A list of parameters that cannot be read."""


def from_file(content: bytes) -> tuple[str, Parameters]:
    """Return the avatar's id and those of its parameters that take input, from ``{avatarId}.json``.

    Raises:
        AvatarError: it is not such a file.
    """
    data = _read(content)
    parameters: Parameters = {}
    entries = data.get("parameters")
    for entry in entries if isinstance(entries, list) else []:
        source = entry.get("input") if isinstance(entry, dict) else None
        if isinstance(source, dict):
            _add(parameters, source.get("address"), _FILE_KINDS.get(str(source.get("type"))))
    identity = data.get("id")
    if not isinstance(identity, str) or not parameters:
        raise AvatarError("this file lists no parameters of an avatar")
    return identity, parameters


def from_tree(content: bytes) -> tuple[str | None, Parameters]:
    """Return the avatar's id, if it is told, and the parameters from the answer to ``GET /avatar``.

    Raises:
        AvatarError: it is not such an answer, or the avatar is loading and has no parameters yet.
    """
    parameters: Parameters = {}
    identity = None
    for node in _leaves(_read(content), 0):
        address, kind = node.get("FULL_PATH"), node.get("TYPE")
        if address == "/avatar/change":
            value = node.get("VALUE")
            identity = value[0] if isinstance(value, list) and value and isinstance(value[0], str) else None
        elif _takes_values(node):
            _add(parameters, address, _OSC_KINDS.get(kind) if isinstance(kind, str) else None)
    if not parameters:
        raise AvatarError("VRChat names no parameters: the avatar is still loading")
    return identity, parameters


def find_file(identity: str, folders: list[Path]) -> Path | None:
    """Return the avatar's file in VRChat's OSC folders (``{user}/Avatars/{avatarId}.json``), if there is one."""
    if AVATAR_ID.fullmatch(identity) is None:
        return None
    for folder in folders:
        for file in sorted(folder.glob(f"usr_*/Avatars/{identity}.json")):
            return file
    return None


def osc_folders(home: Path) -> list[Path]:
    """Return where VRChat keeps those files: on Windows, and on Linux in Proton's."""
    low = Path("AppData", "LocalLow", "VRChat", "VRChat", "OSC")
    if sys.platform == "win32":
        return [home / low]
    proton = Path("steamapps", "compatdata", "438100", "pfx", "drive_c", "users", "steamuser", low)
    return [home / steam / proton for steam in (".local/share/Steam", ".steam/steam")]


def _read(content: bytes) -> dict[str, Any]:
    if len(content) > MAX_BYTES:
        raise AvatarError(f"a list of an avatar's parameters is at most {MAX_BYTES} bytes")
    try:
        data = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise AvatarError(f"the list of the avatar's parameters is not JSON: {str(error)[:100]}") from None
    if not isinstance(data, dict):
        raise AvatarError("the list of the avatar's parameters is not a JSON object")
    return cast("dict[str, Any]", data)


def _leaves(node: dict[str, Any], depth: int) -> Iterator[dict[str, Any]]:
    contents = node.get("CONTENTS")
    if not isinstance(contents, dict):
        yield node
    elif depth < MAX_DEPTH:
        for child in contents.values():
            if isinstance(child, dict):
                yield from _leaves(child, depth + 1)


def _takes_values(node: dict[str, Any]) -> bool:
    """ACCESS is 0 no value, 1 read only, 2 write only, 3 both."""
    access = node.get("ACCESS", 3)
    return isinstance(access, int) and access & 2 != 0


def _add(parameters: Parameters, address: Any, kind: Kind | None) -> None:
    if kind is None or not isinstance(address, str) or not address.startswith(PREFIX) or "\0" in address:
        return
    if len(address) <= MAX_ADDRESS_LENGTH and len(parameters) < MAX_PARAMETERS:
        parameters[address] = kind
