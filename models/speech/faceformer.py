"""FaceFormer as published: speech in, motion of a mesh out (Fan et al., CVPR 2022, arXiv 2112.05329).

This is the network for training, and for reading checkpoints under the names that they have. A live run takes its
decoder step by step from ``facewire.models.speech.decode``, which needs no torch.
"""

from __future__ import annotations

import math
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facewire.models.errors import ModelError
from facewire.models.speech.decode.decoder import StepDecoder, missing_style
from facewire.models.speech.decode.step_kernels import HEADS, slopes
from facewire.models.speech.decode.step_weights import StepWeights, fold, one_period
from facewire.models.speech.encoder import AUDIO_PREFIX, encode, encoder_from_state

Features = TypeVar("Features", Tensor, NDArray[np.float32])

LONGEST = 600
"""Frames that the published positional encoding and bias reach."""
AUDIO_WIDTH = 768


@dataclass(frozen=True, slots=True)
class FaceFormerConfig:
    """Sizes; the defaults are those of the VOCASET model."""

    width: int = 64
    outputs: int = 15069
    """Vertices times 3."""
    subjects: int = 8
    period: int = 30
    features_per_frame: int = 1
    audio_width: int = AUDIO_WIDTH

    @property
    def rate(self) -> float:
        """Motions a second: wav2vec's 50 features, two to a frame (BIWI), or resampled to 30 (VOCASET)."""
        return 25.0 if self.features_per_frame == 2 else 30.0


