"""Write the conformance files of docs/recording.md: ``python tests/golden/recording/make.py``.

Each ``NAME.mcap`` is a session and ``NAME.json`` what a reader must find in it; ``invalid/`` holds files that a reader
must refuse, and ``NAME.json`` beside each says why. The files are made from their descriptions, so they are the same
everywhere but for the name of the program that wrote them and the compression's bytes.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import zstandard
from mcap.writer import CompressionType, Writer

from facewire.bridge.recording.check import check_session
from facewire.bridge.recording.cut import TimeRange, cut
from facewire.bridge.recording.layout import AudioBlock, AudioFormat, SessionMetadata
from facewire.bridge.recording.reader import open_session
from facewire.bridge.recording.repair import repair
from facewire.bridge.recording.writer import SessionWriter
from facewire.bridge.wire.codec import Encoder
from facewire.bridge.wire.frame import FaceFrame, FlameParameters
from facewire.bridge.wire.streams import STREAMS

HERE = Path(__file__).parent
START_NS = 12_000_000_000
METADATA = SessionMetadata(
    started_unix_ns=1_790_000_000_000_000_000,
    started_clock_ns=START_NS,
    hello={"type": "hello", "protocol": 1, "rate": 60.0},
    session="6f0c5a52-7d1e-4a53-9a55-0f3b3c9f1a10",
    program="facewire/golden",
)


def frame(seq: int, sources: str = "video", **more: Any) -> FaceFrame:
    """Make a frame whose values tell which one it is."""
    shapes = ((np.arange(52, dtype=np.float32) * 7 + seq * 3) % 53) / np.float32(64)
    head = np.array([0, 0.6, 0, 0.8, seq / 256, -0.125, -0.5], np.float32)
    gaze = np.array([0.125, -0.0625, 0.25, -0.5], np.float32)
    publish_ns = START_NS + seq * 16_666_667
    return FaceFrame(seq, publish_ns - 9_000_000, publish_ns, sources, 0.75, shapes, head, gaze, **more)  # type: ignore[arg-type]


def write(name: str, frames: list[FaceFrame], *, audio: AudioFormat | None = None, commit_every: int = 30) -> Path:
    """Write one session, replacing it."""
    path, encoder = HERE / f"{name}.mcap", Encoder()
    writer, fed = SessionWriter(path, METADATA, audio=audio, force=True), 0
    for one in frames:
        while audio is not None and START_NS + fed * 10**9 // audio.rate <= one.publish_ns:
            ramp = (np.arange(fed, fed + audio.rate // 50) * 5 % 4096).astype("<i2")
            samples = np.repeat(ramp, audio.channels).tobytes()
            writer.add_audio(AudioBlock(START_NS + fed * 10**9 // audio.rate, fed, samples), audio)
            fed += audio.rate // 50
        writer.add_frame(encoder.frame(one, STREAMS), one.seq, one.publish_ns)
        if one.seq % 60 == 0:
            writer.add_status(encoder.message({"type": "status", "subscribers": 0}), one.publish_ns)
        if one.seq % commit_every == commit_every - 1:
            writer.commit()
    return writer.finish({"frames": str(len(frames)), "refused_frames": "0"})


def describe(path: Path) -> dict[str, Any]:
    """Return what a reader must find: counts, times, and a hash of all frames' bytes in their order."""
    with open_session(path) as session:
        stored = list(session.messages("frame"))
        blocks = list(session.audio_blocks())
        return {
            "origin": session.metadata.origin,
            "session": session.metadata.session,
            "started_unix_ns": session.metadata.started_unix_ns,
            "started_clock_ns": session.metadata.started_clock_ns,
            "frames": len(stored),
            "first_log_ns": stored[0].log_ns if stored else None,
            "last_log_ns": stored[-1].log_ns if stored else None,
            "log_ns_sum": sum(one.log_ns for one in stored),
            "sequences_sha256": hashlib.sha256(
                b"".join(one.sequence.to_bytes(4, "little") for one in stored)
            ).hexdigest(),
            "frames_sha256": hashlib.sha256(b"".join(one.data for one in stored)).hexdigest(),
            "statuses": len(list(session.statuses())),
            "checked": check_session(session),
            "audio": None
            if session.audio is None
            else {
                "rate": session.audio.rate,
                "channels": session.audio.channels,
                "blocks": len(blocks),
                "first_log_ns": blocks[0].log_ns,
                "samples_sha256": hashlib.sha256(b"".join(block.samples for block in blocks)).hexdigest(),
            },
        }


