"""Run the C# harness and read what it prints."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from build_client import run_environment
from toolchain import Toolchain

DEADLINE_S = 60.0
"""For what takes a second or two: a loaded machine is given time, and nothing is proved by its haste."""


@dataclass
class Probe:
    """A client that runs: the events that it printed so far, each with ``at_ms`` on this machine's monotonic clock."""

    process: subprocess.Popen[str]
    events: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def wait_for(self, key: str, value: str, timeout_s: float = DEADLINE_S, after_ms: float = 0.0) -> dict[str, Any]:
        """Return the first event at or after ``after_ms`` whose ``key`` starts with ``value``.

        Raises AssertionError with all events where it does not come in time.
        """
        return self.wait_until(
            f"{key} {value!r}",
            lambda event: str(event.get(key, "")).startswith(value) and event.get("at_ms", 0.0) >= after_ms,
            timeout_s,
        )

    def wait_until(
        self, what: str, is_it: Callable[[dict[str, Any]], bool], timeout_s: float = DEADLINE_S
    ) -> dict[str, Any]:
        """Return the first event that ``is_it`` accepts.

        Raises AssertionError with all events where ``what`` does not come in time, or the client ends before.
        """
        end_s = time.monotonic() + timeout_s
        while time.monotonic() < end_s:
            # Asked first: what it printed last is read before its end is believed.
            ended = not self._reader.is_alive()
            for event in list(self.events):
                if is_it(event):
                    return event
            if ended:
                break
            time.sleep(0.02)
        raise AssertionError(f"no {what} in {timeout_s} s: {self.events}")

    def end(self) -> dict[str, Any]:
        """Have it end now as a player does, and return its summary."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.finish()

    def finish(self, timeout_s: float = 60.0) -> dict[str, Any]:
        """Wait until it ends by itself and return its summary."""
        code = self.process.wait(timeout_s)
        self._reader.join(5)
        self._close()
        assert code == 0, self.events
        return self.events[-1]

    def stop(self) -> None:
        """Kill it."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        self._reader.join(5)
        self._close()

    def _close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


@dataclass(frozen=True)
class Harness:
    """The compiled tests and programs."""

    tools: Toolchain
    path: Path
    mono: tuple[Path, Path] | None = None
    """Run on mono, given it and its facades; None runs on .NET."""

    def run(self, *arguments: str, timeout_s: float = 200) -> subprocess.CompletedProcess[str]:
        """Run one to its end."""
        return subprocess.run(
            [*self._start(), *arguments],
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )

    def live(self, address: str, seconds: float, token: str = "") -> Probe:
        """Start a client against a server; it ends when told to, or after ``seconds``, and prints its summary."""
        command = [*self._start(), "live", address, str(seconds), *([token] if token else [])]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        return Probe(subprocess.Popen(command, env=self._environment(), text=True, **pipes))

    def _start(self) -> list[str]:
        return [
            str(self.mono[0]) if self.mono else str(self.tools.dotnet),
            *([] if self.mono else ["exec"]),
            str(self.path),
        ]

    def _environment(self) -> dict[str, str]:
        environment = run_environment(self.tools)
        return {**environment, "MONO_PATH": str(self.mono[1])} if self.mono else environment


class FrameServer:
    """``frame_server.py`` in a process of its own, to be killed, stopped and started again."""

    def __init__(self, port: int = 0) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("frame_server.py")), str(port)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        ready = self.process.stdout.readline().split()
        assert ready, "the server did not start"
        self.port = int(ready[0])
        self.listens_at_ms = float(ready[1])

    def kill(self) -> None:
        """Kill it at once, as a crash would."""
        self.process.kill()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def __enter__(self) -> FrameServer:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()
