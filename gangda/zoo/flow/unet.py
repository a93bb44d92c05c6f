"""A small U-Net (Ronneberger 2015) for flows."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gangda.config.architectures import FlowSpec
from gangda.zoo.flow.backbone import Backbone, zeroed
from gangda.zoo.layers.fused import dropout

EMBEDDING = 256  # size of the embedding of time, class and changes
HEADS = 4  # of the attention


class UNet(Backbone):
    """Residual blocks at two resolutions, with attention at the lower one.

    The image enters with 2x2 pixels folded into channels (4x4 above 32 pixels a side, none up to 12): `width` channels
    at that resolution, twice as many at half of it. The embedding scales and shifts the normalised features of each
    block, as in Dhariwal 2021 (adaptive group normalisation).
    """

    hidden = ("down", "downsample", "middle", "attention", "upsample", "up")

    def __init__(self, spec: FlowSpec, image_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__(num_classes, EMBEDDING)
        width, rate, side = spec.channels, spec.dropout, max(image_shape[1:])
        self.fold = 1 if side <= 12 else 2 if side <= 32 else 4
        self.multiple = 2 * self.fold
        channels = self.fold**2 * image_shape[0]
        self.conv_in = nn.Conv2d(channels, width, 3, padding=1)
        # Scales and shifts of all blocks from one layer: fewer and larger products.
        self.widths = [width] * 2 + [2 * width] * 3 + [width] * 2
        self.modulate = nn.Linear(EMBEDDING, 2 * sum(self.widths))
        self.down = nn.ModuleList(Block(width, width, rate) for _ in range(2))
        self.downsample = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.middle = nn.ModuleList(Block(2 * width, 2 * width, rate) for _ in range(3))
        self.attention = Attention(2 * width)
        self.upsample = nn.Conv2d(2 * width, width, 3, padding=1)
        self.up = nn.ModuleList(Block(2 * width, width, rate) for _ in range(2))
        self.norm = normalise(width)
        self.conv_out = zeroed(nn.Conv2d(width, channels, 3, padding=1))

    def predict(self, x: Tensor, embedding: Tensor) -> Tensor:
        """See `Backbone.predict`."""
        scale_and_shift = iter(self.modulate(embedding).split([2 * width for width in self.widths], 1))
        features = self.conv_in(F.pixel_unshuffle(x, self.fold))
        skips = []
        for block in self.down:
            features = block(features, next(scale_and_shift))
            skips.append(features)
        features = self.downsample(features)
        for block in self.middle[:2]:
            features = block(features, next(scale_and_shift))
        features = self.middle[2](self.attention(features), next(scale_and_shift))
        features = self.upsample(F.interpolate(features, scale_factor=2.0, mode="nearest"))
        for block in self.up:
            features = block(torch.cat([features, skips.pop()], 1), next(scale_and_shift))
        return F.pixel_shuffle(self.conv_out(F.silu(self.norm(features))), self.fold)


class Block(nn.Module):
    """Two convolutions with group norm, the second one's scaled and shifted, and a shortcut."""

    def __init__(self, before: int, after: int, dropout_rate: float) -> None:
        super().__init__()
        self.first_norm, self.first = normalise(before), nn.Conv2d(before, after, 3, padding=1)
        self.second_norm, self.dropout_rate = normalise(after), dropout_rate
        self.second = zeroed(nn.Conv2d(after, after, 3, padding=1))
        self.shortcut = nn.Identity() if before == after else nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor, scale_and_shift: Tensor) -> Tensor:
        """(B, before, H, W), (B, 2 after) -> (B, after, H, W)."""
        features = self.first(F.silu(self.first_norm(x)))
        scale, shift = scale_and_shift[:, :, None, None].chunk(2, 1)
        features = torch.addcmul(shift, self.second_norm(features), 1 + scale)
        found: Tensor = self.shortcut(x) + self.second(
            dropout(F.silu(features), self.dropout_rate, self.training)
        )
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
