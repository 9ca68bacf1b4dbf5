"""Our causal network, as it is trained: an audio path and FaceFormer's decoder on top of it.

The decoder follows Fan et al., "FaceFormer" (2022), section 3.3: the previous motions, encoded and given the style,
attend to each other under a bias that favours the near ones; the result meets the frame's own audio feature (its
diagonal alignment), and a feed-forward layer follows. Two things differ, and docs/speech.md says what each is worth:
there is no periodic encoding, and the decoder adds to what the audio path says through a gate that starts at zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from facewire.models.speech import features
from facewire.models.speech.coarticulation import PHONES, STYLES
from facewire.models.speech.training.dataset import LOOK_AHEADS_MS

SHAPES = 52


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Sizes. ``kernel`` is how many ticks the convolution sees, ``history`` past motions of the decoder."""

    inputs: int = 160
    width: int = 256
    kernel: int = 8
    memory: int = 192
    head: int = 128
    decoder: int = 64
    attention_heads: int = 4
    history: int = 60


class AudioPath(nn.Module):
    """Features to one vector a tick: a causal convolution, a layer on top, and a recurrent layer beside them.

    The convolution reaches the heads directly too: without that way around the recurrent layer, learning takes several
    times as long (docs/speech.md).
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.kernel = config.kernel
        self.input = nn.Linear(config.inputs * config.kernel, config.width)
        self.middle = nn.Linear(config.width, config.width)
        self.gru = nn.GRU(config.width, config.memory, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, ticks, 160] to [batch, ticks, memory + width]."""
        padded = functional.pad(x, (0, 0, self.kernel - 1, 0), value=features.LOWEST_FEATURE)
        past = torch.cat([padded[:, i : i + x.shape[1]] for i in range(self.kernel)], dim=-1)
        x = functional.relu(self.input(past))
        x = x + functional.relu(self.middle(x))
        return torch.cat([self.gru(x)[0], x], dim=-1)


class Head(nn.Module):
    """One look-ahead: a vector of audio and style to phones, shapes, and how surely somebody speaks."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.hidden = nn.Linear(config.memory + config.width, config.head)
        self.style = nn.Embedding(len(STYLES), config.head)
        self.shapes = nn.Linear(config.head, SHAPES)
        self.speaking = nn.Linear(config.head, 1)
        self.phones = nn.Linear(config.head, len(PHONES))
        self.from_phones = nn.Linear(len(PHONES), SHAPES, bias=False)
        nn.init.zeros_(self.from_phones.weight)
        nn.init.zeros_(self.style.weight)
        nn.init.constant_(self.shapes.bias, -2.0)

    def feature(self, memory: Tensor, style: Tensor) -> Tensor:
        """[batch, ticks, memory + width] and [batch] to [batch, ticks, head]."""
        return functional.relu(self.hidden(memory) + self.style(style)[:, None])

    def motion(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        """Shapes [..., 52], 0..1 and shut if nobody speaks, and the logit of speaking [...]."""
        speaking = self.speaking(feature)
        # How likely each phone is names the rare and short ones, by which lips close, sooner than shapes alone would.
        shapes = self.shapes(feature) + self.from_phones(self.phones(feature).softmax(-1))
        return torch.sigmoid(shapes) * torch.sigmoid(speaking), speaking[..., 0]


class Decoder(nn.Module):
    """FaceFormer's decoder for one tick at a time; adds to the head's feature through a gate."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        d, self.heads, self.history = config.decoder, config.attention_heads, config.history
        self.motion_encoder = nn.Linear(SHAPES, d)
        self.style = nn.Embedding(len(STYLES), d)
        self.audio = nn.Linear(config.head, d)
        self.query, self.key, self.value, self.mixed = (nn.Linear(d, d) for _ in range(4))
        self.across = nn.Linear(d, d)
        self.norms = nn.ModuleList(nn.LayerNorm(d) for _ in range(3))
        self.up, self.down = nn.Linear(d, 2 * d), nn.Linear(2 * d, d)
        self.out = nn.Linear(d, config.head)
        self.gate = nn.Parameter(torch.zeros(config.head))

    def slopes(self) -> Tensor:
        """Per head, how fast the bias falls with distance: 2^-2, 2^-4, 2^-6, 2^-8 for four heads, per tick / 4."""
        return torch.tensor([2.0 ** (-8.0 * (i + 1) / self.heads) for i in range(self.heads)]) * 0.25

    def step(
        self, motion: Tensor, feature: Tensor, style: Tensor, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One tick: what to add to the feature, and keys and values with this tick's.

        ``motion`` [batch, 52] came out last, ``feature`` [batch, head] is the audio's, keys and values are
        [batch, past, d].
        """
        batch, d = motion.shape[0], self.key.out_features
        x = self.motion_encoder(motion) + self.style(style)
        keys = torch.cat([keys, self.key(x)[:, None]], dim=1)[:, -self.history :]
        values = torch.cat([values, self.value(x)[:, None]], dim=1)[:, -self.history :]
        past = keys.shape[1]
        split = (batch, past, self.heads, d // self.heads)
        query = self.query(x).view(batch, self.heads, -1) * (d // self.heads) ** -0.5
        scores = torch.einsum("bhe,bphe->bhp", query, keys.view(split))
        distance = torch.arange(past - 1, -1, -1, device=x.device)
        scores = scores - self.slopes().to(x.device)[:, None] * distance
        attended = torch.einsum("bhp,bphe->bhe", scores.softmax(-1), values.view(split)).reshape(batch, d)
        x = self.norms[0](x + self.mixed(attended))
        # Diagonal alignment: attention over one's own audio feature alone is that feature's value.
        x = self.norms[1](x + self.across(self.audio(feature)))
        x = self.norms[2](x + self.down(functional.relu(self.up(x))))
        return self.gate * self.out(x), keys, values


class SpeechNetwork(nn.Module):
    """The whole: one audio path, a head for each look-ahead, and one decoder that all of them share."""

    def __init__(self, config: NetworkConfig | None = None) -> None:
        super().__init__()
        self.config = config or NetworkConfig()
        self.audio = AudioPath(self.config)
        self.heads = nn.ModuleList(Head(self.config) for _ in LOOK_AHEADS_MS)
        self.decoder = Decoder(self.config)

    def prepare(self, *, decoder: bool) -> list[nn.Parameter]:
        """Let only the decoder learn, or only the audio path with its heads; return the parameters that do."""
        self.requires_grad_(False)
        parts = [self.decoder] if decoder else [self.audio, self.heads]
        for part in parts:
            part.requires_grad_(True)
        return [parameter for part in parts for parameter in part.parameters()]

    def roll_out(
        self, head: Head, feature: Tensor, style: Tensor, truth: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Free-running: shapes [batch, ticks, 52] and logits of speaking, each tick fed with what came out before.

        ``truth`` [batch, ticks, 52] feeds the true motions instead (teacher forcing), for comparison only.
        """
        batch, ticks, _ = feature.shape
        motion = feature.new_zeros(batch, SHAPES)
        keys = values = feature.new_zeros(batch, 0, self.config.decoder)
        motions, logits = [], []
        for tick in range(ticks):
            added, keys, values = self.decoder.step(motion, feature[:, tick], style, keys, values)
            motion, logit = head.motion(functional.relu(feature[:, tick] + added))
            motions.append(motion)
            logits.append(logit)
            if truth is not None:
                motion = truth[:, tick]
        return torch.stack(motions, dim=1), torch.stack(logits, dim=1)
