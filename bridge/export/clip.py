"""What is exported: frames as arrays at the times, with the shapes and in the orientation that were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import numpy.typing as npt

from facewire.bridge import mapping
from facewire.bridge.export.resample import own_rates, resample, resample_rotations, uniform_times
from facewire.bridge.recording.errors import SessionError
from facewire.bridge.recording.track import ExtraTrack, Track
from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX, BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array, Float64Array
from facewire.bridge.wire.frame import SOURCES, FlameParameters
from facewire.bridge.wire.streams import STREAMS

MIN_RATE, MAX_RATE = 1.0, 1000.0
FULL_SHAPES = tuple(BLENDSHAPES)
ARRAYS = ("blendshapes", "head", "gaze")
"""The streams that every clip has."""


@dataclass(frozen=True, slots=True)
class ClipOptions:
    """What to export of a session."""

    rate: float | None = None
    """Frames a second; None keeps the frames as they were recorded."""
    mirror: bool = False
    """Swap left and right, as in a mirror."""
    shapes: Sequence[str] | None = None
    """Names or patterns such as ``mouth*``; None is all of them."""
    names: str | None = None
    """A section of the mapping table, whose targets take the place of ARKit's shapes; None keeps those."""


@dataclass(slots=True)
class Clip:
    """Frames ready for export; every array's first axis is the frame."""

    name: str
    rate: float
    """Frames a second: exact if it was asked for; else as most frames follow each other or, of an uneven stream, the
    mean."""
    nominal_rate: float
    """The same but of an uneven stream: a usual rate for formats that need an even one."""
    times_s: Float64Array
    """Shape [n]: seconds from the first frame."""
    blendshapes: Float32Array
    """Shape [n, 52], all of ARKit's; ``shapes`` says which were asked for."""
    head: Float32Array
    gaze: Float32Array
    sources: list[str]
    confidence: Float32Array
    shapes: tuple[str, ...] = FULL_SHAPES
    flame: list[FlameParameters] | None = None
    extra: tuple[ExtraTrack, ...] = ()
    """Further streams."""
    names: str | None = None
    """The section of the mapping table that ``shapes`` are targets of; None if they are ARKit's."""

    def __len__(self) -> int:
        return len(self.times_s)

    @property
    def even(self) -> bool:
        """Whether its frames follow each other evenly, so that ``rate`` says where each is."""
        return self.rate == self.nominal_rate

    @property
    def columns(self) -> list[int]:
        """Indices of ``shapes`` in ``BLENDSHAPES``; only if they are ARKit's."""
        return [BLENDSHAPE_INDEX[name] for name in self.shapes]

    @property
    def chosen(self) -> Float32Array:
        """Shape [n, len(shapes)]: the values of the shapes that were asked for."""
        if self.names is None:
            return self.blendshapes[:, self.columns]
        table = mapping.load(self.names)
        columns = [table.index(name) for name in self.shapes]
        chosen = np.zeros((len(self), len(columns)), np.float32)
        for shapes, out in zip(self.blendshapes, chosen, strict=True):
            values = table.apply(shapes)
            out[:] = [values[column] for column in columns]
        return chosen


def make_clip(name: str, track: Track, options: ClipOptions) -> Clip:
    """Return what ``options`` ask of ``track``.

    Raises:
        SessionError: no shape has such a name, or the rate is out of bounds.
    """
    shapes = choose_shapes(options.shapes, options.names)
    rate, nominal_rate = own_rates(track.times_s)
    clip = Clip(
        name=name,
        rate=rate,
        nominal_rate=nominal_rate,
        times_s=track.times_s,
        blendshapes=track.blendshapes,
        head=track.head,
        gaze=track.gaze,
        sources=[SOURCES[index] for index in track.sources],
        confidence=track.confidence,
        shapes=shapes,
        flame=track.flame,
        extra=track.extra,
        names=options.names,
    )
    if options.rate is not None:
        clip = at_rate(clip, options.rate)
    return mirrored(clip) if options.mirror else clip


def choose_shapes(patterns: Sequence[str] | None, names: str | None = None) -> tuple[str, ...]:
    """Return the shapes that ``patterns`` name, in the order of ``BLENDSHAPES`` or of the mapping table's ``names``.

    Without patterns these are all that something drives, except those that would only add up with others.

    Raises:
        SessionError: a pattern names none, or the table has no such section.
    """
    known, usual, such = FULL_SHAPES, FULL_SHAPES, "ARKit's names look like jawOpen or mouth*"
    if names is not None:
        rows = _section(names)
        known = tuple(row.target for row in rows)
        usual = tuple(row.target for row in rows if row.weights and not row.combines)
        such = f"{names} has {', '.join(known[:5])} …"
    if patterns is None:
        return usual
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in known):
            raise SessionError(f"no shape is called {pattern!r}: {such}")
    return tuple(name for name in known if any(fnmatchcase(name, pattern) for pattern in patterns))


