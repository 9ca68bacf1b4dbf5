"""Reads session files: opens by the index, seeks by the chunk table, yields stored messages or frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import numpy as np
from mcap.records import Channel

from facewire.bridge.recording.chunks import Stored, chunk_messages, read_chunk
from facewire.bridge.recording.errors import CutSessionError, SessionError
from facewire.bridge.recording.index import ChunkTable, read_index, read_metadata
from facewire.bridge.recording.layout import (
    AUDIO_TOPIC,
    END_NAME,
    FRAME_TOPIC,
    METADATA_NAME,
    STATUS_TOPIC,
    AudioBlock,
    AudioFormat,
    SessionMetadata,
)
from facewire.bridge.recording.partfile import reason
from facewire.bridge.shared.errors import WireError
from facewire.bridge.wire.codec import decode_frame, decode_message
from facewire.bridge.wire.frame import FaceFrame
from facewire.bridge.wire.streams import Stream, extra_streams

FOREVER_NS = 2**63 - 1


class Session:
    """A whole session file, open for reading. Belongs to one thread; open it again for another."""

    def __init__(self, path: Path) -> None:
        """Open ``path`` and read its index, not its frames.

        Raises:
            SessionError: it cannot be opened, is not a session, or is one of a newer format.
            CutSessionError: it was not finished.
        """
        self.path = path
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise SessionError(f"cannot open {path}: {reason(error)}") from None
        try:
            self._open()
        except OSError as error:
            self._file.close()
            raise SessionError(f"cannot read {path}: {reason(error)}") from None
        except SessionError as error:
            self._file.close()
            raise type(error)(f"{path}: {error}") from None

    def _open(self) -> None:
        self._index = read_index(self._file)
        records = {entry.name: entry for entry in self._index.metadata}
        if METADATA_NAME not in records:
            raise SessionError("this MCAP file is not a Facewire session")
        self.metadata = SessionMetadata.from_record(read_metadata(self._file, records[METADATA_NAME]).metadata)
        self.extra = extra_streams(self.metadata.hello)
        """The further streams that its frames may carry: those that its hello announces, and those registered here."""
        self.end: dict[str, str] = {}
        """What the recorder noted at the end, such as frames that it had to drop."""
        if END_NAME in records:
            self.end = read_metadata(self._file, records[END_NAME]).metadata
        audio = self._channel(AUDIO_TOPIC)
        self.audio = None if audio is None else AudioFormat.from_channel_metadata(audio.metadata)
        self.start_ns, self.end_ns = self._frame_range_ns()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def duration_ns(self) -> int:
        """From the first frame to the last, in nanoseconds."""
        return self.end_ns - self.start_ns

    def count(self, topic: str) -> int:
        """Return how many messages a channel has."""
        channel, statistics = self._channel(topic), self._index.statistics
        return 0 if channel is None or statistics is None else statistics.channel_message_counts.get(channel.id, 0)

    @property
    def frame_count(self) -> int:
        """How many frames there are."""
        return self.count(FRAME_TOPIC)

    def require_frames(self) -> Session:
        """Return the session itself.

        Raises:
            SessionError: it has no frames.
        """
        if self.frame_count == 0:
            raise SessionError(f"{self.path}: this session is empty: it has no frames")
        return self

    def messages(self, topic: str, start_ns: int = 0, end_ns: int = FOREVER_NS) -> Iterator[Stored]:
        """Yield a channel's messages with log times from ``start_ns`` to ``end_ns`` (included), in the file's order.

        Raises:
            SessionError: a chunk is damaged.
        """
        channel = self._channel(topic)
        table = None if channel is None else self._index.chunks.get(channel.id)
        if channel is None or table is None:
            return
        for row in np.flatnonzero((table.end_ns >= start_ns) & (table.start_ns <= end_ns)):
            for stored in chunk_messages(self._chunk(table, int(row))):
                if stored.channel_id == channel.id and start_ns <= stored.log_ns <= end_ns:
                    yield stored

    def frames(self, start_ns: int = 0, end_ns: int = FOREVER_NS) -> Iterator[tuple[int, FaceFrame]]:
        """Yield frames with their places on the time line, likewise.

        Raises:
            SessionError: a chunk or a frame is damaged.
        """
        for stored in self.messages(FRAME_TOPIC, start_ns, end_ns):
            yield stored.log_ns, read_frame(stored.data, self.extra)

    def audio_blocks(self, start_ns: int = 0, end_ns: int = FOREVER_NS) -> Iterator[AudioBlock]:
        """Yield the runs of samples that begin in the range, likewise.

        Raises:
            SessionError: a chunk or a block is damaged.
        """
        for stored in self.messages(AUDIO_TOPIC, start_ns, end_ns):
            yield AudioBlock.unpack(stored.log_ns, stored.data)

    def statuses(self, start_ns: int = 0, end_ns: int = FOREVER_NS) -> Iterator[Stored]:
        """Yield status messages as stored, likewise.

        Raises:
            SessionError: a chunk is damaged.
        """
        return self.messages(STATUS_TOPIC, start_ns, end_ns)

    def _channel(self, topic: str) -> Channel | None:
        return next((channel for channel in self._index.channels.values() if channel.topic == topic), None)

    def _chunk(self, table: ChunkTable, row: int) -> bytes:
        try:
            return read_chunk(self._file, int(table.offset[row]))
        except OSError as error:
            raise SessionError(f"cannot read {self.path}: {reason(error)}") from None
        except SessionError as error:
            raise SessionError(f"{self.path}: {error}") from None

    def _frame_range_ns(self) -> tuple[int, int]:
        channel = self._channel(FRAME_TOPIC)
        table = None if channel is None else self._index.chunks.get(channel.id)
        if channel is None or table is None or not len(table.offset):
            return 0, 0
        first = [stored.log_ns for stored in chunk_messages(self._chunk(table, 0)) if stored.channel_id == channel.id]
        last = [stored.log_ns for stored in chunk_messages(self._chunk(table, -1)) if stored.channel_id == channel.id]
        return (min(first), max(last)) if first and last else (0, 0)


Progress = Callable[[int, int], None]
"""Called now and then with how much is done and how much there is."""
PROGRESS_EVERY = 256
Item = TypeVar("Item")


def counted(items: Iterable[Item], total: int, progress: Progress | None) -> Iterator[Item]:
    """Yield ``items``, ``total`` in number, and report about two hundred times how far they are."""
    every = max(1, total // 200)
    for number, item in enumerate(items):
        if progress is not None and number % every == 0:
            progress(number, total)
        yield item


def open_session(path: Path) -> Session:
    """Return the session in ``path``; say how to repair one that was cut.

    Raises:
        SessionError: it cannot be used.
    """
    try:
        return Session(path)
    except CutSessionError:
        raise CutSessionError(
            f"{path}: this session was cut before its end; repair it: facewire repair {path}"
        ) from None


def read_frame(data: bytes, extra: Mapping[str, Stream] | None = None) -> FaceFrame:
    """Return the frame in a stored message, with the further streams that may be in it (``decode_frame``).

    Raises:
        SessionError: it is not one.
    """
    try:
        message = decode_message(data)
        if message["type"] != "frame":
            raise WireError(f"a {message['type']} message among the frames")
        return decode_frame(message, extra)
    except WireError as error:
        raise SessionError(f"the session holds a frame that cannot be read ({error}): the file is damaged") from None
