"""Which module of Facewire imports which, read from the source: an import counts wherever it stands."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

PACKAGES = ("bridge", "models", "runtime")

Graph = dict[str, set[str]]


def read_graph(root: Path) -> Graph:
    """Return for each module (``runtime.face.presence``) the modules that it names in an import: at the top, in a
    function, or for type checkers only."""
    modules = {name: path for package in PACKAGES for name, path in _modules(root, package)}
    return {name: _imported(path, modules) - {name} for name, path in modules.items()}


def rooms(graph: Mapping[str, set[str]], root: Path) -> Graph:
    """Return the same for rooms: a room is a folder, and a package's hall is the modules that lie in no other one."""
    found: Graph = {room_of(module, root): set() for module in graph}
    for module, imported in graph.items():
        found[room_of(module, root)] |= {room_of(other, root) for other in imported}
    return {room: others - {room} for room, others in found.items()}


def room_of(module: str, root: Path) -> str:
    """Return the folder that a module lies in, as a dotted name."""
    is_folder = root.joinpath(*module.split(".")).is_dir()
    return module if is_folder else module.rpartition(".")[0]


def circles(graph: Mapping[str, set[str]]) -> list[set[str]]:
    """Return the groups of names that reach each other (Tarjan 1972's strongly connected components, by reachability:
    the graph is small)."""
    reached = {name: _reachable(graph, name) for name in graph}
    groups = [{name} | {other for other in reached[name] if name in reached[other]} for name in graph]
    return [group for i, group in enumerate(groups) if len(group) > 1 and group not in groups[:i]]


def _reachable(graph: Mapping[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for name in graph.get(waiting.pop(), set()) - seen:
            seen.add(name)
            waiting.append(name)
    return seen


def _modules(root: Path, package: str) -> Iterator[tuple[str, Path]]:
    for path in sorted((root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def _imported(path: Path, modules: Mapping[str, Path]) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide which package is meant"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole.removeprefix("facewire.") in modules else str(node.module))
    return {module.removeprefix("facewire.") for module in found} & set(modules)
