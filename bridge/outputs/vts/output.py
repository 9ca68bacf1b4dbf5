"""VTube Studio: values for its tracking parameters by its public API, a websocket on port 8001.

The person at the screen allows it once; the token is kept in Facewire's configuration folder. Nothing here ever waits
for VTube Studio: it acknowledges values once for each picture that it draws, and until then they are replaced by newer
ones.
"""

from __future__ import annotations

from facewire.bridge import mapping
from facewire.bridge.outputs.base import Output, OutputError
from facewire.bridge.outputs.choose import Target
from facewire.bridge.outputs.vts.link import Link
from facewire.bridge.wire.frame import FaceFrame

HOME_S = 30.0
"""Time constant of the mean place of the head, which positions count from."""


class VtsOutput(Output):
    """Gives VTube Studio values for its parameters. State: the newest values, and where the head was on average."""

    name = "vts"

    def __init__(self, target: Target) -> None:
        """Make the output; the token is kept in the target's folder, if there is one."""
        self._table = mapping.load("vts")
        rows = self._table.section.rows
        self._driven = [index for index, row in enumerate(rows) if row.weights]
        names = [rows[index].target for index in self._driven]
        custom = {name: (0.0, 1.0, 0.0) for name in names if name.startswith("Facewire")}
        self._places = [names.index(f"FacePosition{axis}") for axis in "XYZ"]
        self._home: list[float] = []
        self._home_ns = 0
        self._link = Link(self, target, (names, custom))
        self.waiting = f"connecting to {self._link.where}"

    def open(self) -> None:
        """Begin to connect; whether VTube Studio is there does not matter yet."""
        self._link.step(0)

    def send(self, frame: FaceFrame, now_ns: int) -> None:
        """Pass the frame's values to the connection.

        Raises:
            OutputError: VTube Studio does not answer or says no.
        """
        targets = self._table.apply_frame(frame)
        values = [targets[index] for index in self._driven]
        home = self._move_home([values[place] for place in self._places], now_ns)
        for place, middle in zip(self._places, home, strict=True):
            values[place] -= middle
        self._link.offer(values, frame.sources != "held")
        self.idle(now_ns)

    def idle(self, now_ns: int) -> None:
        """Keep the conversation up.

        Raises:
            OutputError: VTube Studio does not answer or says no.
        """
        self._link.step(now_ns)
        if self._link.problem is not None:
            raise OutputError(self._link.problem)

    def close(self) -> None:
        """End the connection and the thread."""
        self._link.stop()

    def describe(self) -> str:
        """Return where VTube Studio is."""
        return self._link.where

    def _move_home(self, place: list[float], now_ns: int) -> list[float]:
        """Return the mean place of the head in cm: a person does not sit in the middle of the picture."""
        if not self._home:
            self._home, self._home_ns = place, now_ns
        passed_s = min(max((now_ns - self._home_ns) * 1e-9, 0.0), 1.0)
        share = passed_s / (passed_s + HOME_S)
        self._home = [middle + share * (now - middle) for middle, now in zip(self._home, place, strict=True)]
        self._home_ns = now_ns
        return self._home
