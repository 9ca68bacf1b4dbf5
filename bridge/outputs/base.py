"""What an output is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from facewire.bridge.shared.errors import FacewireError
from facewire.bridge.wire.frame import FaceFrame


class OutputError(FacewireError):
    """An output cannot be made or opened, or a frame could not be sent; the next one may be."""


class OutputEndedError(OutputError):
    """An output cannot go on at all: its pipe is closed, its disk is full. Its runner closes it; others go on."""


class Output(ABC):
    """Sends frames to one other program. Made and opened by one thread, then used by its runner's thread only.

    ``open`` may take a moment (it resolves a name); ``send`` and ``idle`` must not wait for the other side: whatever
    connects or shakes hands does so on a thread of the output's own, or in steps that do not block.
    """

    name: ClassVar[str]
    """As the user writes it: "vmc"."""
    every_frame: ClassVar[bool] = False
    """Whether older frames matter too, as in a file; else a frame that a newer one has overtaken is left out."""

    batch_s: float = 0.0
    """How long frames may wait so that they go out together, with one ``flush`` after the last of them: a thread that
    wakes seldom costs less. 0: each goes out by its ``send``. Known from ``open`` on; only with ``every_frame``."""
    waiting: str | None = None
    """What it waits for before it can send ("the app's hand-shake"), or None. Frames are not counted as sent then."""
    sent = 0
    """Frames that ``send`` took without an error. Counted by the runner."""
    overtaken = 0
    """Those of them that newer ones replaced before they went out. Counted by the output."""
    failed = 0
    """Frames that could not be sent, or only in part. Counted by the runner."""
    notify: Callable[[str], None] = staticmethod(lambda _: None)
    """Takes one line that a person should know, from any thread; set by the runner of the output, before ``open``."""

    @abstractmethod
    def open(self) -> None:
        """Get ready to send.

        Raises:
            OutputError: that is not possible; one line that says what to do.
        """

    @abstractmethod
    def send(self, frame: FaceFrame, now_ns: int) -> None:
        """Send ``frame``; ``now_ns`` is on the clock of its stamps.

        Raises:
            OSError: it could not be sent now.
            OutputError: likewise, in words.
            OutputEndedError: nothing will go out any more.
        """

    def idle(self, now_ns: int) -> None:  # noqa: B027, most have nothing to do
        """Keep the connection alive: called several times a second while no frame comes.

        Raises:
            Exception: what ``send`` raises.
        """

    def flush(self) -> None:  # noqa: B027, most have nothing to do
        """Send what waits: called after the last of some frames if ``batch_s`` is not 0.

        Raises:
            Exception: what ``send`` raises.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of what ``open`` took; safe to call twice, and after an ``open`` that failed."""

    @abstractmethod
    def describe(self) -> str:
        """Where it sends, or what it listens on: "127.0.0.1:39539"."""
