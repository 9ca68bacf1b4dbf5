"""wav2vec 2.0 through transformers: loading, a whole recording at once, windows for a live run, export to ONNX.

The published weights are in no package: a hub name or a local folder says where they are. The steps between the
convolutions and the transformer are FaceFormer's (section 3.2): features are resampled linearly to the motion rate.
"""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facewire.bridge.shared.install import install_extra
from facewire.models.errors import ModelError
from facewire.models.speech.wav2vec import NATIVE_RATE, RECEPTIVE, STRIDE, Window, normalise

AUDIO_PREFIX = "audio_encoder."
HEAD_WIDTH = 64
"""Width of an attention head in every published wav2vec 2.0; a state dict does not say."""
ONNX_OPSET = 17
OLD_NORM, NEW_NORM = (
    ("weight_g", "weight_v"),
    ("parametrizations.weight.original0", "parametrizations.weight.original1"),
)


def load_encoder(where: str) -> nn.Module:
    """Return transformers' Wav2Vec2Model from a local folder or a hub name.

    Raises:
        ModelError: there is none, or it works at another rate than 16 kHz and 50 features a second.
    """
    transformers = _transformers()
    if os.sep in where and not Path(where).exists() and (where.startswith((".", os.sep, "~")) or where.count("/") > 1):
        raise ModelError(f"there is no folder {where}: give a folder with a wav2vec 2.0 model, or its hub name")
    try:
        config = _pretrained(transformers.AutoConfig, where)
        if config.model_type != "wav2vec2":
            raise ModelError(f"{where} is a {config.model_type} model: FaceFormer needs wav2vec 2.0")
        _check_pace(config, where)
        model: nn.Module = _pretrained(transformers.Wav2Vec2Model, where)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ModelError(f"no wav2vec 2.0 model could be read from {where}: {line}") from None
    return model.eval()


def _pretrained(kind: Any, where: str) -> Any:
    """Return a configuration or model from a folder or from what the hub's cache has, and only then from the hub."""
    try:
        return kind.from_pretrained(where, local_files_only=True)
    except OSError:
        return kind.from_pretrained(where)


def encoder_from_state(state: Mapping[str, Tensor]) -> nn.Module:
    """Return the encoder that a FaceFormer checkpoint carries, from its arrays. Its sizes are read from their shapes.

    Raises:
        KeyError: an array is missing.
        RuntimeError: one does not fit.
    """
    transformers = _transformers()
    arrays = {name.removeprefix(AUDIO_PREFIX): value.float() for name, value in state.items()}
    model = transformers.Wav2Vec2Model(_config_of(arrays))
    own = set(model.state_dict())
    arrays = {rename_norm(name, own): value for name, value in arrays.items()}
    arrays = {name: value for name, value in arrays.items() if name in own}
    if missing := sorted(own - set(arrays) - {"masked_spec_embed"}):
        raise KeyError(AUDIO_PREFIX + missing[0])
    model.load_state_dict(arrays, strict=False)
    encoder: nn.Module = model.eval()
    return encoder


def rename_norm(name: str, known: set[str]) -> str:
    """Return the name that the installed transformers gives an array of the positional convolution's weight norm."""
    for old, new in zip(OLD_NORM, NEW_NORM, strict=True):
        for here, there in ((old, new), (new, old)):
            if name.endswith("." + here) and (renamed := name.removesuffix(here) + there) in known:
                return renamed
    return name


