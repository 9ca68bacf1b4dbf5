"""Makes samples: every clip as it is, and many variations of each still and of some frames of the clips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facewire.bridge.shared.arrays import Image
from facewire.models.face.landmarks import LANDMARK_COUNT
from facewire.models.face.training.media import Clip, clips, stills
from facewire.models.face.training.motions import Motions, Points
from facewire.models.face.training.samples import Samples
from facewire.models.face.training.teacher import Row, Teacher, region_of
from facewire.models.face.training.warp import variation

LONGEST_CLIP = 1500
EXPRESSIONS = 250
"""Of a clip, at most so many frames serve as motions."""
FRAMES = 14
"""So many frames of a clip are varied as if they were stills."""
LEAST_EXPRESSIONS = 4
EXPRESSIVE = ("test3.jpg",)
"""One woman in two dozen expressions. The series that begin with S are made for expressions too."""
PART = 1500
Notify = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Face:
    """A pictured face to vary. Faces of one ``group`` together are drawn as often as one still, or as one clip."""

    image: Image
    landmarks: Points
    person: str
    group: str
    group_weight: float


def pack(rows: list[Row], person: list[str], touched: list[str]) -> Samples:
    """Make arrays of the lists."""
    codes, plain, target = (np.array([getattr(row, name) for row in rows]) for name in ("codes", "plain", "target"))
    return Samples(codes, plain, target, np.array(person), np.array(touched))


def watch(teacher: Teacher, clip: Clip, out: Path, motions: Motions) -> list[Face]:
    """Write a clip's samples, add its expressions to the motions, and return some of its faces."""
    rows: list[Row] = []
    frames: list[Image] = []
    for image, row in teacher.follow(clip):
        rows.append(row)
        frames.append(image)
        if len(rows) == LONGEST_CLIP:
            break
    people = [clip.person] * len(rows)
    pack(rows, people, people).save(out / f"clip_{clip.name}.npz")
    motions.add(clip.person, [row.landmarks for row in rows[:: max(1, len(rows) // EXPRESSIONS)]])
    chosen = np.linspace(0, len(rows) - 1, min(FRAMES, len(rows) // 6)).astype(int)
    return [Face(frames[k], rows[k].landmarks, clip.person, clip.name, 10.0) for k in chosen]


def look_around(teacher: Teacher, folder: Path, motions: Motions) -> list[Face]:
    """Find the faces in the stills; those of people with several expressions serve as motions too."""
    found = []
    for still in stills(folder):
        image = still.read()
        faces = [] if image is None else teacher.faces(image)
        group = still.person or still.path.name
        found += [Face(image, face, still.person or group, group, 5.0) for face in faces if image is not None]
    counts = Counter(face.group for face in found)
    judged = {clip.person for clip in clips(folder)}
    for group, count in counts.items():
        if count >= LEAST_EXPRESSIONS and group not in judged and (group in EXPRESSIVE or group[0] == "S"):
            motions.add("", [face.landmarks for face in found if face.group == group])
    return found


def vary(teacher: Teacher, faces: list[Face], motions: Motions, count: int) -> Samples:
    """So many variations."""
    counts, judged = Counter(face.group for face in faces), {person for person, _ in motions.people}
    chances = np.array([min(1.0, face.group_weight / counts[face.group]) for face in faces])
    chances /= chances.sum()
    rows: list[Row] = []
    person: list[str] = []
    touched: list[str] = []
    while len(rows) < count:
        face = faces[motions.random.choice(len(faces), p=chances)]
        picture, points, whose = variation(face.image, face.landmarks.astype(np.float64), motions)
        region = region_of(points.astype(np.float32))
        near = region.copy()
        near[:2] += motions.random.normal(0, 0.012, 2) * near[2]
        near[2] *= np.exp(motions.random.normal(0, 0.025))
        near[3] += motions.random.normal(0, 0.025)
        row = teacher.look(picture, region, near)
        if row:
            rows.append(row)
            person.append(face.person)
            touched.append(",".join(sorted((whose | {face.person}) & judged - {""})))
    return pack(rows, person, touched)


def make(folder: Path, out: Path, *, count: int, seed: int, notify: Notify) -> None:
    """Write ``clip_….npz`` for each clip and ``made_….npz`` with ``count`` variations from an unpacked folder."""
    out.mkdir(parents=True, exist_ok=True)
    teacher, motions = Teacher(), Motions(np.random.default_rng(seed))
    faces: list[Face] = []
    for clip in clips(folder):
        faces += watch(teacher, clip, out, motions)
        notify(f"watched {clip.name}")
    faces += look_around(teacher, folder, motions)
    notify(f"{len(faces)} faces, motions of {len(motions.people)} people")
    assert all(face.landmarks.shape == (LANDMARK_COUNT, 3) for face in faces)
    for part in range(0, count, PART):
        vary(teacher, faces, motions, min(PART, count - part)).save(out / f"made_{seed}_{part:06d}.npz")
        notify(f"made {min(part + PART, count)} of {count}")
