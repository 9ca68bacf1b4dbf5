"""From trained tensors to the file that a live run loads, and back: matrices as [inputs, outputs], halves, no code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.models.errors import ModelError
from facewire.models.speech.coarticulation import PHONES, STYLES
from facewire.models.speech.training.dataset import LOOK_AHEADS_MS
from facewire.models.speech.training.network import Head, NetworkConfig, SpeechNetwork

KEEP_SIZE = ("mouthPress", "mouthRoll", "mouthShrug", "cheekPuff")
"""Shapes by which lips close and tuck: expressiveness leaves them alone. mouthClose goes with the jaw it closes."""

BILABIAL = ("P", "B", "M")
CLOSING = {"jawOpen": -0.5} | {
    f"{lip}{side}": -4.0 for lip in ("mouthLowerDown", "mouthUpperUp") for side in ("Left", "Right")
}
"""What a sound named as P, B or M takes off these shapes (before the sigmoid) beyond what was learnt.

On synthetic voices shapes need no such help. On real recordings the network names P, B and M better (AUC 0.90) than
its learnt shapes show them (0.84): phones carry over from synthetic voices better than shapes do (docs/speech.md).
"""


def export(network: SpeechNetwork, path: Path, about: dict[str, Any]) -> None:
    """Write the network as an .npz of halves, with what is to be known of it (JSON) under ``about``.

    ``closing`` in ``about`` is added to what P, B and M do to the shapes (see CLOSING), and kept there for ``restore``.
    """
    arrays = {name: array.astype(np.float16) for name, array in arrays_of(network, about.get("closing")).items()}
    text = json.dumps({**about, "styles": STYLES, "look_aheads_ms": LOOK_AHEADS_MS, "shapes": BLENDSHAPES})
    np.savez_compressed(path, about=np.array(text), **arrays)


@torch.no_grad()
def arrays_of(network: SpeechNetwork, closing: dict[str, float] | None = None) -> dict[str, NDArray[np.float32]]:
    """Return the arrays of causal_state.Weights, with a leading axis for look-aheads and styles where they differ."""
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
        "from_phones": torch.stack([head.from_phones.weight.T for head in heads]) + _closing(closing or {}),
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
        "scaled": torch.tensor([0.0 if name.startswith(KEEP_SIZE) else 1.0 for name in BLENDSHAPES]),
    }
    return {name: tensor.detach().contiguous().numpy().astype(np.float32) for name, tensor in tensors.items()}


def _linear(name: str, layer: nn.Linear) -> dict[str, Tensor]:
    return {name: layer.weight.T, f"{name}_bias": layer.bias}


def _stacked(name: str, layers: list[nn.Linear]) -> dict[str, Tensor]:
    return {
        name: torch.stack([layer.weight.T for layer in layers]),
        f"{name}_bias": torch.stack([layer.bias for layer in layers]),
    }


def restore_mean(paths: list[Path]) -> tuple[SpeechNetwork, list[dict[str, Any]]]:
    """Return the mean of several files' networks, of one origin and size, and what each says of itself.

    Raises:
        ModelError: a file is not such a model, or they differ in size.
    """
    networks, abouts = zip(*(restore(path) for path in paths), strict=True)
    if any(network.config != networks[0].config for network in networks):
        raise ModelError(f"{paths[0]} and the others have no mean: their networks differ in size.")
    states = [network.state_dict() for network in networks]
    networks[0].load_state_dict({name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]})
    return networks[0], list(abouts)


def restore(path: Path) -> tuple[SpeechNetwork, dict[str, Any]]:
    """Return the network of an exported file, to train on, without its closing; and what the file says of itself.

    What export folds stays folded: the decoder's gate is 1, its second projection of the audio changes nothing.

    Raises:
        ModelError: the file is not such a model.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            about = json.loads(str(stored["about"]))
            arrays = {
                name: torch.from_numpy(stored[name].astype(np.float32)) for name in stored.files if name != "about"
            }
        if tuple(about["look_aheads_ms"]) != LOOK_AHEADS_MS or tuple(about["styles"]) != STYLES:
            raise ValueError("it has other look-aheads or styles")
        network = SpeechNetwork(_config(arrays))
        arrays["from_phones"] -= _closing(about.get("closing", {}))
        _fill(network, arrays)
    except (OSError, ValueError, KeyError, TypeError, IndexError, RuntimeError, BadZipFile) as error:
        raise ModelError(f"{path} is not a speech model of facewire train speech: {error}.") from error
    return network, about


def _closing(closing: dict[str, float]) -> Tensor:
    """Return what is added to ``from_phones`` [phones, shapes]."""
    added = torch.zeros(len(PHONES), len(BLENDSHAPES))
    for name, value in closing.items():
        added[[PHONES.index(phone) for phone in BILABIAL], BLENDSHAPES.index(name)] = value
    return added


def _config(arrays: dict[str, Tensor]) -> NetworkConfig:
    inputs = NetworkConfig().inputs
    seen, width = arrays["input"].shape
    return NetworkConfig(
        inputs=inputs,
        width=width,
        kernel=seen // inputs,
        memory=len(arrays["gru_hidden"]),
        head=arrays["hidden"].shape[2],
        decoder=len(arrays["query"]),
        attention_heads=len(arrays["slopes"]),
        history=int(arrays["history"][0]),
    )


@torch.no_grad()
def _fill(network: SpeechNetwork, arrays: dict[str, Tensor]) -> None:
    """Turn ``arrays_of`` round."""

    def fill(layer: nn.Linear, name: str, *number: int) -> None:
        layer.weight.copy_(arrays[name][number].T)
        layer.bias.copy_(arrays[f"{name}_bias"][number])

    audio, decoder = network.audio, network.decoder
    fill(audio.input, "input")
    fill(audio.middle, "middle")
    audio.gru.weight_ih_l0.copy_(arrays["gru"].T)
    audio.gru.bias_ih_l0.copy_(arrays["gru_bias"])
    audio.gru.weight_hh_l0.copy_(arrays["gru_hidden"].T)
    audio.gru.bias_hh_l0.copy_(arrays["gru_hidden_bias"])
    for number, head in enumerate(network.heads):
        assert isinstance(head, Head)
        for name in ("hidden", "shapes", "phones", "speaking"):
            fill(getattr(head, name), name, number)
        head.style.weight.copy_(arrays["head_style"][number])
        head.from_phones.weight.copy_(arrays["from_phones"][number].T)
    for name in ("motion_encoder", "query", "key", "value", "mixed", "up", "down", "out"):
        fill(getattr(decoder, name), name)
    fill(decoder.audio, "across")
    decoder.across.weight.copy_(torch.eye(decoder.across.in_features))
    decoder.across.bias.zero_()
    decoder.style.weight.copy_(arrays["decoder_style"])
    for number, norm in enumerate(decoder.norms):
        assert isinstance(norm, nn.LayerNorm)
        norm.weight.copy_(arrays["norm_scale"][number])
        norm.bias.copy_(arrays["norm_shift"][number])
    decoder.gate.fill_(1.0)
