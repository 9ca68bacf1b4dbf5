"""Damage to session files, one change at a time, and what everything that reads them then says.

Nothing may be silently wrong: what is read must be what was written, or be refused; and a repair must save every frame
whose chunk was not touched.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facewire.bridge.export.formats import export
from facewire.bridge.recording.check import is_whole
from facewire.bridge.recording.chunks import chunk_messages, parse_chunk, unpack
from facewire.bridge.recording.info import describe
from facewire.bridge.recording.reader import Session
from facewire.bridge.recording.repair import repair
from facewire.bridge.shared.errors import FacewireError
from facewire.runtime.takes.replay import Replay

Place = tuple[int, int]
"""Where a record begins, and where the next one does."""


def records(data: bytes) -> list[tuple[int, int, int]]:
    """Return opcode, begin and end of every record of a whole file, or of what is whole in a cut one."""
    found, place = [], 8
    while place + 9 <= len(data) - 8:
        end = place + 9 + int.from_bytes(data[place + 1 : place + 9], "little")
        if end > len(data):
            break
        found.append((data[place], place, end))
        place = end
    return found


def spread(data: bytes, count: int, seed: int = 1) -> list[tuple[int, int]]:
    """Return ``count`` places with a bit of each, over all kinds of records: their heads, fields and content.

    Half lie anywhere; half take the kinds in turn, so that small ones (footer, magic, the end) come up as often.
    """
    dice = random.Random(seed)
    kinds: dict[object, list[Place]] = {"magic": [(0, 8), (len(data) - 8, len(data))]}
    for opcode, begin, end in records(data):
        kinds.setdefault(opcode, []).append((begin, min(begin + 60, end)))
        kinds.setdefault((opcode, "head"), []).append((begin, begin + 9))
    chosen = [(dice.randrange(len(data)), dice.randrange(8)) for _ in range(count // 2)]
    turns = list(kinds.values())
    for number in range(count - len(chosen)):
        begin, end = dice.choice(turns[number % len(turns)])
        chosen.append((dice.randrange(begin, end), dice.randrange(8)))
    return chosen


def content(path: Path) -> dict[str, Any]:
    """Return all that a reader can find in a session."""
    with Session(path) as session:
        return {
            "frames": [(one.log_ns, one.sequence, one.data) for one in session.messages("frame")],
            "decoded": [frame.seq for _, frame in session.frames()],
            "audio": [(one.log_ns, one.first_sample, one.samples) for one in session.audio_blocks()],
            "statuses": [(one.log_ns, one.data) for one in session.statuses()],
            "about": session.metadata.to_record(),
            "end": session.end,
            "format": session.audio,
            "range": (session.start_ns, session.end_ns),
            "count": session.frame_count,
        }


def figures(path: Path) -> dict[str, Any]:
    """Return what ``facewire info --json`` prints."""
    with Session(path) as session:
        return {key: value for key, value in describe(session)[0].as_dict().items() if key != "path"}


def exported(path: Path, output: Path) -> bytes:
    """Return the take as JSON lines."""
    with Session(path) as session:
        export(session, output, force=True)
    return output.read_bytes()


def replayed(path: Path) -> list[tuple[int, int, bytes]]:
    """Return the frames that a replay publishes, each in its turn but without waiting for it."""
    with Session(path) as session:
        shown: list[tuple[int, int, bytes]] = []
        replay = Replay(
            session.require_frames(),
            lambda frame: shown.append((frame.seq, frame.publish_ns, frame.blendshapes.tobytes())),
        )
        while not replay.ended.is_set():
            replay.turn(2**62)
        return shown


@dataclass
class Original:
    """A take as it was written, ``data`` being its bytes or those of its beginning."""

    data: bytes
    folder: Path
    content: dict[str, Any]
    figures: dict[str, Any]
    exported: bytes
    replayed: list[tuple[int, int, bytes]]
    chunks: dict[Place, list[tuple[int, int, bytes]]]
    """The frames of each chunk that is in ``data``."""
    tally: Counter[str] = field(default_factory=Counter)

    @staticmethod
    def of(path: Path, folder: Path, length: int | None = None) -> Original:
        """Read a whole take; keep its first ``length`` bytes."""
        data = path.read_bytes()[:length]
        with Session(path) as session:
            frame_channel = next(one.id for one in session.index.channels.values() if one.topic == "frame")
        chunks = {}
        for opcode, begin, end in records(data):
            if opcode == 6:
                stored = chunk_messages(unpack(parse_chunk(data[begin + 9 : end])))
                frames = [(one.log_ns, one.sequence, one.data) for one in stored if one.channel_id == frame_channel]
                chunks[begin, end] = frames
        return Original(
            data,
            folder,
            content(path),
            figures(path),
            exported(path, folder / "all.jsonl"),
            replayed(path),
            chunks,
        )

    def faults(self, damaged: bytes, touched: Callable[[Place], bool]) -> list[str]:
        """Return what is silently wrong of ``damaged``, and what a repair lost of chunks that are not ``touched``."""
        path, saved = self.folder / "damaged.mcap", self.folder / "saved.mcap"
        path.write_bytes(damaged)
        found = []
        for name, read, right in (
            ("reader", lambda: content(path), self.content),
            ("info", lambda: figures(path), self.figures),
            ("export", lambda: exported(path, self.folder / "damaged.jsonl"), self.exported),
            ("replay", lambda: replayed(path), self.replayed),
        ):
            try:
                same = read() == right
            except FacewireError as error:
                self.tally[f"{name} refused"] += 1
                found += ["more than a line is said"] * ("\n" in str(error))
                continue
            self.tally[f"{name} right"] += same
            found += [] if same else [f"{name} silently wrong"]
        if is_whole(path):
            found += [] if damaged == self.data else ["called whole"]
        wanted = sorted(frame for place, frames in self.chunks.items() if not touched(place) for frame in frames)
        try:
            report = repair(path, saved, force=True)
            got = content(saved)
        except FacewireError as error:
            self.tally["repair refused"] += 1
            return found + ([f"frames lost: {error}"] if wanted else [])
        self.tally["repaired"] += 1
        return found + list(self._repair_faults(got, wanted, report.about))

    def _repair_faults(self, got: dict[str, Any], wanted: list[tuple[int, int, bytes]], about: str) -> Iterator[str]:
        if missing := set(wanted) - set(got["frames"]):
            yield f"{len(missing)} frames lost whose chunk is right"
        for key in ("frames", "audio", "statuses"):
            if not set(got[key]) <= set(self.content[key]):
                yield f"{key} that nobody wrote"
            if len(set(got[key])) != len(got[key]) or got[key] != sorted(got[key]):
                yield f"{key} twice or out of order"
        said = {key: value for key, value in got["about"].items() if key != "origin"}
        right = {key: value for key, value in self.content["about"].items() if key != "origin"}
        self.tally[f"about itself: {about}"] += 1
        if about != "lost" and said != right:
            yield "other metadata, unsaid"
        if any(self.content["end"].get(key, value) != value for key, value in got["end"].items()):
            yield "another end record"
        if not figures(self.folder / "saved.mcap")["checked"]:
            yield "the repaired take cannot be checked"


def flipped(data: bytes, place: int, bit: int) -> bytes:
    """Return ``data`` with one bit turned."""
    changed = bytearray(data)
    changed[place] ^= 1 << bit
    return bytes(changed)


def flip_faults(original: Original, flips: list[tuple[int, int]]) -> list[str]:
    """Return what is wrong after each of ``flips``, with its place."""
    return [
        f"byte {place} bit {bit}: {fault}"
        for place, bit in flips
        for fault in original.faults(
            flipped(original.data, place, bit), lambda chunk, place=place: chunk[0] <= place < chunk[1]
        )
    ]