class PeriodicPositionalEncoding(nn.Module):
    """Section 3.3.1, equation 4: the sinusoids of a transformer, starting again every period."""

    pe: Tensor

    def __init__(self, width: int, period: int) -> None:
        super().__init__()
        angle = torch.arange(period)[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
        rows = torch.stack([torch.sin(angle), torch.cos(angle)], dim=-1).reshape(period, width)
        self.register_buffer("pe", rows.repeat(LONGEST // period + 1, 1)[None])

    def forward(self, x: Tensor) -> Tensor:
        """[batch, frames, d], the positions added."""
        return x + self.pe[:, : x.shape[1]]


class FaceFormer(nn.Module):
    """Audio features and a style to displacements from the neutral face. The attributes' names are the checkpoints'."""

    def __init__(self, config: FaceFormerConfig, audio_encoder: nn.Module | None = None) -> None:
        super().__init__()
        d = config.width
        self.config = config
        self.audio_encoder = audio_encoder
        self.no_encoder = "this checkpoint has no audio encoder"
        """Why ``audio_encoder`` is None, if it is."""
        self.audio_feature_map = nn.Linear(config.audio_width, d)
        self.vertice_map = nn.Linear(config.outputs, d)
        self.PPE = PeriodicPositionalEncoding(d, config.period)
        layer = nn.TransformerDecoderLayer(d, HEADS, dim_feedforward=2 * d, dropout=0.1, batch_first=True)
        self.transformer_decoder = nn.TransformerDecoder(layer, num_layers=1)
        self.vertice_map_r = nn.Linear(d, config.outputs)
        self.obj_vector = nn.Linear(config.subjects, d, bias=False)
        # As in the paper's code: at first every motion is the neutral face.
        nn.init.zeros_(self.vertice_map_r.weight)
        nn.init.zeros_(self.vertice_map_r.bias)

    def forward(self, audio_features: Tensor, style: Tensor, motions: Tensor) -> Tensor:
        """Teacher forcing: every frame is fed with the true motion before it (the first one with a motion of zeros).

        ``audio_features`` [batch, frames × features_per_frame, 768], ``style`` [batch, subjects] one-hot,
        ``motions`` [batch, frames, vertices × 3] as displacements; returns displacements of that same shape.
        """
        before = torch.cat([torch.zeros_like(motions[:, :1]), motions[:, :-1]], dim=1)
        return self.vertice_map_r(self._decode(self.vertice_map(before), self.obj_vector(style), audio_features))

    def roll_out(self, audio_features: Tensor, style: Tensor) -> Tensor:
        """Decode by the paper's autoregressive scheme, prefix by prefix; shapes as in ``forward``, 600 frames.

        This is the form to compare with, and to train on. Its cost grows with the square of the length.
        """
        embedded = self.obj_vector(style)
        inputs = torch.zeros_like(embedded)[:, None]  # The first frame's input is the style alone.
        while True:
            frames = inputs.shape[1]
            motions = self.vertice_map_r(self._decode(inputs, embedded, audio_features, frames))
            if frames * self.config.features_per_frame + self.config.features_per_frame > audio_features.shape[1]:
                return motions
            inputs = torch.cat([inputs, self.vertice_map(motions[:, -1:])], dim=1)

    def _decode(self, inputs: Tensor, style: Tensor, audio_features: Tensor, frames: int | None = None) -> Tensor:
        """Take encoded motions [batch, frames, d] to what motions are decoded from [batch, frames, d]."""
        frames = frames or inputs.shape[1]
        memory = self.audio_feature_map(audio_features)
        x = self.PPE(inputs + style[:, None])
        bias = temporal_bias(frames, self.config.period).to(x.device).repeat(len(x), 1, 1)
        mask = alignment_mask(frames, memory.shape[1], self.config.features_per_frame).to(x.device)
        hidden: Tensor = self.transformer_decoder(x, memory, tgt_mask=bias, memory_mask=mask)
        return hidden

    def step_weights(self) -> StepWeights:
        """Return what the step decoder needs of this model."""
        arrays = {
            name: value.detach().cpu().numpy()
            for name, value in self.state_dict().items()
            if not name.startswith(AUDIO_PREFIX)
        }
        return fold(arrays, period=self.config.period, features_per_frame=self.config.features_per_frame)

    def decode(self, audio_features: Features, style: int) -> Features:
        """Displacements [frames, vertices × 3], without the template, frame after frame with everything before in view.

        ``audio_features`` [frames × features_per_frame, 768] as they leave wav2vec 2.0, a numpy array or a tensor; the
        result is of the same kind. Computed by the step decoder, any length.

        Raises:
            ModelError: the checkpoint does not have this style, or there are features of another shape.
        """
        config = self.config
        features = np.asarray(audio_features.detach().cpu() if isinstance(audio_features, Tensor) else audio_features)
        if features.ndim != 2 or features.shape[1] != config.audio_width:
            raise ModelError(f"audio features of shape {features.shape} do not fit [features, {config.audio_width}]")
        if not hasattr(style, "__index__") or not 0 <= style < config.subjects:
            raise ModelError(missing_style(style, config.subjects))
        frames = len(features) // config.features_per_frame
        decoder = StepDecoder(self.step_weights(), window=max(frames, 1))
        state, motions = decoder.new_state(), np.zeros((frames, config.outputs), np.float32)
        rows = features[: frames * config.features_per_frame].reshape(
            frames, config.features_per_frame, config.audio_width
        )
        for frame, row in enumerate(rows.astype(np.float32, copy=False)):
            motions[frame] = decoder.step(state, row, style)
        return torch.from_numpy(motions) if isinstance(audio_features, Tensor) else motions

    def encode(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Audio features [frames × features_per_frame, 768] of a whole recording at 16 kHz, as the paper computes them.

        Raises:
            ModelError: the checkpoint came without a whole audio encoder, or the recording is too short.
        """
        if self.audio_encoder is None:
            raise ModelError(f"{self.no_encoder}: give one with --speech-encoder")
        return encode(self.audio_encoder, audio, rate=self.config.rate)


def temporal_bias(frames: int, period: int) -> Tensor:
    """[heads, frames, frames], section 3.3.1, equation 5: minus slope times whole periods back; no future."""
    back = torch.arange(frames)[:, None] - torch.arange(frames)[None]
    periods = torch.div(back, period, rounding_mode="floor").float()
    bias = -torch.from_numpy(slopes())[:, None, None] * periods
    return bias.masked_fill(back < 0, -math.inf)


def alignment_mask(frames: int, features: int, features_per_frame: int) -> Tensor:
    """[frames, features], section 3.3.2, equation 8: True if a frame must not look, all but its own features."""
    return torch.arange(features)[None] // features_per_frame != torch.arange(frames)[:, None]


def load(path: str | Path, *, period: int = 30, features_per_frame: int = 1) -> FaceFormer:
    """Load a published checkpoint (a state dict), with or without its audio encoder, ready to decode.

    ``period`` and ``features_per_frame`` are 30 and 1 for VOCASET's, 25 and 2 for BIWI's; the rest is in its shapes. An
    audio encoder that cannot be used, which decoding does not need, is left out; ``no_encoder`` says why. Only weights
    are read, never code.

    Raises:
        ModelError: the file is anything else.
    """
    state = read_state_dict(Path(path))
    try:
        config = config_of(state, period, features_per_frame)
        one_period(state["PPE.pe"].numpy(), period)
        encoder = {name: value for name, value in state.items() if name.startswith(AUDIO_PREFIX)}
        model = FaceFormer(config)
        model.PPE.pe = torch.empty_like(state["PPE.pe"])  # Its length is the checkpoint's.
        own = {name: value.float() for name, value in state.items() if name not in encoder}
        wanted = [name for name in model.state_dict() if not name.startswith(AUDIO_PREFIX)]
        if missing := [name for name in wanted if name not in own]:
            raise KeyError(missing[0])
        model.load_state_dict(own, strict=False)
    except KeyError as error:
        raise ModelError(f"{path} is not a FaceFormer checkpoint: it has no {error.args[0]}") from None
    except (RuntimeError, ValueError, IndexError, AttributeError) as error:
        raise ModelError(f"{path} is not a FaceFormer checkpoint: {_first_misfit(error)}") from None
    if encoder:
        _take_encoder(model, encoder)
    return model.eval()


def _take_encoder(model: FaceFormer, state: Mapping[str, Tensor]) -> None:
    """Give the model the audio encoder of its checkpoint, or note why that cannot be."""
    try:
        model.audio_encoder = encoder_from_state(state)
    except KeyError as error:
        model.no_encoder = f"this checkpoint's audio encoder has no {str(error.args[0]).removeprefix(AUDIO_PREFIX)}"
    except (RuntimeError, ValueError, IndexError, AttributeError, StopIteration) as error:
        model.no_encoder = f"this checkpoint's audio encoder does not fit ({_first_misfit(error)})"
    except ModelError as error:
        model.no_encoder = f"this checkpoint's audio encoder cannot be made ({error})"


def config_of(state: Mapping[str, Tensor], period: int, features_per_frame: int) -> FaceFormerConfig:
    """Return the sizes of a checkpoint.

    Raises:
        KeyError: an array is missing.
        ValueError: one is impossible.
    """
    if period < 1 or features_per_frame < 1:
        raise ValueError("period and features_per_frame count frames: give 1 or more")
    width, subjects = state["obj_vector.weight"].shape
    if width % HEADS:
        raise ValueError(f"a width of {width} does not divide into {HEADS} heads")
    outputs = state["vertice_map_r.weight"].shape[0]
    audio_width = state["audio_feature_map.weight"].shape[1]
    return FaceFormerConfig(width, outputs, subjects, period, features_per_frame, audio_width)


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Return the named arrays of a checkpoint.

    Raises:
        ModelError: the file is missing or damaged, or holds more than arrays.
    """
    if not path.is_file():
        raise ModelError(f"there is no checkpoint {path}: check the name")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # It warns of what it then refuses.
            loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "weights_only" in str(error).lower() or "Unsupported" in str(error):
            raise ModelError(
                f"{path} holds more than weights, which could run anything: save its state_dict() alone"
            ) from None
        raise ModelError(f"{path} is not a checkpoint that torch can read") from None
    except (RuntimeError, OSError, ValueError, EOFError, KeyError, IndexError, TypeError, AttributeError):
        raise ModelError(f"{path} is not a checkpoint that torch can read") from None
    for inner in ("state_dict", "model"):
        if isinstance(loaded, Mapping) and isinstance(loaded.get(inner), Mapping):
            loaded = loaded[inner]
    if not isinstance(loaded, Mapping) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise ModelError(f"{path} is not a state dict: save the model's state_dict()")
    return {str(name).removeprefix("module."): value for name, value in loaded.items()}


def _first_misfit(error: Exception) -> str:
    """Return the line of torch's long message that names an array."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[1] if len(lines) > 1 else (lines[0] if lines else type(error).__name__)