def _section(names: str) -> tuple[mapping.Row, ...]:
    try:
        return mapping.section(names).rows
    except mapping.MappingError as error:
        raise SessionError(str(error)) from None


def at_rate(clip: Clip, rate: float) -> Clip:
    """Return ``clip`` at exactly ``rate`` frames a second (resample.py says how).

    Raises:
        SessionError: the rate is out of bounds.
    """
    if not MIN_RATE <= rate <= MAX_RATE:
        raise SessionError(f"a rate of {rate:g} is not from {MIN_RATE:g} to {MAX_RATE:g} frames a second")
    times_s = uniform_times(clip.times_s, rate)
    nearest = _nearest(clip.times_s, times_s)
    head = np.concatenate(
        [
            resample_rotations(clip.times_s, clip.head[:, :4], times_s, rate),
            resample(clip.times_s, clip.head[:, 4:], times_s, rate),
        ],
        axis=1,
    )
    return replace(
        clip,
        rate=rate,
        nominal_rate=rate,
        times_s=times_s,
        blendshapes=resample(clip.times_s, clip.blendshapes, times_s, rate),
        head=head,
        gaze=resample(clip.times_s, clip.gaze, times_s, rate),
        sources=[clip.sources[index] for index in nearest],
        confidence=resample(clip.times_s, clip.confidence[:, None], times_s, rate)[:, 0],
        flame=_flame_at(clip, times_s, rate),
        extra=tuple(_extra_at(clip, one, times_s, rate) for one in clip.extra),
    )


def rising(clip: Clip) -> Clip:
    """Return ``clip`` at times that rise as float32 too, for formats that hold them so; of frames that fall on one time
    the last counts.

    Camera and speech may publish within a tenth of a millisecond, and after an hour float32 tells a quarter.
    """
    times_s = clip.times_s.astype(np.float32)
    kept = np.append(np.diff(times_s) > 0, True)
    return replace(
        clip,
        times_s=times_s[kept].astype(np.float64),
        sources=[source for source, keep in zip(clip.sources, kept, strict=True) if keep],
        flame=None if clip.flame is None else [one for one, keep in zip(clip.flame, kept, strict=True) if keep],
        extra=tuple(replace(one, values=one.values[kept]) for one in clip.extra),
        **{name: getattr(clip, name)[kept] for name in (*ARRAYS, "confidence")},
    )


def mirrored(clip: Clip) -> Clip:
    """Return ``clip`` with left and right swapped; streams without a mirror image, FLAME's among them, are left out."""
    turns = {name: turn for name in ARRAYS if (turn := STREAMS[name].mirror) is not None}
    arrays: dict[str, Any] = {name: turn(getattr(clip, name)) for name, turn in turns.items()}
    extra = [(one, one.stream.mirror) for one in clip.extra]
    turned = tuple(replace(one, values=turn(one.values)) for one, turn in extra if turn is not None)
    return replace(clip, **arrays, flame=None, extra=turned)


def _nearest(times_s: Float64Array, at_s: Float64Array) -> npt.NDArray[np.intp]:
    """Index of the frame that is closest to each of ``at_s``."""
    if len(times_s) < 2:
        return np.zeros(len(at_s), np.intp)
    right = np.clip(np.searchsorted(times_s, at_s), 1, len(times_s) - 1)
    return np.asarray(right - (at_s - times_s[right - 1] <= times_s[right] - at_s), np.intp)


def _extra_at(clip: Clip, one: ExtraTrack, times_s: Float64Array, rate: float) -> ExtraTrack:
    rows = resample(clip.times_s, one.values.reshape(len(clip), -1), times_s, rate)
    return replace(one, values=rows.reshape(len(times_s), *one.values.shape[1:]))


def _flame_at(clip: Clip, times_s: Float64Array, rate: float) -> list[FlameParameters] | None:
    if clip.flame is None:
        return None
    parts = {
        name: resample(clip.times_s, np.stack([getattr(one, name) for one in clip.flame]), times_s, rate)
        for name in ("expression", "jaw", "neck", "eyes")
    }
    return [FlameParameters(**{name: values[index] for name, values in parts.items()}) for index in range(len(times_s))]
