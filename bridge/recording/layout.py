"""What a session file holds besides its frames: channels, the metadata record, how its messages are packed.

``docs/recording.md`` is normative; its section numbers are cited where a line rests on one.
"""

from __future__ import annotations

import json
import struct
import uuid
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgpack

from facewire.bridge.recording.errors import NewerSessionError, SessionError
from facewire.bridge.wire.codec import Message
from facewire.bridge.wire.messages import SUBPROTOCOL, version

PROFILE = "facewire"
FORMAT = 1
SUFFIX = ".mcap"
PART_SUFFIX = ".part"

FRAME_TOPIC = "frame"
AUDIO_TOPIC = "audio"
STATUS_TOPIC = "status"
METADATA_NAME = "facewire"
COPY_NAME = "facewire.copy"
END_NAME = "facewire.end"
CRC_KEY = "crc"
REPAIRED_START = "repaired_start"
"""Of the end record: ``guessed`` if a repair found no start time."""
JSON_KEYS = ("hello", "profile", "versions", "devices")
AUDIO_KEY = "audio"
"""Of the copy: the audio channel's metadata as JSON, for it too stands in one chunk alone until the end is written."""

AUDIO_SAMPLE_BYTES = 2
MAX_SAMPLE_RATE = 384_000
MAX_AUDIO_CHANNELS = 8


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """How a session's audio is sampled; samples are signed 16-bit little-endian, channels interleaved."""

    rate: int = 16_000
    """Samples a second of each channel."""
    channels: int = 1

    def channel_metadata(self) -> dict[str, str]:
        """Return the MCAP channel's metadata (recording.md, 4)."""
        return {"encoding": "s16le", "rate": str(self.rate), "channels": str(self.channels)}

    @staticmethod
    def from_channel_metadata(metadata: Mapping[str, str]) -> AudioFormat:
        """Return what a channel's metadata says.

        Raises:
            SessionError: it is not s16le audio of a usable rate.
        """
        rate, channels = _integer(metadata, "rate"), _integer(metadata, "channels")
        if (
            metadata.get("encoding") != "s16le"
            or not 0 < rate <= MAX_SAMPLE_RATE
            or not 0 < channels <= MAX_AUDIO_CHANNELS
        ):
            raise SessionError("the session's audio channel is not s16le of a usable rate: the file is damaged")
        return AudioFormat(rate, channels)

    @property
    def block_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return AUDIO_SAMPLE_BYTES * self.channels


@dataclass(frozen=True, slots=True)
class SessionMetadata:
    """What a session says about itself (recording.md, 3)."""

    started_unix_ns: int
    """Wall clock at the session clock's ``started_clock_ns``."""
    started_clock_ns: int
    hello: Message = field(default_factory=dict)
    """The hello message of the server that recorded it."""
    session: str = field(default_factory=lambda: str(uuid.uuid4()))
    origin: str = "live"
    """How it came to be: live, bake, import, cut, join, repair."""
    program: str = field(default_factory=lambda: f"facewire/{version()}")
    profile: Mapping[str, Any] | None = None
    """The user's calibration at the start, if it was known by then; the end record has the last one."""
    versions: Mapping[str, Any] | None = None
    """Of what it was recorded with: Python, the system, the libraries that matter."""
    devices: Mapping[str, Any] | None = None
    """Names of the devices; only if the user agreed."""

    def to_record(self) -> dict[str, str]:
        """Return the MCAP metadata record's map of texts."""
        record = {
            "format": str(FORMAT),
            "program": self.program,
            "session": self.session,
            "origin": self.origin,
            "started_unix_ns": str(self.started_unix_ns),
            "started_clock_ns": str(self.started_clock_ns),
            "hello": json.dumps(self.hello),
        }
        for key in ("profile", "versions", "devices"):
            if (value := getattr(self, key)) is not None:
                record[key] = json.dumps(value)
        return record

    @staticmethod
    def from_record(record: Mapping[str, str]) -> SessionMetadata:
        """Return what a metadata record says; keys that are not known are skipped.

        Raises:
            SessionError: the format is newer than this program, or a value makes no sense.
        """
        form = _integer(record, "format")
        if form > FORMAT:
            raise NewerSessionError(f"the session has format {form}, and this Facewire reads up to {FORMAT}: update it")
        return SessionMetadata(
            started_unix_ns=_integer(record, "started_unix_ns"),
            started_clock_ns=_integer(record, "started_clock_ns"),
            hello=_json_map(record, "hello") or {},
            session=record.get("session", ""),
            origin=record.get("origin", "live"),
            program=record.get("program", ""),
            profile=_json_map(record, "profile"),
            versions=_json_map(record, "versions"),
            devices=_json_map(record, "devices"),
        )


FRAME_CHANNEL = {"wire": SUBPROTOCOL}


@dataclass(frozen=True, slots=True)
class AudioBlock:
    """A run of samples."""

    log_ns: int
    """Place of its first sample on the session's time line, in nanoseconds."""
    first_sample: int
    """How many samples of each channel came before it since the microphone was opened; a jump is a gap."""
    samples: bytes
    """s16le, interleaved."""

    def pack(self) -> bytes:
        """Return the message of the audio channel (recording.md, 4)."""
        packed = msgpack.packb({"type": "audio", "first_sample": self.first_sample, "samples": self.samples})
        assert isinstance(packed, bytes)
        return packed

    @staticmethod
    def unpack(log_ns: int, data: bytes) -> AudioBlock:
        """Return the block in an audio message.

        Raises:
            SessionError: it is not one.
        """
        try:
            message = msgpack.unpackb(data)
            first, samples = message["first_sample"], message["samples"]
        except (ValueError, TypeError, KeyError, msgpack.UnpackException):
            raise SessionError("the session holds an audio message that cannot be read: the file is damaged") from None
        if type(first) is not int or not isinstance(samples, bytes):
            raise SessionError("the session holds an audio message of the wrong types: the file is damaged")
        return AudioBlock(log_ns, first, samples)


def _integer(record: Mapping[str, str], key: str) -> int:
    try:
        return int(record[key])
    except (KeyError, ValueError):
        raise SessionError(f"the session's metadata has no usable {key!r}: the file is damaged or no session") from None


def _json_map(record: Mapping[str, str], key: str) -> dict[str, Any] | None:
    if key not in record:
        return None
    try:
        value = json.loads(record[key])
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise SessionError(f"the session's metadata {key!r} is not a JSON map: the file is damaged")
    return value


def seal(record: Mapping[str, str]) -> dict[str, str]:
    """Return a metadata record's texts with their checksum, which comes first (recording.md, 3)."""
    return {CRC_KEY: _texts_crc(record.items()), **record}


def sealed_texts(pairs: Iterable[tuple[str, str]]) -> tuple[dict[str, str], bool]:
    """Return a metadata record's texts without their checksum, and whether there was one.

    Raises:
        ValueError: it is wrong, or a key stands there twice.
    """
    pairs = list(pairs)
    record = dict(pairs)
    if len(record) != len(pairs):
        raise ValueError
    said = record.pop(CRC_KEY, None)
    if said is not None and said != _texts_crc(record.items()):
        raise ValueError
    return record, said is not None


def _texts_crc(pairs: Iterable[tuple[str, str]]) -> str:
    crc = 0
    for pair in sorted((key.encode(), value.encode()) for key, value in pairs):
        for text in pair:
            crc = zlib.crc32(text, zlib.crc32(struct.pack("<I", len(text)), crc))
    return f"{crc:08x}"
