"""What training minimises."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.models.speech.training.config import LossConfig
from facewire.models.speech.training.network import Head, SpeechNetwork

CLOSED, TUCKED = BLENDSHAPES.index("mouthRollUpper"), BLENDSHAPES.index("mouthRollLower")
CLOSED_TARGET = 0.22
"""What the targets' mouthRollUpper is where lips are shut."""
JAW, CLOSE = BLENDSHAPES.index("jawOpen"), BLENDSHAPES.index("mouthClose")


class Batch(NamedTuple):
    """Clips stacked along their first axis; see dataset.Clip."""

    features: Tensor
    shapes: Tensor
    speaking: Tensor
    phones: Tensor
    style: Tensor


class Objective(nn.Module):
    """The loss of a batch. A module of its own, so that DistributedDataParallel can wrap it."""

    weight: Tensor

    def __init__(self, network: SpeechNetwork, config: LossConfig) -> None:
        super().__init__()
        self.network, self.config = network, config
        weight = torch.tensor([config.per_shape.get(name, 1.0) for name in BLENDSHAPES])
        self.register_buffer("weight", weight, persistent=False)

    def forward(self, batch: Batch, number: int = -1, warm: bool = True) -> tuple[Tensor, dict[str, float]]:
        """Return the loss and its parts as numbers: of audio path and heads, or of the decoder on head ``number``."""
        return self.audio_loss(batch) if number < 0 else self.roll_out_loss(batch, number, warm)

    def audio_loss(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """Audio path and all heads, without the decoder."""
        memory, first = self.network.audio(batch.features), self.config.first_tick
        parts: dict[str, Tensor] = {}
        for number, head in enumerate(self.network.heads):
            assert isinstance(head, Head)
            feature = head.feature(memory, batch.style)
            motion, logit = head.motion(feature)
            losses = self.motion_losses(motion, logit, batch, number)
            named = head.phones(feature)[:, first:].flatten(0, 1)
            told = functional.cross_entropy(named, batch.phones[:, number, first:].flatten())
            losses["phones"] = self.config.phones * told
            for name, value in losses.items():
                parts[name] = parts.get(name, value.new_zeros(())) + value / len(self.network.heads)
        return torch.stack(list(parts.values())).sum(), {name: float(value.detach()) for name, value in parts.items()}

    def motion_losses(self, motion: Tensor, logit: Tensor, batch: Batch, number: int) -> dict[str, Tensor]:
        """How far shapes, lips and their changes are from the targets of one look-ahead; and motion in pauses."""
        weights, first = self.config, self.config.first_tick
        truth, speaking = batch.shapes[:, number, first:], batch.speaking[:, number, first:]
        motion, logit = motion[:, first:], logit[:, first:]
        rare = 1.0 + truth[..., CLOSED] * (weights.closed / CLOSED_TARGET) + truth[..., TUCKED] * weights.tucked
        gap, true_gap = motion[..., JAW] - motion[..., CLOSE], truth[..., JAW] - truth[..., CLOSE]
        quiet = (speaking < 0.02).float()
        off = ((self._distance(motion, truth) * self.weight).sum(-1) * rare).mean()
        return {
            "shapes": weights.shapes * off,
            "gap": weights.gap * (self._distance(gap, true_gap) * rare).mean(),
            "speed": weights.speed * self._change(motion, truth, 1),
            "tremble": weights.tremble * self._change(motion, truth, 2),
            "pauses": weights.pauses * (motion.sum(-1) * quiet).sum() / quiet.sum().clamp(min=1.0) * quiet.mean(),
            "speaking": weights.speaking * functional.binary_cross_entropy_with_logits(logit, speaking),
        }

    def _change(self, motion: Tensor, truth: Tensor, order: int) -> Tensor:
        """How far the differences of an order from tick to tick are from the true ones."""
        distance = self._distance(motion.diff(order, dim=1), truth.diff(order, dim=1))
        return (distance * self.weight).sum(-1).mean()

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        return functional.smooth_l1_loss(a, b, beta=self.config.knee, reduction="none")

    def roll_out_loss(self, batch: Batch, number: int, warm: bool) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of the decoder free-running on look-ahead ``number``; without ``warm``, only from the clip's
        middle on.
        """
        head = self.network.heads[number]
        assert isinstance(head, Head)
        with torch.no_grad():
            feature = head.feature(self.network.audio(batch.features), batch.style)
        if not warm:
            middle = feature.shape[1] // 2
            feature = feature[:, middle:]
            batch = Batch(
                batch.features, batch.shapes[:, :, middle:], batch.speaking[:, :, middle:], batch.phones, batch.style
            )
        motion, logit = self.network.roll_out(head, feature, batch.style)
        losses = self.motion_losses(motion, logit, batch, number)
        return torch.stack(list(losses.values())).sum(), {name: float(value.detach()) for name, value in losses.items()}
