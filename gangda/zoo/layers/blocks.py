"""Layers that several architectures share, and the heads of discriminators."""

from collections.abc import Callable
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gangda.config.architectures import CdcganSpec
from gangda.zoo.base import ImageShape, Scores
from gangda.zoo.layers import fused


def grid_plan(size: int) -> tuple[int, int]:
    """(base, doublings) of a generator: base * 2**doublings >= size. 28 -> (7, 2), 32 -> (8, 2), 64 -> (8, 3)."""
    doublings = 2 if size <= 36 else 3
    return -(-size // 2**doublings), doublings


def flat_side(image_shape: ImageShape, halvings: int) -> int:
    """Pixels left of (C, H, W) after so many 4x4 convolutions of stride 2 and padding 1."""
    return (image_shape[1] >> halvings) * (image_shape[2] >> halvings)


def crop(images: Tensor, height: int, width: int) -> Tensor:
    """The centre (B, C, height, width) of images that are at least as large."""
    if images.shape[2:] == (height, width):
        return images
    top, left = (images.shape[2] - height) // 2, (images.shape[3] - width) // 2
    return images[:, :, top : top + height, left : left + width]


def pad(images: Tensor, height: int, width: int, value: float = -1.0) -> Tensor:
    """Images (B, C, H, W) that are at most as large, in a frame of `value` (black): the inverse of `crop`."""
    if images.shape[2:] == (height, width):
        return images
    missing = (width - images.shape[3], height - images.shape[2])
    left, top = (n // 2 for n in missing)
    return F.pad(images, (left, missing[0] - left, top, missing[1] - top), value=value)


class ConditionalBatchNorm(nn.Module):
    """Batch norm whose gain and bias depend on the class (de Vries 2017; Miyato and Koyama 2018).

    Gains start at 1, biases at 0. `conditioning_scale` below 1 draws every class towards the mean of all (Shahbazi
    2022, whose shared stage is a vector of its own): at 0 the class is ignored.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.conditioning_scale = 1.0
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain = nn.Embedding(num_classes, channels)
        self.bias = nn.Embedding(num_classes, channels)
        nn.init.ones_(self.gain.weight)
        nn.init.zeros_(self.bias.weight)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """x (B, C, H, W), y int64 (B,) -> the shape of x."""
        gain, bias = self._of_class(self.gain, y), self._of_class(self.bias, y)
        if fused.applies_to(self.norm, x):
            return fused.scaled_batch_norm(x, gain, bias, self.norm)
        shape = (x.shape[0], -1, 1, 1)
        normal = self.norm(x)
        return torch.addcmul(bias.view(shape).to(normal.dtype), normal, gain.view(shape).to(normal.dtype))

    def _of_class(self, table: nn.Embedding, y: Tensor) -> Tensor:
        rows: Tensor = table(y)
        scale = self.conditioning_scale
        return rows if scale == 1.0 else torch.lerp(table.weight.mean(0), rows, scale)


class SharedBatchNorm(nn.Module):
    """Plain batch norm with the signature of `ConditionalBatchNorm`; y is ignored."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Normalise over the batch."""
        return self.norm(x)  # type: ignore[no-any-return]


def batch_norm(channels: int, num_classes: int, conditional: bool) -> nn.Module:
    """The conditional or the shared kind."""
    return ConditionalBatchNorm(channels, num_classes) if conditional else SharedBatchNorm(channels)


class MinibatchStdDev(nn.Module):
    """Minibatch standard deviation: (B, F) -> (B, F + 1), the new feature measures how varied the images are.

    Within groups of up to 4 rows (the largest of 4, 3, 2, 1 that divides B), the standard deviation of each feature,
    averaged over the features. A discriminator with it must see real and fake images in batches of their own.
    Source: Karras 2018, section 3, and their code for the groups; we append one number where they append one plane,
    which a linear layer that follows cannot tell apart.
    """

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """Append the spread of each row's group; rows i, i + B/4, i + 2B/4, i + 3B/4 are a group."""
        size = next(n for n in range(self.group, 0, -1) if len(x) % n == 0)
        groups = x.float().unflatten(0, (size, -1))
        spread = groups.var(0, unbiased=False).add(1e-8).sqrt().mean(1, keepdim=True)
        return torch.cat([x, spread.repeat(size, 1).to(x.dtype)], dim=1)


class SelfAttention(nn.Module):
    """Every pixel takes in a weighted mean of all pixels: x + gamma * attended, with gamma learned from 0.

    (B, C, H, W) -> the same shape; attends to the largest key and value of every pool x pool pixels (2 in the authors'
    code). Source: Zhang 2019, equations 1-3. Departure: the values keep all C channels and need no fourth convolution
    (the paper's have C/8 and are brought back to C); the 1x1 convolutions have biases.
    """

    def __init__(self, channels: int, reduction: int = 8, pool: int = 1) -> None:
        super().__init__()
        self.pool = pool
        inner = max(1, channels // reduction)
        self.query = nn.Conv2d(channels, inner, 1)
        self.key = nn.Conv2d(channels, inner, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Attend; row i of the weights is pixel i's softmax over all pixels, of unscaled dot products."""
        query, key, value = self.query(x).flatten(2), self._pooled(self.key(x)), self._pooled(self.value(x))
        weights = torch.softmax(query.transpose(1, 2) @ key, dim=2)
        attended = (value @ weights.transpose(1, 2)).view_as(x)
        return torch.addcmul(x, self.gamma.to(x.dtype), attended.to(x.dtype))

    def _pooled(self, x: Tensor) -> Tensor:
        return (F.max_pool2d(x, self.pool) if self.pool > 1 else x).flatten(2)


class ScoreTrunk(nn.Module):
    """Strided 4x4 convolutions and one linear layer with LeakyReLU, no normalisation: (B, C, H, W) -> (B, 4 width).

    In larger images a 1x1 convolution narrows the last plane to about nine numbers a feature. The first of `spec.depth`
    convolutions at each resolution is strided, the others are 3x3; dropout follows the last of them.
    """

    def __init__(self, spec: CdcganSpec, image_shape: ImageShape) -> None:
        super().__init__()
        width, spread = spec.channels[1], spec.minibatch_stddev
        doublings = grid_plan(max(image_shape[1:]))[1]
        widths = [image_shape[0], *stages(width, doublings - 1)]
        self.features = 4 * width
        self.downs = nn.ModuleList([nn.Conv2d(a, b, 4, 2, 1) for a, b in pairwise(widths)])
        self.spread = MinibatchStdDev() if spread else nn.Identity()
        pixels = flat_side(image_shape, doublings)
        channels = min(widths[-1], -(-9 * self.features // pixels // 8) * 8)  # kernels like multiples of 8
        self.narrow = nn.ModuleList([nn.Conv2d(widths[-1], channels, 1)] if channels < widths[-1] else [])
        self.mix = nn.Linear(channels * pixels + spread, self.features)
        self.more = nn.ModuleList([nn.ModuleList(same_convs(b, spec.depth - 1)) for b in widths[1:]])
        self.dropout = nn.Dropout(spec.dropout)

    def stage(self, i: int, x: Tensor) -> Tensor:
        """Halve the side for the i-th time."""
        x = leaky(self.downs[i](x))
        for conv in cast(nn.ModuleList, self.more[i]):
            x = leaky(conv(x))
        return self.dropout(x)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Images to features, float32."""
        for i in range(len(self.downs)):
            x = self.stage(i, x)
        for conv in self.narrow:
            x = leaky(conv(x))
        return leaky(self.mix(self.spread(x.flatten(1)))).float()


def same_convs(channels: int, count: int) -> list[nn.Module]:
    """So many 3x3 convolutions that change neither the side nor the channels."""
    return [nn.Conv2d(channels, channels, 3, 1, 1) for _ in range(count)]


def init_normal(module: nn.Module, std: float = 0.02) -> None:
    """Radford 2016: weights from N(0, 0.02); batch-norm gains from N(1, 0.02); biases 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, 0.0, std)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d) and layer.affine:
            nn.init.normal_(layer.weight, 1.0, std)
            nn.init.zeros_(layer.bias)


def leaky(x: Tensor, slope: float = 0.2) -> Tensor:
    """Leaky ReLU, in place (the convolution before it does not need its output for the backward pass)."""
    return F.leaky_relu(x, slope, inplace=True)


def stages(base_channels: int, doublings: int) -> list[int]:
    """Channels from the image outwards: base, 2 base, 4 base, ..."""
    return [base_channels * 2**i for i in range(doublings + 1)]


BATCHWISE = (nn.BatchNorm1d, nn.BatchNorm2d, MinibatchStdDev)  # layers where images of a batch see each other


class Discriminator(nn.Module):
    """Scores images: `forward(x, y)`, x (B, C, H, W) in [-1, 1], y int64 (B,) -> `Scores`."""

    __call__: Callable[..., Scores]

    @property
    def separate_batches(self) -> bool:
        """Whether real and fake images must come in batches of their own, since a score depends on the whole batch."""
        return any(isinstance(layer, BATCHWISE) for layer in self.modules())


class ScoreHead(nn.Module):
    """Features to scores: (B, F) -> float32 (B,) or (B, outputs); `spread` adds `MinibatchStdDev` before."""

    def __init__(self, features: int, spread: bool = False, outputs: int = 1) -> None:
        super().__init__()
        self.spread = MinibatchStdDev() if spread else nn.Identity()
        self.linear = nn.Linear(features + spread, outputs)

    def forward(self, h: Tensor) -> Tensor:
        """Score the features."""
        scores: Tensor = self.linear(self.spread(h))
        return scores.squeeze(1).float()


class ProjectionHead(nn.Module):
    """A score plus <embed(y), features>. Source: Miyato and Koyama 2018, equation 3."""

    __call__: Callable[..., Scores]

    def __init__(self, features: int, num_classes: int, spread: bool = False) -> None:
        super().__init__()
        self.score = ScoreHead(features, spread)
        self.embed = nn.Embedding(num_classes, features)

    def forward(self, h: Tensor, y: Tensor) -> Scores:
        """h (B, F), y int64 (B,) -> `Scores` with adversarial, unconditional (B,), float32, and the features."""
        unconditional = self.score(h)
        match = (self.embed(y) * h).sum(1)
        return Scores((unconditional + match).float(), features=h, unconditional=unconditional)
