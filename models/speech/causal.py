"""Our causal speech network, live: samples at 16 kHz in, 52 ARKit shapes at 60 Hz out, NumPy arrays between.

What it keeps from one step to the next is a ``causal_state.State``: the last samples, the running gain, the last ticks'
features, what the recurrent layer remembers, and the decoder's last second of motions as a ring of keys and values. How
it is built and trained: docs/speech.md. The decoder follows FaceFormer (Fan et al. 2022), section 3.3.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facewire.bridge.shared.arrays import Float32Array
from facewire.models.errors import ModelError
from facewire.models.jit import resolved
from facewire.models.npz import Npz
from facewire.models.speech import features
from facewire.models.speech.causal_state import State, Weights, Work
from facewire.models.speech.drivers import DRIVERS, DriverOptions
from facewire.models.speech.kernels import tick

LOOK_AHEADS_MS = DRIVERS["causal"].look_aheads_ms
SHIPPED = "causal.npz"
DAMAGED = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What reading a file that is not a speech model may raise."""
RING = features.SAMPLE_RATE + features.WINDOW
"""Samples kept: a second that waits to be used and the window before it. Older ones are dropped and counted."""


class SpeechDriver:
    """Drives a face by speech. Not thread safe; allocates only when created.

    Push samples as they come, of any number at a time, and call ``step`` until it gives None. Step number k (the first
    is 1) comes as soon as k / 60 s of samples have been pushed, and shows the face of ``delay_ms`` earlier. However the
    samples are cut into pushes, the same steps come out.
    """

    flame = None
    """It gives no FLAME parameters; a published FaceFormer may."""

    def __init__(
        self,
        look_ahead_ms: int = 40,
        style: int = 0,
        expressiveness: float = 1.0,
        *,
        weights: Path | None = None,
        feedback: bool = True,
    ) -> None:
        """Load the shipped weights, or those in a file of ``facewire train speech``.

        ``style`` is an index of ``styles``; ``expressiveness`` 0..2 scales all that does not close the lips. Without
        ``feedback`` the decoder adds nothing: the plain head, for comparison.

        Raises:
            ModelError: one of them is out of range, or the file is not such a model.
        """
        self._weights, self.styles = load_weights(look_ahead_ms, style, weights)
        if not feedback:
            self._weights.out.fill(0)
            self._weights.out_bias.fill(0)
        self._look_ahead_ms = look_ahead_ms
        self._state, self._work = State.of(self._weights), Work.of(self._weights)
        self._tick = resolved(tick, self._weights, self._state, self._work)
        self._ring = np.zeros(RING, np.float32)
        self._written = self._ticks = self._dropped = 0
        self._gain = np.ones(len(self._weights.shapes_bias), np.float32)
        self._out = np.zeros(len(self._gain), np.float32)
        self.expressiveness = expressiveness
        # Compile, or load what was compiled, now rather than when somebody speaks.
        self.push(np.zeros(features.frame_end(2), np.float32))
        self.step()
        self.reset()

    @property
    def delay_ms(self) -> float:
        """How far behind the sound the face is: the look-ahead. Waiting for the next tick adds up to 16.7 ms."""
        return float(self._look_ahead_ms)

    @property
    def speaking(self) -> float:
        """How likely it is that somebody speaks, 0..1, as of the last step."""
        return float(self._work.speaking[0])

    @property
    def dropped(self) -> int:
        """Samples pushed and never used, because more than a second of them waited."""
        return self._dropped

    @property
    def expressiveness(self) -> float:
        """How strongly the face moves, 0..2; can be set at any time.

        Raises:
            ModelError: it is set outside that.
        """
        return self._expressiveness

    @expressiveness.setter
    def expressiveness(self, value: float) -> None:
        if not 0.0 <= value <= 2.0:
            raise ModelError(f"The expressiveness must be 0 to 2, not {value}.")
        self._expressiveness = float(value)
        # Lips that meet must meet at any strength, so what presses and tucks them keeps its size.
        self._gain[:] = np.where(self._weights.scaled > 0, self._expressiveness, 1.0)

    def reset(self) -> None:
        """Forget the stream: the next sample is the first."""
        self._state.clear()
        self._written = self._ticks = self._dropped = 0
        self._ring.fill(0)
        self._out.fill(0)
        self._work.speaking.fill(0)

    def push(self, samples: Float32Array) -> None:
        """Take float32 samples [n] at 16 kHz, full scale 1. What is not finite counts as silence."""
        for start in range(0, len(samples), RING):
            self._push(samples[start : start + RING])

    def _push(self, samples: Float32Array) -> None:
        at = self._written % RING
        first = min(len(samples), RING - at)
        self._ring[at : at + first] = samples[:first]
        self._ring[: len(samples) - first] = samples[first:]
        self._written += len(samples)
        # The oldest ticks that can still be made need a window of samples before them.
        while self._written - (features.frame_end(2 * self._ticks + 1) - features.WINDOW) > RING:
            self._dropped += features.frame_end(2 * self._ticks + 2) - features.frame_end(2 * self._ticks)
            self._ticks += 1

    def step(self) -> Float32Array | None:
        """Return the next 52 shapes, 0..1, or None until enough is pushed. The array is valid until the next step."""
        end = features.frame_end(2 * self._ticks + 2)
        if end > self._written:
            return None
        self._take(self._work.frames[0], features.frame_end(2 * self._ticks + 1))
        self._take(self._work.frames[1], end)
        self._ticks += 1
        self._tick(self._weights, self._state, self._work)
        np.multiply(self._state.motion, self._gain, out=self._out)
        np.clip(self._out, 0.0, 1.0, out=self._out)
        return self._out

    def _take(self, frame: Float32Array, end: int) -> None:
        """Copy the window of samples that ends with sample ``end`` of the stream."""
        at = (end - features.WINDOW) % RING
        first = min(features.WINDOW, RING - at)
        frame[:first] = self._ring[at : at + first]
        frame[first:] = self._ring[: features.WINDOW - first]


