"""Unity 6's public members, from the type declarations that the npm package unity-types holds."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

NAMESPACE = re.compile(r"namespace (\S+) \{")
TYPE = re.compile(r"(?:abstract )?(?:class|interface|enum) ([\w$]+)(?:<.*?>)?(?: extends ([\w.$]+))?")
MEMBER = re.compile(r"(?:public |protected )?(static )?(?:readonly )?(?:get |set )?(\w+)(?:<.*?>)?([(:?])(.*)")
CONSTRUCTOR = re.compile(r"constructor\((.*)\);")


@dataclass
class UnityType:
    """A type's own members: (is static, name) to the numbers of parameters of its forms; none for what is no method."""

    base: str = ""
    members: dict[tuple[bool, str], set[int]] = field(default_factory=dict)


def read_types(folder: Path) -> dict[str, UnityType]:
    """Return every type by its full name."""
    types: dict[str, UnityType] = {}
    for path in sorted(folder.glob("UnityEngine.*.d.ts")):
        _read(path.read_text("utf-8").splitlines(), types)
    return types


def has_member(types: dict[str, UnityType], name: str, static: bool, member: str, parameters: int) -> bool:
    """Say whether the type or one it derives from has this member; ``parameters`` is -1 for what is no method."""
    unity = types.get(name)
    if unity is None:
        return False
    forms = unity.members.get((static, member))
    if forms is not None and (parameters < 0 or parameters in forms):
        return True
    return has_member(types, unity.base, static, member, parameters)


def _read(lines: list[str], types: dict[str, UnityType]) -> None:
    scopes: list[tuple[int, str]] = []
    current: tuple[int, UnityType] | None = None
    is_enum = False
    for line in lines:
        text = line.strip()
        indent = len(line) - len(line.lstrip())
        if text == "}":
            current = None if current and indent <= current[0] else current
            scopes = [scope for scope in scopes if scope[0] < indent]
        elif current:
            _read_member(text, current[1], is_enum)
        elif found := NAMESPACE.match(text):
            scopes.append((indent, found[1]))
        elif (found := TYPE.match(text)) and text.endswith("{"):
            is_enum = text.startswith("enum")
            current = (indent, UnityType(found[2] or ""))
            types[".".join([*(name for _, name in scopes), found[1]])] = current[1]


def _read_member(text: str, into: UnityType, is_enum: bool) -> None:
    if is_enum:
        into.members[(True, text.split(" ")[0].rstrip(","))] = set()
    elif found := CONSTRUCTOR.match(text):
        into.members.setdefault((False, "constructor"), set()).update(_counts(found[1]))
    elif found := MEMBER.match(text):
        forms = into.members.setdefault((bool(found[1]), found[2]), set())
        if found[3] == "(" and not text.startswith(
            ("public get ", "public static get ", "public set ", "public static set ")
        ):
            forms.update(_counts(found[4].rsplit("):", 1)[0]))


def _counts(parameters: str) -> range:
    """Return the numbers of arguments that a list of parameters takes: optional ones may be left out."""
    parameters = re.sub(r"\$\d+", "", parameters)  # The arity of a generic type: Array$1<...>.
    depth = count = optional = 0
    previous = ""
    for character in parameters:
        depth += (character in "<({") - (character in ">)}" and previous != "=")
        if depth == 0 and character == "$":
            count += 1
        if depth == 0 and character == "?":
            optional += 1
        previous = character
    count += parameters.count("...")
    return range(count - optional, count + 1)
