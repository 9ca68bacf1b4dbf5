"""Phone times of a recording whose words are known, by pocketsphinx (its wheel brings an English model)."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewire.bridge.shared.install import install_extra
from facewire.models.errors import ModelError
from facewire.models.speech.coarticulation import PHONES, Phone

SAMPLE_RATE = 16000
FRAME_S = 0.01
QUIET_ENDS_S = (0.5, 0.3, 0.8, 0.1)
ONSET_BIAS_S = 0.005
"""Its frames are named by where they begin; a phone's first frame is centred half a frame later."""


class Aligner:
    """Force-aligns English. Create one and use it for many recordings; not thread safe."""

    def __init__(self, words: dict[str, str] | None = None) -> None:
        """Load the model; ``words`` are ones that its dictionary lacks, with their ARPAbet.

        Raises:
            ModelError: pocketsphinx is not installed.
        """
        try:
            from pocketsphinx import Decoder
        except ImportError:
            raise ModelError(f"Alignment needs pocketsphinx: {install_extra('train')}") from None
        self._decoder: Any = Decoder(lm=None, loglevel="FATAL", backtrace=False)
        for word, phones in (words or {}).items():
            self._decoder.add_word(word, phones)

    def align(self, samples: NDArray[np.float32], text: str) -> list[Phone]:
        """Phones as (ARPAbet without stress, start_s, end_s) of samples [n] at 16 kHz, silences as SIL.

        Words that the dictionary lacks make it fail.

        Raises:
            ValueError: the words do not fit the sound.
        """
        words = words_of(text)
        unknown = [word for word in words if self._decoder.lookup_word(word) is None]
        if unknown or not words:
            raise ValueError(f"not in the dictionary: {' '.join(unknown) or '(no words)'}")
        alignment = self._alignment(samples, " ".join(words))
        phones = [
            (
                _name(phone.name),
                phone.start * FRAME_S + ONSET_BIAS_S,
                (phone.start + phone.duration) * FRAME_S + ONSET_BIAS_S,
            )
            for phone in alignment.phones()
        ]
        length_s = len(samples) / SAMPLE_RATE
        return [(name, start, min(end, length_s)) for name, start, end in _merged(phones) if start < length_s]

    def _alignment(self, samples: NDArray[np.float32], words: str) -> Any:
        # A recording that is cut off within its last sound does not align: give it a quiet end, of a length that suits.
        for quiet_s in QUIET_ENDS_S:
            quiet = np.random.default_rng(0).normal(0.0, 1e-5, int(quiet_s * SAMPLE_RATE))
            pcm = (np.clip(np.concatenate([samples, quiet]), -1, 1) * 32767).astype("<i2").tobytes()
            try:
                self._decoder.set_align_text(words)
                self._decode(pcm)
                self._decoder.set_alignment()
                self._decode(pcm)
            except RuntimeError:
                continue
            alignment = self._decoder.get_alignment()
            if alignment is not None:
                return alignment
        raise ValueError("the words do not fit the sound")

    def _decode(self, pcm: bytes) -> None:
        self._decoder.start_utt()
        self._decoder.process_raw(pcm, full_utt=True)
        self._decoder.end_utt()


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case, as pronunciation dictionaries write them."""
    return re.findall(r"[a-z]+(?:'[a-z]+)?", text.lower().replace("’", "'"))


def _name(name: str) -> str:
    plain = name.rstrip("012")
    return plain if plain in PHONES else "SIL"


def _merged(phones: list[Phone]) -> list[Phone]:
    """Neighbouring silences as one."""
    merged: list[Phone] = []
    for name, start, end in phones:
        if name == "SIL" and merged and merged[-1][0] == "SIL":
            merged[-1] = ("SIL", merged[-1][1], end)
        else:
            merged.append((name, start, end))
    return merged
