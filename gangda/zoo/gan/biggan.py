"""BigGAN (Brock 2019), small: residual blocks with the class and a part of the noise as input of every block."""

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gangda.config.architectures import BigganSpec
from gangda.zoo.base import Generator, ImageShape, Networks, Scores
from gangda.zoo.layers.blocks import Discriminator, ProjectionHead, SelfAttention, crop, grid_plan, stages
from gangda.zoo.layers.spectral_norm import add_spectral_norm


class LinearConditionedBatchNorm(nn.Module):
    """Batch norm whose gain (1 + linear) and bias (linear) come from a vector. Source: Brock 2019, appendix B."""

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain = nn.Linear(condition, channels, bias=False)
        self.bias = nn.Linear(condition, channels, bias=False)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """x (B, C, H, W), the condition c (B, n) -> the shape of x."""
        normal = self.norm(x)
        gain, bias = (layer(c)[:, :, None, None].to(normal.dtype) for layer in (self.gain, self.bias))
        return torch.addcmul(normal + bias, normal, gain)


class UpBlock(nn.Module):
    """Norm, ReLU, (doubling), 3x3, norm, ReLU, 3x3, and a 1x1 skip: (B, a, s, s) -> (B, b, s, s) or (B, b, 2s, 2s)."""

    def __init__(self, a: int, b: int, condition: int, up: bool) -> None:
        super().__init__()
        self.up = up
        self.norm1, self.norm2 = (LinearConditionedBatchNorm(width, condition) for width in (a, b))
        self.conv1, self.conv2 = nn.Conv2d(a, b, 3, 1, 1), nn.Conv2d(b, b, 3, 1, 1)
        self.skip = nn.Conv2d(a, b, 1)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Transform by the condition c; the 1x1 skip comes before the doubling, which is the same and cheaper."""
        h, skip = torch.relu_(self.norm1(x, c)), self.skip(x)
        if self.up:
            h, skip = (F.interpolate(t, scale_factor=2, mode="nearest") for t in (h, skip))
        h = self.conv2(torch.relu_(self.norm2(self.conv1(h), c)))
        return torch.add(h, skip)


class ResidualGenerator(Generator):
    """z is split: one part through a linear layer, one part beside the shared class embedding into each block.

    Source: Brock 2019, figure 15 (left). Departure: as many doublings as the image needs.
    """

    conditional = True
    conditioning_scale = 1.0  # 0: the class is ignored

    def __init__(self, spec: BigganSpec, image_shape: ImageShape, num_classes: int) -> None:
        super().__init__()
        self.latent_dim, self.num_classes, self.image_shape = spec.latent_dim, num_classes, image_shape
        self.base, doublings = grid_plan(max(image_shape[1:]))
        widths = stages(spec.channels[0], doublings)[::-1]
        parts = torch.empty(spec.latent_dim).tensor_split(doublings + 1)
        self.parts = [len(part) for part in parts]
        self.embed = nn.Embedding(num_classes, spec.embedding)
        self.linear = nn.Linear(self.parts[0], widths[0] * self.base**2)
        self.blocks = nn.ModuleList()
        for (a, b), part in zip(pairwise(widths), self.parts[1:], strict=True):
            sizes = [(a if i == 0 else b, b, spec.embedding + part, i == 0) for i in range(spec.depth)]
            self.blocks.append(nn.ModuleList(UpBlock(*size) for size in sizes))
        self.attention = SelfAttention(widths[1], pool=2)
        self.norm = nn.BatchNorm2d(widths[-1])
        self.out = nn.Conv2d(widths[-1], image_shape[0], 3, 1, 1)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(B, latent_dim), (B,) -> (B, C, H, W) in [-1, 1]. Attention after the first doubling."""
        label = self.conditioning_scale * self.embed(y)
        first, *parts = z.flatten(0, -2).split(self.parts, dim=1)
        x = self.linear(first).unflatten(1, (-1, self.base, self.base))
        for i, (blocks, part) in enumerate(zip(self.blocks, parts, strict=True)):
            condition = torch.cat([label, part], dim=1)
            for block in cast(nn.ModuleList, blocks):
                x = block(x, condition)
            x = self.attention(x) if i == 0 else x
        x = torch.tanh(self.out(torch.relu_(self.norm(x))))
        return crop(x, *self.image_shape[1:])


class DownBlock(nn.Module):
    """ReLU, 3x3, ReLU, 3x3, (halving), beside a 1x1 skip; the first block of all has no ReLU before it."""

    def __init__(self, a: int, b: int, down: bool, first: bool = False) -> None:
        super().__init__()
        self.down, self.first = down, first
        self.conv1, self.conv2 = nn.Conv2d(a, b, 3, 1, 1), nn.Conv2d(b, b, 3, 1, 1)
        self.skip = nn.Conv2d(a, b, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, a, s, s) -> (B, b, s/2, s/2) or (B, b, s, s); the skip halves first, which is the same and cheaper."""
        h = self.conv2(torch.relu_(self.conv1(x if self.first else F.relu(x))))
        if self.down:
            h, x = F.avg_pool2d(h, 2), F.avg_pool2d(x, 2)
        return torch.add(h, self.skip(x))


class ResidualDiscriminator(Discriminator):
    """Residual blocks with attention before the last halving, then the sum over pixels and the projection on the class.

    Source: Brock 2019, figure 15 (right), with one block at the smallest resolution; Miyato and Koyama 2018, eq. 3.
    """

    def __init__(self, spec: BigganSpec, image_shape: ImageShape, num_classes: int) -> None:
        super().__init__()
        doublings = grid_plan(max(image_shape[1:]))[1]
        widths = [image_shape[0], *stages(spec.channels[1], doublings)]
        self.blocks = nn.ModuleList()
        for i, (a, b) in enumerate(pairwise(widths)):
            down = i < doublings
            self.blocks.append(DownBlock(a, b, down, first=i == 0))
            self.blocks.extend([DownBlock(b, b, down=False) for _ in range(spec.depth - 1)])
        self.attended = (doublings - 1) * spec.depth - 1
        self.attention = SelfAttention(widths[doublings - 1], pool=2)
        self.head = ProjectionHead(widths[-1], num_classes, spec.minibatch_stddev)
        self.dropout = nn.Dropout(spec.dropout)

    def forward(self, x: Tensor, y: Tensor) -> Scores:
        """(B, C, H, W) in [-1, 1], (B,) -> `Scores` with adversarial (B,)."""
        for i, block in enumerate(self.blocks):
            x = self.dropout(block(x))
            x = self.attention(x) if i == self.attended else x
        return self.head(F.relu(x).sum((2, 3)).float(), y)


def build(spec: BigganSpec, image_shape: ImageShape, num_classes: int) -> Networks:
    """Fresh networks with orthogonal weights (Saxe 2014); spectral norm in the generator too, as in the paper."""
    wanted = (spec, image_shape, num_classes)
    networks = Networks(ResidualGenerator(*wanted), ResidualDiscriminator(*wanted))
    for network in networks.modules().values():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
                nn.init.orthogonal_(layer.weight)
    if spec.spectral_norm:
        add_spectral_norm(networks.generator, embeddings=False)
    return networks
