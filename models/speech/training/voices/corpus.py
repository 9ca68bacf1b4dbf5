"""The corpus: speech from several sources, packed with its targets into four files that training maps into memory.

``audio.i16`` holds all samples end to end at 16 kHz, ``motion.u8`` the movements and the emphasis at 120 Hz
[frames, 14], ``phones.u8`` the phone classes at 120 Hz, ``index.json`` where each sentence lies.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facewire.models.errors import ModelError
from facewire.models.speech.coarticulation import PHONES, Phone, emphasis_curve, movements
from facewire.models.speech.training.voices.synthesis import FLITE_VOICES, flite

SAMPLE_RATE = 16000
TARGET_HZ = 120
VOWELS = frozenset(["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"])


@dataclass(frozen=True, slots=True)
class Sentence:
    """Where a sentence lies in the pack: samples in audio.i16, frames in motion.u8 and phones.u8."""

    voice: str
    sample: int
    samples: int
    frame: int
    frames: int


Speech = tuple[str, NDArray[np.int16], list[Phone]]
"""A voice, samples at 16 kHz and phones."""


def from_flite(texts: list[str], hours: float, seed: int) -> Iterator[Speech]:
    """Sentences by flite's voices in turn, about so many hours together.

    Raises:
        ModelError: flite is not installed.
    """
    chosen = random.Random(seed)
    left_s = hours * 3600.0
    while left_s > 0:
        for voice in FLITE_VOICES:
            samples, phones = flite(chosen.choice(texts), voice, chosen.uniform(0.8, 1.25))
            left_s -= len(samples) / SAMPLE_RATE
            yield voice, samples, phones


def from_folder(folder: Path) -> Iterator[Speech]:
    """Aligned speech of any maker: ``*.jsonl``, each line with ``audio``, ``voice`` and ``phones``.

    ``audio`` is a path beside the file, mono at 16 kHz, ``phones`` are [ARPAbet, start_s, end_s] in order.

    Raises:
        ModelError: the folder holds none, or a line is not valid.
    """
    import soundfile

    lists = sorted(folder.glob("*.jsonl"))
    if not lists:
        raise ModelError(f"{folder} holds no *.jsonl: name a folder of aligned speech, or leave the option out.")
    for path in lists:
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            try:
                record = json.loads(line)
                samples, rate = soundfile.read(folder / record["audio"], dtype="int16")
                phones = [(str(name), float(start), float(end)) for name, start, end in record["phones"]]
            except (ValueError, KeyError, TypeError, soundfile.LibsndfileError) as error:
                raise ModelError(f"{path} line {number} names no readable speech: {error}.") from error
            if rate != SAMPLE_RATE or samples.ndim != 1:
                raise ModelError(f"{folder / record['audio']} must be mono at 16 kHz.")
            yield str(record["voice"]), samples, phones


def loudness_db(samples: NDArray[np.int16], phones: list[Phone]) -> list[float]:
    """Each phone's level in decibels over the median of the sentence's vowels; 0 if there are no vowels."""
    levels = []
    for _, start, end in phones:
        part = samples[int(start * SAMPLE_RATE) : int(end * SAMPLE_RATE)].astype(np.float32)
        levels.append(10.0 * float(np.log10(np.mean(part * part) + 1.0)) if len(part) else 0.0)
    usual = [level for level, (name, _, _) in zip(levels, phones, strict=True) if name in VOWELS]
    middle = float(np.median(usual)) if usual else 0.0
    return [level - middle for level in levels]


def targets_of(samples: NDArray[np.int16], phones: list[Phone]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Movements with emphasis [frames, 14] as 0..255, and phone classes [frames], at 120 Hz."""
    times_s = np.arange(int(len(samples) / SAMPLE_RATE * TARGET_HZ)) / TARGET_HZ
    louder = loudness_db(samples, phones)
    moved = movements(phones, louder, times_s)
    stressed = emphasis_curve(phones, louder, times_s)
    both = np.concatenate([moved, stressed[:, None]], axis=1)
    ends = np.array([end for _, _, end in phones])
    index = np.minimum(np.searchsorted(ends, times_s, side="right"), len(phones) - 1)
    classes = np.array([PHONES.index(name) for name, _, _ in phones], np.uint8)[index]
    return np.round(np.clip(both, 0, 1) * 255).astype(np.uint8), classes


def pack(speech: Iterable[Speech], folder: Path) -> list[Sentence]:
    """Write a corpus; returns its index. An interrupted run leaves no index, so nobody trains on half a corpus."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.json").unlink(missing_ok=True)
    index: list[Sentence] = []
    sample = frame = 0
    with (
        (folder / "audio.i16").open("wb") as audio,
        (folder / "motion.u8").open("wb") as motion,
        (folder / "phones.u8").open("wb") as classes,
    ):
        for voice, samples, phones in speech:
            moved, named = targets_of(samples, phones)
            audio.write(samples.astype("<i2").tobytes())
            motion.write(moved.tobytes())
            classes.write(named.tobytes())
            index.append(Sentence(voice, sample, len(samples), frame, len(moved)))
            sample, frame = sample + len(samples), frame + len(moved)
    (folder / "index.json").write_text(json.dumps([asdict(sentence) for sentence in index]))
    return index


@dataclass(frozen=True, slots=True)
class Corpus:
    """A packed corpus, mapped into memory."""

    audio: NDArray[np.int16]
    motion: NDArray[np.uint8]
    phones: NDArray[np.uint8]
    index: list[Sentence]

    @classmethod
    def open(cls, folder: Path) -> Corpus:
        """Open the corpus in a folder.

        Raises:
            ModelError: there is none.
        """
        try:
            index = [Sentence(**entry) for entry in json.loads((folder / "index.json").read_text())]
            audio = np.memmap(folder / "audio.i16", "<i2", "r")
            motion = np.memmap(folder / "motion.u8", np.uint8, "r").reshape(-1, 14)
            phones = np.memmap(folder / "phones.u8", np.uint8, "r")
        except (OSError, ValueError, TypeError) as error:
            raise ModelError(
                f"{folder} holds no corpus: build one with facewire train speech --corpus {folder}."
            ) from error
        return cls(audio, motion, phones, index)

    def subset(self, voices: Iterable[str], *, without: bool = False) -> Corpus:
        """Return the same files with only the sentences of these voices, or only those of the others."""
        named = frozenset(voices)
        return Corpus(self.audio, self.motion, self.phones, [s for s in self.index if (s.voice in named) != without])