def load_weights(look_ahead_ms: int, style: int, path: Path | None = None) -> tuple[Weights, tuple[str, ...]]:
    """Return the weights for one look-ahead and style, and the names of all styles.

    Raises:
        ModelError: there is no such file, it is not a speech model, or it has no such look-ahead or style.
    """
    source = path or resources.files("facewire.models.speech.weights") / SHIPPED
    try:
        with Npz(source if isinstance(source, Path) else source.open("rb")) as stored:
            about = json.loads(str(stored["about"]))
            styles = tuple(about["styles"])
            _check(look_ahead_ms, style, about["look_aheads_ms"], styles)
            head = about["look_aheads_ms"].index(look_ahead_ms)
            named = {name: _pick(name, stored[name], head, style) for name in Weights._fields if name in stored.names}
        weights = _weights_of(named, source)
        misfit = weights.misfit()
        if misfit is not None or not weights.history[0] >= 1:
            raise ValueError(f"its {misfit or 'history'} does not fit the rest")
    except FileNotFoundError as error:
        raise ModelError(f"There is no file {source}: check the name.") from error
    except DAMAGED as error:
        raise ModelError(f"{source} is not a speech model of facewire train speech: {error}.") from error
    return weights, styles


def _weights_of(named: dict[str, Float32Array], source: object) -> Weights:
    named["fourier"] = np.ascontiguousarray(features.fourier_matrix().T)
    named["mel"] = features.mel_filters()
    missing = set(Weights._fields) - set(named)
    if missing:
        raise ModelError(f"{source} is of another version: it lacks {', '.join(sorted(missing))}. Export it again.")
    return Weights(**named)


def _check(look_ahead_ms: int, style: int, look_aheads_ms: list[int], styles: tuple[str, ...]) -> None:
    if look_ahead_ms not in look_aheads_ms:
        raise ModelError(
            f"The look-ahead must be one of {', '.join(map(str, look_aheads_ms))} ms, not {look_ahead_ms}."
        )
    if not 0 <= style < len(styles):
        raise ModelError(f"The style must be 0 to {len(styles) - 1} ({', '.join(styles)}), not {style}.")


def _pick(name: str, stored: NDArray[np.generic], head: int, style: int) -> Float32Array:
    """Return an array as the kernels want it: of the look-ahead's head and of the style, if it has these axes."""
    array = stored
    if name in PER_HEAD:
        array = array[head]
    if name in PER_STYLE:
        array = array[style]
    return np.ascontiguousarray(array, np.float32)


PER_HEAD = frozenset(
    ("hidden", "hidden_bias", "head_style", "shapes", "shapes_bias", "phones", "phones_bias", "from_phones", "speaking",
     "speaking_bias")
)  # fmt: skip
PER_STYLE = frozenset(("head_style", "decoder_style"))


def make_driver(options: DriverOptions) -> SpeechDriver:
    """Return what ``drivers.py`` offers as ``causal``."""
    return SpeechDriver(options.look_ahead_ms, options.style, options.expressiveness, weights=options.file)
