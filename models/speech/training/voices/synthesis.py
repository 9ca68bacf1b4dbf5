"""Speech with exact phone times from flite, a small synthesiser that Debian and others package."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facewire.models.errors import ModelError
from facewire.models.speech.coarticulation import PHONES, Phone

FLITE_VOICES = ("slt", "rms", "awb", "kal16")
FROM_FLITE = {
    "pau": "SIL", "ssil": "SIL", "brth": "SIL", "ax": "AH", "ix": "IH", "axr": "ER", "el": "L", "em": "M", "en": "N",
    "dx": "D", "nx": "N", "hv": "HH", "ux": "UW",
}  # fmt: skip
"""flite's names that are not ARPAbet in lower case."""


def flite(text: str, voice: str, stretch: float) -> tuple[NDArray[np.int16], list[Phone]]:
    """One sentence: samples [n] at 16 kHz and its phones.

    Raises:
        ModelError: flite is missing or fails.
    """
    program = shutil.which("flite")
    if program is None:
        raise ModelError(
            "The corpus needs flite: install your system's package flite, or name a folder of speech (--speech)."
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        command = [
            program,
            "-voice",
            voice,
            "--setf",
            f"duration_stretch={stretch:.2f}",
            "-psdur",
            "-t",
            text,
            "-o",
            str(path),
        ]
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace", check=False)
        if done.returncode or not path.exists():
            raise ModelError(
                f"flite could not speak with the voice {voice}: {done.stderr.strip()[:200] or 'no reason given'}"
            )
        with wave.open(str(path)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).copy()
    return samples, _phones(done.stdout)


def _phones(printed: str) -> list[Phone]:
    phones: list[Phone] = []
    begin = 0.0
    for name, end in re.findall(r"(\S+):([\d.]+)", printed):
        upper = FROM_FLITE.get(name, name.upper())
        phones.append((upper if upper in PHONES else "SIL", begin, float(end)))
        begin = float(end)
    return phones


def sentences(folder: Path) -> list[str]:
    """Sentences of 4 to 22 plain words from the text files in a folder such as /usr/share/games/fortunes."""
    found: list[str] = []
    for path in sorted(folder.iterdir()):
        if path.is_dir() or path.suffix in (".dat", ".u8"):
            continue
        for saying in path.read_text("utf-8", errors="ignore").split("\n%\n"):
            body = re.split(r"\n\s+--", saying)[0]
            found += [" ".join(part.split()) for part in re.split(r"(?<=[.!?])\s+", body)]
    return sorted(
        {text for text in found if re.fullmatch(r"[A-Z][A-Za-z',;\- ]+[.!?]", text) and 4 <= len(text.split()) <= 22}
    )
