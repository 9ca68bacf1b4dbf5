"""Whose voice moves the mouth: the user's, their whisper, or somebody's across the room, on voices not tuned on.

Each round has one voice of a folder of speech as the user at a random level, then, 20 dB quieter, somebody else in a
simulated room (RT60 0.3 to 0.8 s, direct sound 0 to 8 dB under the tail), the same without the room, and the user's
whisper (linear prediction, noise in the place of the voice), each after a second of silence and over noise. Says how
far the jaw opens (95th percentile) as a share of what the user's own next sentence reaches, with the gate and without.
Takes about half a minute a round. Prints a table and one JSON line.

Run: python benchmarks/far_voice.py [FOLDER] [--rounds 12] [--seed 7]
FOLDER has *.jsonl as ``facewire train speech --speech`` takes them; without it benchmarks/speech.py's readers speak.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import platformdirs
import speech_recordings
from support.sound.rooms import RATE, at_db, in_room, whispered

from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX
from facewire.models.speech.causal import SpeechDriver
from facewire.models.speech.voice import VoiceDetector
from facewire.runtime.sound.blocks import SoundBlock
from facewire.runtime.sound.nearness import GateSetting, NearGate
from facewire.runtime.speech.pipeline import SpeechPipeline

JAW = BLENDSHAPE_INDEX["jawOpen"]
SECONDS = 6
BELOW_DB = 20.0


def voices(folder: Path) -> list[np.ndarray]:
    """Return some seconds of every second voice: the others were tuned on."""
    found: dict[str, list[Path]] = {}
    for listing in sorted(folder.glob("*.jsonl")):
        for line in listing.read_text("utf-8").splitlines():
            entry = json.loads(line)
            found.setdefault(entry["voice"], []).append(folder / entry["audio"])
    return [
        np.concatenate([soundfile.read(path)[0] for path in found[name][8:16]])[: 3 * SECONDS * RATE]
        for name in sorted(found)[1::2]
    ]


def readers() -> list[np.ndarray]:
    """Return what the readers of real recordings say who say enough."""
    cache = Path(os.environ.get("FACEWIRE_CACHE") or platformdirs.user_cache_dir("facewire")) / "recordings"
    cache.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[np.ndarray]] = {}
    for entry in json.loads(speech_recordings.LIST.read_text("utf-8"))["recordings"]:
        samples = speech_recordings._samples(cache, entry["package"], entry["member"])
        found.setdefault(entry["reader"], []).append(samples[round(entry.get("start_s", 0) * RATE) :])
    long = [np.concatenate(parts)[: 3 * SECONDS * RATE] for parts in found.values()]
    return [part for part in long if len(part) >= SECONDS * RATE]


def jaw(sound: np.ndarray, setting: GateSetting) -> np.ndarray:
    """Return how far the jaw is open at every sixtieth of a second."""
    pipeline, out = SpeechPipeline(SpeechDriver(40), VoiceDetector(), NearGate(setting)), []
    for at in range(0, len(sound) - 159, 160):
        pipeline.feed(SoundBlock(sound[at : at + 160].astype(np.float32), RATE, at, at * 62_500, 1))
        while (tick := pipeline.step()) is not None:
            out.append(tick.blendshapes[JAW])
    return np.array(out)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    known, rng = readers() if args.folder is None else voices(args.folder), np.random.default_rng(args.seed)
    shares: dict[str, list[float]] = {}
    for k in range(args.rounds):
        user, other = known[k % len(known)], known[(k + 2) % len(known)][: SECONDS * RATE]
        level = rng.uniform(-32, -16)
        first, second, third = (at_db(part, level) for part in np.array_split(user, 3))
        far = in_room(other, rng.uniform(0.3, 0.8), rng.uniform(-8, 0), rng)
        parts = {
            "far": at_db(far, level - BELOW_DB),
            "quiet": at_db(other, level - BELOW_DB),
            "whisper": at_db(whispered(third, rng), level - BELOW_DB),
        }
        silence, hum = np.zeros(RATE), 10 ** ((level - BELOW_DB - rng.uniform(18, 35)) / 20)
        for setting in ("auto", "off"):
            for name, part in parts.items():
                sound = np.concatenate([first, silence, part, silence, second])
                moved = jaw(sound + hum * rng.standard_normal(len(sound)), setting)
                begins = (len(first) + RATE) * 60 // RATE
                ends = begins + len(part) * 60 // RATE
                own = np.percentile(moved[ends + 60 :], 95)
                shares.setdefault(f"{name}, {setting}", []).append(float(np.percentile(moved[begins:ends], 95) / own))
    print(f"{'':14} {'mean':>6} {'error':>6} {'worst':>6}")
    for name, values in shares.items():
        worst = min(values) if name.startswith("whisper") else max(values)
        print(f"{name:14} {np.mean(values):6.3f} {np.std(values) / len(values) ** 0.5:6.3f} {worst:6.3f}")
    print(json.dumps({name: np.round(values, 3).tolist() for name, values in shares.items()}))


if __name__ == "__main__":
    main()
