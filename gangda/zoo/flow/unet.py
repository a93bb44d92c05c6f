"""A small U-Net (Ronneberger 2015) that predicts the velocity of a flow."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gangda.config.architectures import FlowSpec
from gangda.zoo.base import Networks
from gangda.zoo.flow.generator import CHANGES, FlowGenerator

EMBEDDING = 256  # size of the embedding of time, class and changes
HEADS = 4  # of the attention
FREQUENCIES = 64  # of the time embedding


class UNet(FlowGenerator):
    """Residual blocks at a half and a quarter of the image's resolution, with attention at the quarter.

    The image enters with 2x2 pixels folded into channels. Time, class and changes scale and shift the normalised
    features of each block, as in Dhariwal 2021 (adaptive group normalisation).
    """

    def __init__(self, spec: FlowSpec, image_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__(image_shape, num_classes, spec.conditional)
        channels, width = 4 * image_shape[0], spec.width
        self.time = nn.Sequential(
            nn.Linear(2 * FREQUENCIES, EMBEDDING), nn.SiLU(), nn.Linear(EMBEDDING, EMBEDDING)
        )
        self.label = nn.Embedding(num_classes + 1, EMBEDDING)
        self.change = nn.Linear(CHANGES, EMBEDDING, bias=False)
        self.enter = nn.Conv2d(channels, width, 3, padding=1)
        self.down = nn.ModuleList(Block(width, width, spec.dropout) for _ in range(2))
        self.shrink = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.middle = nn.ModuleList(Block(2 * width, 2 * width, spec.dropout) for _ in range(3))
        self.attention = Attention(2 * width)
        self.grow = nn.Conv2d(2 * width, width, 3, padding=1)
        self.up = nn.ModuleList(Block(2 * width, width, spec.dropout) for _ in range(2))
        self.norm = normalise(width)
        self.leave = zeroed(nn.Conv2d(width, channels, 3, padding=1))

    def velocity(self, x: Tensor, t: Tensor, y: Tensor, changes: Tensor) -> Tensor:
        """See `FlowGenerator.velocity`. Sides that four does not divide are extended with the edge's pixels."""
        height, width = x.shape[2:]
        padded = F.pad(x, (0, -width % 4, 0, -height % 4), mode="replicate")
        embedding = F.silu(self.time(waves(t)) + self.label(y) + self.change(changes))
        features = self.enter(F.pixel_unshuffle(padded, 2))
        skips = []
        for block in self.down:
            features = block(features, embedding)
            skips.append(features)
        features = self.shrink(features)
        for block in self.middle[:2]:
            features = block(features, embedding)
        features = self.middle[2](self.attention(features), embedding)
        features = self.grow(F.interpolate(features, scale_factor=2.0, mode="nearest"))
        for block in self.up:
            features = block(torch.cat([features, skips.pop()], 1), embedding)
        folded = self.leave(F.silu(self.norm(features)))
        return F.pixel_shuffle(folded, 2)[:, :, :height, :width]


class Block(nn.Module):
    """Two convolutions with group norm, the second one's scaled and shifted by the embedding, and a shortcut."""

    def __init__(self, before: int, after: int, dropout: float) -> None:
        super().__init__()
        self.first_norm, self.first = normalise(before), nn.Conv2d(before, after, 3, padding=1)
        self.embed = nn.Linear(EMBEDDING, 2 * after)
        self.second_norm, self.dropout = normalise(after), nn.Dropout(dropout)
        self.second = zeroed(nn.Conv2d(after, after, 3, padding=1))
        self.shortcut = nn.Identity() if before == after else nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(B, before, H, W), (B, EMBEDDING) -> (B, after, H, W)."""
        features = self.first(F.silu(self.first_norm(x)))
        scale, shift = self.embed(embedding)[:, :, None, None].chunk(2, 1)
        features = self.second_norm(features) * (1 + scale) + shift
        found: Tensor = self.shortcut(x) + self.second(self.dropout(F.silu(features)))
        return found


class Attention(nn.Module):
    """Multi-head self-attention over the pixels, added to its input (Vaswani 2017)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.qkv = normalise(channels), nn.Conv2d(channels, 3 * channels, 1)
        self.out = zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        q, k, v = (
            part.flatten(2).unflatten(1, (HEADS, -1)).transpose(2, 3)
            for part in self.qkv(self.norm(x)).chunk(3, 1)
        )
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(2, 3).flatten(1, 2)
        found: Tensor = x + self.out(mixed.unflatten(2, x.shape[2:]))
        return found


def normalise(channels: int) -> nn.GroupNorm:
    """Group norm in eight groups, or as many as divide the channels."""
    return nn.GroupNorm(math.gcd(8, channels), channels)


def zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    """A layer that starts at zero."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def waves(t: Tensor) -> Tensor:
    """Cosines and sines of times in [0, 1]: (B,) -> (B, 2 FREQUENCIES)."""
    rates = torch.exp(torch.linspace(0, math.log(1000), FREQUENCIES, device=t.device))
    angles = t[:, None] * rates
    return torch.cat([angles.cos(), angles.sin()], 1)


def build(spec: FlowSpec, image_shape: tuple[int, int, int], num_classes: int) -> Networks:
    """The U-Net; nothing opposes it."""
    return Networks(UNet(spec, image_shape, num_classes))
