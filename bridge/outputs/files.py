"""A line a frame, to a file, a pipe or standard output: Live Link Face's columns, or JSON."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import selectors
import stat
import sys
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path

from facewire.bridge.formats.livelink_csv import LiveLinkCsvWriter
from facewire.bridge.outputs.base import Output, OutputEndedError, OutputError
from facewire.bridge.outputs.choose import Target
from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.wire.frame import FaceFrame
from facewire.bridge.wire.streams import extra_streams

DECIMALS = 6
"""Of times; digits of values."""
STDOUT = "-"
BATCH_S = 0.25
"""Lines to a file go out together four times a second. The reader of a pipe wants each at once."""


class _FileOutput(Output):
    """What both files share. State: the open file, the first frame's time, and the lines that are to be written."""

    every_frame = True

    def __init__(self, target: Target) -> None:
        self._path = target.path
        self._file: io.FileIO | None = None
        self._first_ns: int | None = None
        self._lines: list[bytes] = []

    def open(self) -> None:
        """Create the file; an existing one is not overwritten, a pipe or device is.

        Raises:
            OutputError: it exists already, or cannot be written.
        """
        try:
            if self._path == STDOUT:
                self._use(_open_stdout())
                return
            path = Path(self._path)
            if path.is_file():
                raise OutputError(f"{path} already exists: choose another name, or remove it")
            if not os.path.lexists(path):
                self._use(
                    path.open("xb", buffering=0)
                )  # a link that somebody put there in the meantime is not followed
            elif not path.is_fifo():
                self._use(_open_existing(path))
            elif not self._find_reader():
                self.notify(f"nobody reads {path} yet: lines go there as soon as somebody does")
        except (OSError, io.UnsupportedOperation) as error:
            raise OutputError(f"cannot write {self.describe()}: {getattr(error, 'strerror', None) or error}") from None

    def send(self, frame: FaceFrame, now_ns: int) -> None:
        """Write a line, if it need not wait for others.

        Raises:
            OutputEndedError: it cannot be written, and what follows would not fit to it.
        """
        del now_ns
        if self._file is None and not self._find_reader():
            return
        if self._first_ns is None:
            self._first_ns = frame.publish_ns
        self._lines.append(self._line(frame, max(frame.publish_ns - self._first_ns, 0)))
        if not self.batch_s:
            self.flush()

    def flush(self) -> None:
        """Write what waits: to a file all of it or nothing.

        Raises:
            OutputEndedError: it cannot be written.
        """
        assert self._file is not None, "call open first"
        lines = b"".join(self._lines)
        self._lines.clear()
        written = 0
        try:
            while written < len(lines):
                taken = self._file.write(memoryview(lines)[written:])
                written += taken or 0  # a pipe that is nearly full takes a part; none if it was made not to wait
                if not taken:
                    self._wait_for_room()
        except BrokenPipeError:
            raise OutputEndedError(f"nobody reads {self.describe()} any more: this output has ended") from None
        except OSError as error:
            self._take_back(written)
            raise OutputEndedError(f"cannot write {self.describe()} any more: {error.strerror or error}") from None

    def idle(self, now_ns: int) -> None:
        """Check whether somebody reads a pipe by now."""
        del now_ns
        if self._file is None:
            self._find_reader()

    def close(self) -> None:
        """Close the file; safe to call twice."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def describe(self) -> str:
        """Return the file's name."""
        return "standard output" if self._path == STDOUT else self._path

    def _find_reader(self) -> bool:
        """Open a named pipe if somebody reads it: to open it as a file is opened would wait until then.

        Raises:
            OutputEndedError: the pipe is gone.
        """
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise OutputEndedError(f"cannot write {self.describe()}: {error.strerror or error}") from None
            self.waiting = f"a reader of {self._path}"
            return False
        os.set_blocking(descriptor, True)
        self._use(os.fdopen(descriptor, "wb", buffering=0))
        self.waiting = None
        return True

    def _wait_for_room(self) -> None:
        """Wait until a pipe takes more; not by ``select``, which knows no descriptor beyond 1023."""
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._file, selectors.EVENT_WRITE)  # type: ignore[arg-type]
            waiting.select()

    def _take_back(self, size: int) -> None:
        """Cut what was written of lines that the disk has no room for: nobody can read half a line."""
        if self._file is not None and self.batch_s:
            with contextlib.suppress(OSError):
                self._file.truncate(self._file.tell() - size)

    def _use(self, file: io.FileIO) -> None:
        self._file = file
        self.batch_s = BATCH_S if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else 0.0

    @abstractmethod
    def _line(self, frame: FaceFrame, time_ns: int) -> bytes:
        """Return the frame's line, ``time_ns`` after the first one's."""


