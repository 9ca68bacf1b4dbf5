"""A published FaceFormer as the driver of a live face: wav2vec 2.0 in windows, the step decoder, shapes at 60 Hz."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.shared.install import install_extra
from facewire.bridge.shared.whole_file import replacing
from facewire.models.assets.fetch import sha256_of
from facewire.models.errors import ModelError
from facewire.models.flame import vertices
from facewire.models.folders import cache_folder
from facewire.models.sessions import Device
from facewire.models.speech.decode.decoder import StepDecoder, missing_style
from facewire.models.speech.decode.step_weights import StepWeights, smallest_period
from facewire.models.speech.drivers import DriverOptions
from facewire.models.speech.lips import fold_lips, limit
from facewire.models.speech.wav2vec import (
    NATIVE_RATE,
    SAMPLE_RATE,
    OnnxEncoder,
    SlidingEncoder,
    Window,
    WindowEncoder,
)

if TYPE_CHECKING:
    from torch import nn

    from facewire.models.flame import FlameModel
    from facewire.models.speech.faceformer import FaceFormer


TICK_HZ = 60
LEFT_CONTEXT_S = 2.0
MOST_LOOK_AHEAD_MS = 2000
KEPT = 256
"""Motions that wait to be shown, a ring; a hop gives three."""
SHAPES = len(BLENDSHAPES)
OTHER_ENCODER = (
    "give the wav2vec 2.0 it was trained with by --speech-encoder (a folder, a hub name such as "
    "facebook/wav2vec2-base-960h, or an .onnx of `facewire models encoder`)"
)


class FaceFormerDriver:
    """Drives a face by speech, with the interface of ``causal.SpeechDriver``: push samples, call ``step``.

    State: a window of samples, the decoder's state and the motions that wait. Delay: a hop, the look-ahead, and
    one motion to go between.
    """

    speaking = 1.0
    """It does not know whether somebody speaks."""

    def __init__(
        self, weights: StepWeights, encoder: WindowEncoder, *, style: int = 0, flame: FlameModel | None = None
    ) -> None:
        """With ``flame``, a FLAME of the checkpoint's own vertices, it gives FLAME's parameters beside the shapes.

        Raises:
            ModelError: the parts do not fit, or there is no such style.
        """
        if not 0 <= style < len(weights.styles):
            raise ModelError(missing_style(style, len(weights.styles)))
        if encoder.width != weights.audio.shape[1]:
            raise ModelError(
                f"this encoder gives {encoder.width} values a feature and the checkpoint needs {weights.audio.shape[1]}"
            )
        if encoder.window.rate != feature_rate(weights):
            raise ModelError(
                f"this encoder gives {encoder.window.rate} features a second and the checkpoint needs "
                f"{feature_rate(weights)}: export it again with that --rate"
            )
        self._per_frame, self._style = weights.features_per_frame, style
        self._rate = encoder.window.rate / self._per_frame
        self._sliding = SlidingEncoder(encoder)
        output = _output(weights, flame)
        self._decoder = StepDecoder(weights, output=output)
        self.delay_ms = encoder.window.delay_ms + 1000.0 / self._rate
        self._motions = np.zeros((KEPT, len(output[1])), np.float32)
        self._out = np.zeros(len(output[1]), np.float32)
        self._shapes = self._out[:SHAPES]
        self.flame: Float32Array | None = None if flame is None else self._out[SHAPES:]
        """FLAME's parameters [E + 3] as of the last step: the expression, then the jaw as an axis-angle in radians."""
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._sliding.reset()
        self._state = self._decoder.new_state()
        self._pushed = self._ticks = self._decoded = 0

    def push(self, samples: Float32Array) -> None:
        """Take float32 samples [n] at 16 kHz, full scale 1. What is not finite counts as silence."""
        self._pushed += len(samples)
        for features in self._sliding.push(samples):
            for row in features.reshape(-1, self._per_frame, features.shape[1]):
                self._motions[self._decoded % KEPT] = self._decoder.step(self._state, row, self._style)
                self._decoded += 1

    def step(self) -> Float32Array | None:
        """Return the next 52 shapes, or None until more is pushed. The array is valid until the next step."""
        if (self._ticks + 1) * SAMPLE_RATE > self._pushed * TICK_HZ:
            return None
        self._ticks += 1
        place = (self._ticks / TICK_HZ - self.delay_ms / 1000.0) * self._rate
        first = int(np.floor(place))
        # Motions of before the stream, or of a backlog that the ring no longer has, are those of its edge.
        oldest, newest = max(0, self._decoded - KEPT), self._decoded - 1
        if newest < 0 or place < 0.0:
            self._out[:] = 0.0
            return self._shapes
        before, after = (min(max(i, oldest), newest) for i in (first, first + 1))
        share = np.float32(place - first)
        self._out[:] = self._motions[before % KEPT] * (1 - share) + self._motions[after % KEPT] * share
        limit(self._shapes)
        if self.flame is not None:
            vertices.limit(self.flame)
        return self._shapes


