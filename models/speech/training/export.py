"""From trained tensors to the file that a live run loads: matrices as [inputs, outputs], halves, no code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facewire.models.arkit import ARKIT_NAMES
from facewire.models.speech.coarticulation import STYLES
from facewire.models.speech.training.dataset import LOOK_AHEADS_MS
from facewire.models.speech.training.network import Head, SpeechNetwork

KEEP_SIZE = ("mouthPress", "mouthRoll", "mouthShrug", "cheekPuff")
"""Shapes by which lips close and tuck: expressiveness leaves them alone. mouthClose goes with the jaw it closes."""


def export(network: SpeechNetwork, path: Path, about: dict[str, Any]) -> None:
    """Write the network as an .npz of halves, with what is to be known of it (JSON) under ``about``."""
    arrays = {name: array.astype(np.float16) for name, array in arrays_of(network).items()}
    text = json.dumps({**about, "styles": STYLES, "look_aheads_ms": LOOK_AHEADS_MS, "shapes": ARKIT_NAMES})
    np.savez_compressed(path, about=np.array(text), **arrays)


@torch.no_grad()
def arrays_of(network: SpeechNetwork) -> dict[str, NDArray[np.float32]]:
    """The arrays of kernels.Weights, with a leading axis for look-aheads and styles where they differ."""
    network = network.cpu()
    audio, decoder = network.audio, network.decoder
    heads = [head for head in network.heads if isinstance(head, Head)]
    gru = audio.gru
    tensors: dict[str, Tensor] = {
        **_linear("input", audio.input),
        **_linear("middle", audio.middle),
        "gru": gru.weight_ih_l0.T,
        "gru_bias": gru.bias_ih_l0,
        "gru_hidden": gru.weight_hh_l0.T,
        "gru_hidden_bias": gru.bias_hh_l0,
        **_stacked("hidden", [head.hidden for head in heads]),
        "head_style": torch.stack([head.style.weight for head in heads]),
        **_stacked("shapes", [head.shapes for head in heads]),
        **_stacked("phones", [head.phones for head in heads]),
        "from_phones": torch.stack([head.from_phones.weight.T for head in heads]),
        **_stacked("speaking", [head.speaking for head in heads]),
        **_linear("motion_encoder", decoder.motion_encoder),
        "decoder_style": decoder.style.weight,
        **_linear("query", decoder.query),
        **_linear("key", decoder.key),
        **_linear("value", decoder.value),
        **_linear("mixed", decoder.mixed),
        "across": (decoder.across.weight @ decoder.audio.weight).T,
        "across_bias": decoder.across.weight @ decoder.audio.bias + decoder.across.bias,
        "norm_scale": torch.stack([norm.weight for norm in decoder.norms]),
        "norm_shift": torch.stack([norm.bias for norm in decoder.norms]),
        **_linear("up", decoder.up),
        **_linear("down", decoder.down),
        "out": decoder.out.weight.T * decoder.gate,
        "out_bias": decoder.out.bias * decoder.gate,
        "slopes": decoder.slopes(),
        "history": torch.tensor([float(decoder.history)]),
        "scaled": torch.tensor([0.0 if name.startswith(KEEP_SIZE) else 1.0 for name in ARKIT_NAMES]),
    }
    return {name: tensor.detach().contiguous().numpy().astype(np.float32) for name, tensor in tensors.items()}


def _linear(name: str, layer: nn.Linear) -> dict[str, Tensor]:
    return {name: layer.weight.T, f"{name}_bias": layer.bias}


def _stacked(name: str, layers: list[nn.Linear]) -> dict[str, Tensor]:
    return {
        name: torch.stack([layer.weight.T for layer in layers]),
        f"{name}_bias": torch.stack([layer.bias for layer in layers]),
    }