def write_foreign(name: str, compression: CompressionType) -> Path:
    """Write a session as another program may: other channels, keys that are not known, channels in another order."""
    path = HERE / f"{name}.mcap"
    with path.open("wb") as file:
        writer = Writer(file, compression=compression)
        writer.start(profile="facewire", library="somebody else's 1.0")
        writer.add_metadata("notes", {"by": "somebody else"})
        writer.add_metadata("facewire", METADATA.to_record() | {"a key of tomorrow": "?"})
        other = writer.register_channel("imu", "json", 0)
        ours = writer.register_channel("frame", "msgpack", 0)
        for seq in range(20):
            one = frame(seq)
            writer.add_message(other, one.publish_ns, b'{"x": 1}', one.publish_ns)
            writer.add_message(ours, one.publish_ns, Encoder().frame(one), one.publish_ns, seq)
        writer.finish()
    return path


def zstd_stream(data: bytes) -> bytes:
    """Pack as a writer does that streams: nothing says how much it is."""
    packer = zstandard.ZstdCompressor().compressobj()
    return packer.compress(data) + packer.flush()


def write_invalid(whole: Path) -> None:
    """Write the files that a reader must refuse."""
    folder, data = HERE / "invalid", whole.read_bytes()
    folder.mkdir(exist_ok=True)
    with (folder / "no_metadata.mcap").open("wb") as file:
        writer = Writer(file)
        writer.start(profile="facewire")
        writer.finish()
    with (folder / "newer.mcap").open("wb") as file:
        writer = Writer(file)
        writer.start(profile="facewire")
        writer.add_metadata("facewire", METADATA.to_record() | {"format": "2"})
        writer.finish()
    for name, place in (("bad_index", int.from_bytes(data[-28:-20], "little") + 40), ("bad_metadata", 200)):
        damaged = bytearray(data)
        damaged[place] ^= 1
        (folder / f"{name}.mcap").write_bytes(damaged)
    (folder / "cut.mcap").write_bytes(data[: len(data) * 2 // 3])
    (folder / "not_mcap.mcap").write_bytes(b"RIFF\x24\x00\x00\x00WAVEfmt ")
    (folder / "empty_file.mcap").write_bytes(b"")
    reasons = {
        "no_metadata": "not a session: no metadata record named facewire (3)",
        "newer": "format 2 (7)",
        "cut": "cut before its end (6); a repair finds the frames of its whole chunks",
        "bad_index": "a bit of the index is not as it was written: its checksum says so (5)",
        "bad_metadata": "a bit of the metadata record is not as it was written: its checksum says so (3)",
        "not_mcap": "not MCAP",
        "empty_file": "not MCAP",
    }
    for name, reason in reasons.items():
        (folder / f"{name}.json").write_text(json.dumps({"refuse": reason}, indent=1) + "\n")


def main() -> None:
    """Write all files."""
    flame = FlameParameters(*(np.arange(n, dtype=np.float32) / 8 for n in (50, 3, 3, 6)))
    sources = ["video"] * 20 + ["held"] * 10 + ["audio"] * 15 + ["both"] * 15
    simple = write("simple", [frame(seq, source) for seq, source in enumerate(sources)], audio=AudioFormat())
    paths = [
        simple,
        write("gap", [frame(seq) for seq in range(60) if not 20 <= seq < 25], commit_every=7),
        write("flame_stereo", [frame(seq, flame=flame) for seq in range(12)], audio=AudioFormat(48_000, 2)),
        write("empty", []),
        write_foreign("foreign_lz4", CompressionType.LZ4),
        write_foreign("foreign_plain", CompressionType.NONE),
    ]
    with mock.patch("mcap.writer.zstandard.compress", zstd_stream):
        paths.append(write_foreign("foreign_stream", CompressionType.ZSTD))
    cut([simple, HERE / "gap.mcap"], HERE / "joined.mcap", TimeRange(0.1, 0.5), force=True)
    write_invalid(simple)
    repair(HERE / "invalid" / "cut.mcap", HERE / "repaired.mcap", force=True)
    for path in [*paths, HERE / "joined.mcap", HERE / "repaired.mcap"]:
        path.with_suffix(".json").write_text(json.dumps(describe(path), indent=1) + "\n")


if __name__ == "__main__":
    main()