def _output(weights: StepWeights, flame: FlameModel | None) -> tuple[Float32Array, Float32Array]:
    """Fold the motion decoder to what a frame has: 52 raw shapes and, with ``flame``, the raw FLAME parameters."""
    shapes = fold_lips(weights.motion, weights.motion_bias)
    if flame is None:
        return shapes
    parameters = vertices.fold_flame(weights.motion, weights.motion_bias, vertices.invert(flame))
    return np.concatenate([shapes[0], parameters[0]]), np.concatenate([shapes[1], parameters[1]])


def feature_rate(weights: StepWeights) -> int:
    """Audio features a second that a decoder wants: wav2vec's own where it takes two to a frame (BIWI), else 30."""
    return NATIVE_RATE if weights.features_per_frame == 2 else 30


def open_faceformer(
    checkpoint: Path,
    encoder: str | None,
    *,
    look_ahead_ms: int = 200,
    style: int = 0,
    device: Device = "auto",
    flame: FlameModel | None = None,
) -> FaceFormerDriver:
    """Return the driver for a checkpoint; its encoder is an exported .onnx, a folder, a hub name, or the checkpoint's.

    The decoder is converted once with torch and kept in the cache; with an exported encoder, later starts need none.

    Raises:
        ModelError: anything is missing or does not fit.
    """
    if not 0 <= look_ahead_ms <= MOST_LOOK_AHEAD_MS:
        raise ModelError(f"the look-ahead must be 0 to {MOST_LOOK_AHEAD_MS} ms for FaceFormer, not {look_ahead_ms}")
    weights = decoder_weights(checkpoint)
    window = Window.of_seconds(feature_rate(weights), LEFT_CONTEXT_S, look_ahead_ms / 1000.0)
    return FaceFormerDriver(weights, open_encoder(checkpoint, encoder, window, device), style=style, flame=flame)


def decoder_weights(checkpoint: Path) -> StepWeights:
    """Return a checkpoint's decoder from the cache, put there first if it is missing.

    Raises:
        ModelError: there is no such file, or it is not a checkpoint.
    """
    if not checkpoint.is_file():
        raise ModelError(f"there is no checkpoint {checkpoint}: check the name")
    kept = cache_folder() / "speech" / f"{sha256_of(checkpoint)[:24]}.npz"
    try:
        return StepWeights.read(kept)
    except ModelError:
        weights = load_checkpoint(checkpoint).step_weights()
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with replacing(kept) as file:
            weights.save(file)
    except OSError:
        return weights  # A cache that cannot be written costs time, no more.
    return weights


def no_torch() -> str:
    """Return what to do where a checkpoint has to be converted and torch is missing."""
    return f"a checkpoint is converted once with torch: {install_extra('train')}"


def load_checkpoint(checkpoint: Path) -> FaceFormer:
    """Return the network of a checkpoint; its period and features per frame are told from its arrays.

    Raises:
        ModelError: torch is not installed, or the file is not a checkpoint.
    """
    try:
        from facewire.models.speech import faceformer
    except ImportError:
        raise ModelError(no_torch()) from None
    state = faceformer.read_state_dict(checkpoint)
    if "PPE.pe" not in state:
        raise ModelError(f"{checkpoint} is not a FaceFormer checkpoint: it has no PPE.pe")
    period = smallest_period(state["PPE.pe"].numpy())
    # The paper's two models: 30 frames a second and one feature each, or 25 and two.
    return faceformer.load(checkpoint, period=period, features_per_frame=2 if period == 25 else 1)


def open_encoder(checkpoint: Path, where: str | None, window: Window, device: Device) -> WindowEncoder:
    """Return the encoder that ``where`` names, or the checkpoint's own.

    Raises:
        ModelError: there is none.
    """
    if where is not None and where.endswith(".onnx"):
        return OnnxEncoder(Path(where), device=device)
    try:
        from facewire.models.speech.encoder import TorchEncoder, load_encoder
    except ImportError:
        raise ModelError(
            f"wav2vec 2.0 needs torch ({install_extra('train')}), or an export of it: `facewire models encoder`"
        ) from None
    network = load_encoder(where) if where is not None else own_encoder(checkpoint, OTHER_ENCODER)
    return TorchEncoder(network, window, device=device)


def own_encoder(checkpoint: Path, otherwise: str) -> nn.Module:
    """Return the audio encoder that a checkpoint carries.

    Raises:
        ModelError: it carries none; the message says what to do ``otherwise``.
    """
    model = load_checkpoint(checkpoint)
    if model.audio_encoder is None:
        raise ModelError(f"{checkpoint}: {model.no_encoder}: {otherwise}")
    return model.audio_encoder


def make_driver(options: DriverOptions) -> FaceFormerDriver:
    """Return what ``drivers.py`` offers as ``faceformer``."""
    assert options.file is not None
    return open_faceformer(
        options.file,
        options.encoder,
        look_ahead_ms=options.look_ahead_ms,
        style=options.style,
        device=options.device,  # type: ignore[arg-type]
        flame=options.flame,
    )
