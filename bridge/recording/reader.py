"""Reads session files: opens by the index, seeks by the chunk table, yields stored messages or frames."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import numpy as np
from mcap.records import Channel

from facewire.bridge.recording.chunks import DAMAGED, Stored, chunk_messages, read_chunk
from facewire.bridge.recording.errors import CutSessionError, SessionError
from facewire.bridge.recording.index import SELF_DAMAGED, ChunkTable, SessionIndex, read_index, read_metadata
from facewire.bridge.recording.layout import (
    AUDIO_TOPIC,
    END_NAME,
    FRAME_TOPIC,
    METADATA_NAME,
    REPAIRED_START,
    STATUS_TOPIC,
    AudioBlock,
    AudioFormat,
    SessionMetadata,
)
from facewire.bridge.recording.partfile import reason
from facewire.bridge.shared.errors import WireError
from facewire.bridge.shared.regular_file import open_regular
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
            self._file = open_regular(path)
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
        about, sealed = read_metadata(self._file, records[METADATA_NAME])
        self.metadata = SessionMetadata.from_record(about)
        self.sealed = sealed
        """Whether what it says about itself has checksums; takes of older programs have none."""
        self.extra = extra_streams(self.metadata.hello)
        """The further streams that its frames may carry: those that its hello announces, and those registered here."""
        self.end: dict[str, str] = {}
        """What the recorder noted at the end, such as frames that it had to drop."""
        if END_NAME in records:
            self.end, end_sealed = read_metadata(self._file, records[END_NAME])
            if end_sealed != sealed:  # a writer has both or none: one flipped bit turns the key into another
                raise SessionError(SELF_DAMAGED)
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
    def size_bytes(self) -> int:
        """How large the file is, also of one that was deleted since it was opened."""
        return os.fstat(self._file.fileno()).st_size

    @property
    def index(self) -> SessionIndex:
        """What the end of the file says about the rest."""
        return self._index

    @property
    def start_guessed(self) -> bool:
        """Whether its wall clock is a repair's guess by the damaged file's own time."""
        return self.end.get(REPAIRED_START) == "guessed"

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
            SessionError: a chunk is damaged, or all were to be read and there are not as many as the index says.
        """
        channel, table = self._table(topic)
        if channel is None or table is None:
            return
        count = 0
        for row in np.flatnonzero((table.end_ns >= start_ns) & (table.start_ns <= end_ns)):
            for stored in chunk_messages(self._chunk(table, int(row))):
                if stored.channel_id == channel.id and start_ns <= stored.log_ns <= end_ns:
                    count += 1
                    yield stored
        if start_ns <= 0 and end_ns >= FOREVER_NS and count != self.count(topic):
            raise SessionError(f"{self.path}: {DAMAGED}")

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
        found = [channel for channel in self._index.channels.values() if channel.topic == topic]
        return next((channel for channel in found if channel.id in self._index.chunks), found[0] if found else None)

    def _chunk(self, table: ChunkTable, row: int) -> bytes:
        try:
            place = table.offset[row], table.length[row], table.start_ns[row], table.end_ns[row]
            return read_chunk(self._file, *map(int, place))
        except OSError as error:
            raise SessionError(f"cannot read {self.path}: {reason(error)}") from None
        except SessionError as error:
            raise SessionError(f"{self.path}: {error}") from None

    def _table(self, topic: str) -> tuple[Channel | None, ChunkTable | None]:
        channel = self._channel(topic)
        return channel, None if channel is None else self._index.chunks.get(channel.id)

    def _frame_range_ns(self) -> tuple[int, int]:
        """Return the first and the last frame's place; chunks may be in any order and begin with other channels."""
        channel, table = self._table(FRAME_TOPIC)
        if channel is None or table is None:
            return 0, 0
        first_ns, last_ns = FOREVER_NS, -1
        for row in np.argsort(table.start_ns, kind="stable"):
            if table.start_ns[row] >= first_ns:
                break
            first_ns = min([first_ns, *self._places(channel, table, int(row))])
        for row in np.argsort(-table.end_ns, kind="stable"):
            if table.end_ns[row] <= last_ns:
                break
            last_ns = max([last_ns, *self._places(channel, table, int(row))])
        return (first_ns, last_ns) if first_ns <= last_ns else (0, 0)

    def _places(self, channel: Channel, table: ChunkTable, row: int) -> list[int]:
        stored = chunk_messages(self._chunk(table, row))
        return [message.log_ns for message in stored if message.channel_id == channel.id]


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
