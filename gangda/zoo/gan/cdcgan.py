"""The default: a small class-conditional DCGAN with conditional batch norm and a projection discriminator."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from gangda.config.architectures import CdcganSpec
from gangda.zoo.base import Generator, ImageShape, Scores, builder_of
from gangda.zoo.layers import blocks
from gangda.zoo.layers.blocks import Discriminator, ProjectionHead, ScoreTrunk, crop, grid_plan, stages


class ConditionalGenerator(Generator):
    """z -> linear -> (4w, base, base) -> transposed 4x4 convolutions, doubling the side -> 3x3 convolution -> tanh.

    Every hidden layer is normalised by conditional batch norm, the only way the class enters (`norms_know_class`).
    Source: DCGAN (Radford 2016) with the conditioning of Miyato and Koyama 2018; output layer and widths are ours.
    """

    conditional = True
    norms_know_class = True

    def __init__(self, spec: CdcganSpec, image_shape: ImageShape, num_classes: int) -> None:
        super().__init__()
        self.latent_dim, self.num_classes, self.image_shape = spec.latent_dim, num_classes, image_shape
        self.base, doublings = grid_plan(max(image_shape[1:]))
        widths = stages(spec.channels[0], doublings)[::-1]
        self.linear = nn.Linear(spec.latent_dim, widths[0] * self.base**2, bias=False)
        pairs = list(pairwise(widths))
        self.ups = nn.ModuleList([nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False) for a, b in pairs])
        kind = (num_classes, self.norms_know_class)
        self.norms = nn.ModuleList([blocks.batch_norm(width, *kind) for width in widths])
        self.out = nn.Conv2d(widths[-1], image_shape[0], 3, 1, 1)
        self.more = nn.ModuleList([_MoreConvs(b, spec.depth - 1, *kind) for b in widths[1:]])

    def first(self, z: Tensor, y: Tensor) -> Tensor:
        """The smallest plane, (B, 4w, base, base)."""
        return self.linear(z.flatten(0, -2)).unflatten(1, (-1, self.base, self.base))  # type: ignore[no-any-return]

    def stage(self, i: int, x: Tensor, y: Tensor) -> Tensor:
        """Double the side for the i-th time."""
        x = torch.relu_(self.norms[i + 1](self.ups[i](x), y))
        return self.more[i](x, y)  # type: ignore[no-any-return]

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(B, latent_dim), (B,) -> (B, C, H, W) in [-1, 1]."""
        x = torch.relu_(self.norms[0](self.first(z, y), y))
        for i in range(len(self.ups)):
            x = self.stage(i, x, y)
        return crop(torch.tanh(self.out(x)), *self.image_shape[1:])


class _MoreConvs(nn.Module):
    """So many 3x3 convolutions, each with batch norm and ReLU."""

    def __init__(self, channels: int, count: int, num_classes: int, conditional: bool) -> None:
        super().__init__()
        norms = [blocks.batch_norm(channels, num_classes, conditional) for _ in range(count)]
        self.convs = nn.ModuleList([nn.Conv2d(channels, channels, 3, 1, 1, bias=False) for _ in norms])
        self.norms = nn.ModuleList(norms)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """(B, C, H, W), (B,) -> the same shape."""
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = torch.relu_(norm(conv(x), y))
        return x


class ProjectionDiscriminator(Discriminator):
    """A score plus <embed(y), features> on the shared layers. Source: Miyato and Koyama 2018, equation 3.

    Departure: no normalisation, because R1 already bounds the slope (Mescheder 2018).
    """

    def __init__(self, spec: CdcganSpec, image_shape: ImageShape, num_classes: int) -> None:
        super().__init__()
        self.trunk = ScoreTrunk(spec, image_shape)
        self.head = ProjectionHead(self.trunk.features, num_classes)
        nn.init.zeros_(self.head.embed.weight)

    def forward(self, x: Tensor, y: Tensor) -> Scores:
        """(B, C, H, W) in [-1, 1], (B,) -> `Scores` with adversarial (B,)."""
        return self.head(self.trunk(x), y)


build = builder_of(ConditionalGenerator, ProjectionDiscriminator)
