"""Writes one session file, message by message. Belongs to one thread; reads no clock."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from mcap.writer import CompressionType, Writer

from facewire.bridge.recording.layout import (
    AUDIO_KEY,
    AUDIO_TOPIC,
    COPY_NAME,
    END_NAME,
    FRAME_CHANNEL,
    FRAME_TOPIC,
    METADATA_NAME,
    PROFILE,
    STATUS_TOPIC,
    AudioBlock,
    AudioFormat,
    SessionMetadata,
    seal,
)
from facewire.bridge.recording.partfile import PartFile

CHUNK_BYTES = 1 << 20
"""A chunk is closed by ``commit``, or when it is this large: what is not live is written without commits."""
SEQUENCE_MASK = 0xFFFFFFFF


class SessionWriter:
    """Appends messages to chunks in memory; ``commit`` closes the chunk and hands it to the system.

    What was committed survives the death of the process; ``finish`` writes the index and gives the file its name.
    """

    def __init__(
        self,
        path: Path,
        metadata: SessionMetadata,
        *,
        audio: AudioFormat | None = None,
        force: bool = False,
        part: Path | None = None,
    ) -> None:
        """Create the file under its temporary name, which is ``part`` if that is given.

        Raises:
            SessionError: there is such a file already.
            RecordingError: it cannot be written.
        """
        self.file = PartFile(path, force=force, part=part)
        self._writer = Writer(
            self.file,  # type: ignore[arg-type]
            chunk_size=CHUNK_BYTES,
            compression=CompressionType.ZSTD,
            enable_data_crcs=True,
        )
        self._writer.start(profile=PROFILE, library=metadata.program)
        self._about = metadata.to_record()
        self._writer.add_metadata(METADATA_NAME, seal(self._about))
        self._copied = False
        self._channels = {
            FRAME_TOPIC: self._writer.register_channel(FRAME_TOPIC, "msgpack", 0, dict(FRAME_CHANNEL)),
            STATUS_TOPIC: self._writer.register_channel(STATUS_TOPIC, "msgpack", 0, dict(FRAME_CHANNEL)),
        }
        self.audio = audio
        self._sequences = {AUDIO_TOPIC: 0, STATUS_TOPIC: 0}
        if audio is not None:
            self._channels[AUDIO_TOPIC] = self._audio_channel(audio)

    def register_audio(self, audio: AudioFormat) -> None:
        """Decide the session's audio format, if it is not decided yet."""
        if self.audio is None:
            self.audio = audio
            self._channels[AUDIO_TOPIC] = self._audio_channel(audio)
            self._copied = False

    def add_frame(self, data: bytes, seq: int, log_ns: int) -> None:
        """Append a frame: the very bytes of its wire message, at ``log_ns`` (its ``publish_ns`` in a live take).

        Raises:
            RecordingError: a chunk was full and could not be written.
        """
        self._writer.add_message(self._channels[FRAME_TOPIC], log_ns, data, log_ns, seq & SEQUENCE_MASK)

    def add_audio(self, block: AudioBlock, audio: AudioFormat) -> None:
        """Append a run of samples. The first block decides the session's audio format.

        Raises:
            RecordingError: a chunk was full and could not be written.
            ValueError: the format is not the session's.
        """
        self.register_audio(audio)
        if self.audio != audio:
            raise ValueError(f"the session's audio is {self.audio}, not {audio}")
        self._add(AUDIO_TOPIC, block.log_ns, block.pack())

    def add_status(self, data: bytes, log_ns: int) -> None:
        """Append a status message as packed for the wire.

        Raises:
            RecordingError: a chunk was full and could not be written.
        """
        self._add(STATUS_TOPIC, log_ns, data)

    def commit(self) -> None:
        """Close the chunk and hand it to the system.

        Raises:
            RecordingError: it could not be written; the file ends with the chunk before.
        """
        self._writer.flush()
        if not self._copied:
            self._copy_about()
            self.file.flush()

    def sync(self) -> None:
        """Make the system put what was committed on the disk.

        Raises:
            RecordingError: the disk does not take it.
        """
        self.file.sync()

    def finish(self, end: Mapping[str, str] | None = None) -> Path:
        """Write the index, close the file and give it its name, which is returned.

        Args:
            end: texts for the record at the end, such as what was dropped.

        Raises:
            RecordingError: that failed; what was committed stays in the temporary file.
        """
        self._writer.flush()
        if not self._copied:
            self._copy_about()
        if end:
            self._writer.add_metadata(END_NAME, seal(end))
        self._writer.finish()
        return self.file.finish()

    def close(self) -> None:
        """Give up: what was committed stays in the temporary file."""
        self.file.close()

    def discard(self) -> None:
        """Give up and delete the temporary file."""
        self.file.discard()

    def _copy_about(self) -> None:
        """Say again, behind a chunk, what the file is: a bad sector at its beginning must not cost its start time."""
        audio = {} if self.audio is None else {AUDIO_KEY: json.dumps(self.audio.channel_metadata())}
        self._writer.add_metadata(COPY_NAME, seal(self._about | audio))
        self._copied = True

    def _audio_channel(self, audio: AudioFormat) -> int:
        return self._writer.register_channel(AUDIO_TOPIC, "msgpack", 0, audio.channel_metadata())

    def _add(self, topic: str, log_ns: int, data: bytes) -> None:
        sequence = self._sequences[topic]
        self._sequences[topic] = sequence + 1
        self._writer.add_message(self._channels[topic], log_ns, data, log_ns, sequence & SEQUENCE_MASK)