def _config_of(arrays: Mapping[str, Tensor]) -> Any:
    layers = {int(m[1]) for name in arrays if (m := re.match(r"encoder\.layers\.(\d+)\.", name))}
    convs = [arrays[f"feature_extractor.conv_layers.{i}.conv.weight"] for i in range(7)]
    hidden = arrays["feature_projection.projection.weight"].shape[0]
    v = next(
        value
        for name, value in arrays.items()
        if name.startswith("encoder.pos_conv_embed.") and value.ndim == 3 and min(value.shape) > 1
    )
    return _transformers().Wav2Vec2Config(
        hidden_size=hidden,
        num_hidden_layers=len(layers),
        num_attention_heads=max(1, hidden // HEAD_WIDTH),
        intermediate_size=arrays["encoder.layers.0.feed_forward.intermediate_dense.weight"].shape[0],
        conv_dim=[conv.shape[0] for conv in convs],
        num_conv_pos_embeddings=v.shape[2],
        num_conv_pos_embedding_groups=hidden // v.shape[1],
    )


def _check_pace(config: Any, where: str) -> None:
    stride, receptive = 1, 1
    for kernel, step in zip(config.conv_kernel, config.conv_stride, strict=True):
        receptive += (kernel - 1) * stride
        stride *= step
    if (stride, receptive) != (STRIDE, RECEPTIVE):
        raise ModelError(f"{where} gives a feature every {stride} samples: FaceFormer needs one every {STRIDE}")


def _transformers() -> Any:
    try:
        import transformers
    except ImportError:
        raise ModelError(f"wav2vec 2.0 needs transformers: {install_extra('train')}") from None
    transformers.utils.logging.set_verbosity_error()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # It reports each attempt to reach the hub.
    transformers.utils.logging.disable_progress_bar()
    return transformers


def encode(model: nn.Module, audio: NDArray[np.float32], *, rate: float, exact: bool = False) -> NDArray[np.float32]:
    """Features [n, width] of a whole recording [samples] at 16 kHz.

    At 30 a second they are resampled as the paper's code does it: the first and the last feature stay the first and the
    last, so that the pace is off by as much as the length is uneven. ``exact`` keeps the pace, as a live run must. At
    25 frames a second there are two features to a frame.

    Raises:
        ModelError: the recording is under 25 ms.
    """
    if len(audio) < RECEPTIVE:
        raise ModelError("the recording is shorter than one feature of wav2vec 2.0, 25 ms")
    device = next(model.parameters()).device
    with torch.inference_mode():
        x = torch.from_numpy(normalise(np.asarray(audio, np.float32)))[None].to(device)
        features = _network(model).feature_extractor(x).transpose(1, 2)
        count = features.shape[1]
        if rate == 30:
            out = max(1, int(count / NATIVE_RATE * 30))
            step = NATIVE_RATE / 30 if exact else (count - 1) / max(out - 1, 1)
            features = lerp(features, torch.arange(out, device=device) * step)
        else:
            features = features[:, : max(count - count % 2, 1)]
        hidden: Tensor = _transform(model, features)[0]
    return hidden.cpu().numpy()


def lerp(features: Tensor, positions: Tensor) -> Tensor:
    """Features [1, n, c] at fractional positions [m], linearly interpolated: [1, m, c]."""
    first = positions.floor().long().clamp(max=features.shape[1] - 1)
    after = (first + 1).clamp(max=features.shape[1] - 1)
    share = (positions - first)[:, None].to(features.dtype)
    return features[:, first] * (1 - share) + features[:, after] * share


def _network(model: nn.Module) -> Any:
    """Return the model untyped: transformers' modules are not typed in every version."""
    return model


def _transform(model: nn.Module, features: Tensor) -> Tensor:
    """From resampled convolution features [1, n, c] to hidden states [1, n, width]."""
    network = _network(model)
    hidden: Tensor = network.encoder(network.feature_projection(features)[0])[0]
    return hidden


class WindowModule(nn.Module):
    """One window [1, length] to the features of its hop [hop_features, width]: what is run live, and exported."""

    positions: Tensor

    def __init__(self, model: nn.Module, window: Window) -> None:
        super().__init__()
        self.model, self.window = model, window
        count = (window.length - RECEPTIVE) // STRIDE + 1
        out = (count - 1) * window.rate // NATIVE_RATE + 1
        self.register_buffer("positions", torch.arange(out) * (NATIVE_RATE / window.rate))

    def forward(self, audio: Tensor) -> Tensor:
        """See the class."""
        features = _network(self.model).feature_extractor(audio).transpose(1, 2)
        hidden = _transform(self.model, lerp(features, self.positions))
        first = self.window.first_feature
        return hidden[0, first : first + self.window.hop_features]


class TorchEncoder:
    """Computes windows with torch, on a GPU if there is one; see ``wav2vec.WindowEncoder``."""

    def __init__(self, model: nn.Module, window: Window, *, device: str = "auto") -> None:
        """Move the network to the device.

        Raises:
            ModelError: there is no GPU and "cuda" is asked for.
        """
        usable = torch.cuda.is_available()
        if device == "cuda" and not usable:
            raise ModelError("torch sees no CUDA GPU: choose --device cpu, or install torch's CUDA build")
        self._device = "cuda" if usable and device != "cpu" else "cpu"
        self.window = window
        self.width = int(_network(model).config.hidden_size)
        self._module = WindowModule(model, window).eval().to(self._device)

    def encode(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """See ``WindowEncoder``."""
        with torch.inference_mode():
            features: NDArray[np.float32] = self._module(torch.from_numpy(samples)[None].to(self._device)).cpu().numpy()
        return features


def export_onnx(model: nn.Module, window: Window, path: Path) -> None:
    """Write a window encoder as ONNX, for runs without torch. ``model`` is changed: export a copy of your own."""
    import onnx

    network = _network(model)
    network.config._attn_implementation = "eager"  # The fused attention has no ONNX operator at this opset.
    convolution = network.encoder.pos_conv_embed.conv
    if torch.nn.utils.parametrize.is_parametrized(convolution, "weight"):
        torch.nn.utils.parametrize.remove_parametrizations(convolution, "weight")
    module = WindowModule(model.cpu(), window).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The exporter warns of constants that a fixed window makes right.
        torch.onnx.export(
            module,
            (torch.zeros(1, window.length),),
            str(path),
            input_names=["audio"],
            output_names=["features"],
            opset_version=ONNX_OPSET,
            dynamo=False,
        )
    graph = onnx.load(str(path))
    for name in ("rate", "left_context", "look_ahead"):
        entry = graph.metadata_props.add()
        entry.key, entry.value = f"facewire_{name}", str(getattr(window, name))
    onnx.save(graph, str(path))