def _open_existing(path: Path) -> io.FileIO:
    """Open a device; a link to nothing is not made into a file somewhere else.

    Raises:
        OSError: it cannot be written, or is a link to nothing.
    """
    return os.fdopen(os.open(path, os.O_WRONLY | getattr(os, "O_NOCTTY", 0)), "wb", buffering=0)


def _open_stdout() -> io.FileIO:
    """Return standard output as a file without a buffer.

    Raises:
        OSError: there is none.
    """
    if sys.stdout is None:
        raise OSError(errno.EBADF, "it is closed")
    return open(sys.stdout.fileno(), "wb", buffering=0, closefd=False)


class CsvOutput(_FileOutput):
    """Live Link Face's columns; the timecode counts from the first frame. The head's translation has no column."""

    name = "csv"

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._text = io.StringIO(newline="")
        self._writer = LiveLinkCsvWriter(self._text)

    def _line(self, frame: FaceFrame, time_ns: int) -> bytes:
        self._writer.write(frame, time_ns)
        line = self._text.getvalue().encode("ascii")  # with the header before the first
        self._text.seek(0)
        self._text.truncate()
        return line


class JsonlOutput(_FileOutput):
    """An object a line with the keys of ``facewire export``'s ``.jsonl`` and the frame's number and age."""

    name = "jsonl"

    def _line(self, frame: FaceFrame, time_ns: int) -> bytes:
        delay_s = (frame.publish_ns - frame.capture_ns) * 1e-9
        about = (time_ns * 1e-9, frame.seq, delay_s, frame.sources, frame.confidence)
        line = _JSON_LINE % (*about, *frame.blendshapes.tolist(), *frame.head.tolist(), *frame.gaze.tolist())
        if frame.extra:
            line = f"{line[:-2]}{self._further(frame.extra)}}}\n"
        return line.encode()

    def _further(self, extra: Mapping[str, Float32Array]) -> str:
        """Return the keys of further streams that sessions keep, too."""
        streams = [(stream, extra[name]) for name, stream in extra_streams().items() if name in extra]
        named = {stream.name: stream.named(values, DECIMALS) for stream, values in streams if stream.recorded}
        return "".join(f",{json.dumps(name)}:{json.dumps(values)}" for name, values in named.items())


def _json_line() -> str:
    """Return the line with a place for each value: as ``json.dumps`` would write it, for less than half the time."""
    number = f"%.{DECIMALS}g"
    shapes = ",".join(f'"{name}":{number}' for name in BLENDSHAPES)
    lists = {name: ",".join([number] * count) for name, count in {"turn": 4, "place": 3, "gaze": 4}.items()}
    return (
        f'{{"time_s":%.{DECIMALS}f,"seq":%d,"delay_s":{number},"sources":"%s","confidence":{number},'
        f'"blendshapes":{{{shapes}}},"head":{{"rotation_xyzw":[{lists["turn"]}],"translation_m":[{lists["place"]}]}},'
        f'"gaze_rad":[{lists["gaze"]}]}}\n'
    )


_JSON_LINE = _json_line()
