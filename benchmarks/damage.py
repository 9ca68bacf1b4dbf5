"""Damaged sessions: every single-bit flip in 2,000 places of each kind of take, and what is then read, said and saved.

Compares, for takes with and without sound, whole, cut by ``facewire cut`` and interrupted: what reader, ``info``,
``export`` and ``replay`` find with what was written, and what ``repair`` saves with the frames of the chunks that were
not touched. Prints a table and one JSON line. About eight minutes; ``--places 200`` takes one.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from support.damage import Original, flip_faults, records, spread
from support.takes import write_take

from facewire.bridge.recording.cut import TimeRange, cut
from facewire.bridge.recording.layout import AudioFormat

DATA_END = 15


def take(folder: Path, kind: str, audio: AudioFormat | None) -> Original:
    """Write a take of ``kind`` and read it back."""
    path = write_take(
        folder / "original.mcap", seconds=1, commit_every=15, audio=audio, end={"frames": "60", "refused_frames": "3"}
    )
    if kind == "cut":
        cut([path], folder / "cut.mcap", TimeRange(0.2, 0.8))
        return Original.of(folder / "cut.mcap", folder)
    interrupted = next(begin for opcode, begin, _ in records(path.read_bytes()) if opcode == DATA_END)
    return Original.of(path, folder, interrupted if kind == "interrupted" else None)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--places", type=int, default=2000, help="of each kind of take (default: 2000)")
    args = parser.parse_args()
    rows = []
    for kind in ("whole", "cut", "interrupted"):
        for audio in (None, AudioFormat()):
            with tempfile.TemporaryDirectory() as folder:
                original = take(Path(folder), kind, audio)
                faults = flip_faults(original, spread(original.data, args.places))
            row = {"take": kind, "sound": audio is not None, "flips": args.places, "faults": len(faults)}
            rows.append(row | dict(sorted(original.tally.items())))
            print(f"{kind:12} {'with' if audio else 'no':4} sound: {args.places} flips, {len(faults)} silently wrong")
            print(*(f"    {name}: {count}" for name, count in sorted(original.tally.items())), *faults[:5], sep="\n")
    print(json.dumps({"damage": rows}))


if __name__ == "__main__":
    main()
