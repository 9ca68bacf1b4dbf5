"""Time is an argument: in bridge and models nobody but the client's default reads a clock."""

from __future__ import annotations

import ast
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from facewire.bridge.client.client import connect

ROOT = Path(__file__).parents[2]
CLOCK = ROOT / "bridge/shared/clock.py"
READERS = {
    *(f"time.{name}{unit}" for name in ("time", "monotonic", "perf_counter", "process_time") for unit in ("", "_ns")),
    *(f"datetime.{name}" for name in ("now", "utcnow", "today")),
    "loop.time",
}
FILES = [
    path
    for package in ("bridge", "models")
    for path in sorted((ROOT / package).rglob("*.py"))
    if "training" not in path.parts and path != CLOCK
]


def clocks_read(source: str) -> Iterator[str]:
    """Yield what reads a clock, wherever in the file it stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            owner = node.value.func if isinstance(node.value, ast.Call) else node.value
            name = f"{ast.unparse(owner).rpartition('.')[2]}.{node.attr}".replace("get_running_loop.", "loop.")
            if name in READERS:
                yield name
        elif isinstance(node, ast.ImportFrom) and node.module in ("time", "facewire.bridge.shared.clock"):
            yield from (alias.name for alias in node.names if f"time.{alias.name}" in READERS or alias.name == "now_ns")


@pytest.mark.parametrize(
    "source",
    [
        "import time\nstart = time.monotonic()",
        "import time\nclock = time.perf_counter_ns",
        "from time import time_ns",
        "from facewire.bridge.shared.clock import now_ns",
        "import datetime\ndatetime.datetime.now()",
        "import asyncio\nasyncio.get_running_loop().time()",
    ],
)
def test_every_way_to_read_a_clock_is_found(source: str) -> None:
    assert list(clocks_read(source))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_client_reads_a_clock(path: Path) -> None:
    allowed = ["now_ns"] if path == ROOT / "bridge/client/client.py" else []
    assert list(clocks_read(path.read_text(encoding="utf-8"))) == allowed


def test_the_clients_default_clock_is_one_that_is_fine_on_every_system() -> None:
    """``monotonic`` ticks in steps of 15.6 ms on Windows before Python 3.13."""
    assert connect()._clock_ns is time.perf_counter_ns
