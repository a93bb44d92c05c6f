"""DCGAN (Radford 2016), unconditional, for 8 to 64 pixels."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from gangda.config.architectures import DcganSpec
from gangda.zoo.base import Generator, ImageShape, Scores, builder_of
from gangda.zoo.layers import blocks
from gangda.zoo.layers.blocks import Discriminator, ScoreHead, crop, grid_plan, leaky, stages


class DcganGenerator(Generator):
    """Projected noise -> transposed 4x4 convolutions of stride 2 with batch norm and ReLU -> tanh.

    Source: Radford 2016, figure 1 and section 3, with as many doublings as the image needs (2 up to 36 pixels,
    else 3, where the paper has 4 for 64 pixels) and 4x4 kernels (as the authors' later code) in place of 5x5.
    """

    def __init__(self, spec: DcganSpec, image_shape: ImageShape, num_classes: int) -> None:
        super().__init__()
        self.latent_dim, self.num_classes, self.image_shape = spec.latent_dim, num_classes, image_shape
        self.base, doublings = grid_plan(max(image_shape[1:]))
        widths = stages(spec.width, doublings - 1)[::-1]
        self.project = nn.Linear(spec.latent_dim, widths[0] * self.base**2, bias=False)
        outs = [*widths[1:], image_shape[0]]
        self.norms = nn.ModuleList([nn.BatchNorm2d(width) for width in widths])
        self.ups = nn.ModuleList(
            [nn.ConvTranspose2d(a, b, 4, 2, 1, bias=b is outs[-1]) for a, b in zip(widths, outs, strict=True)]
        )

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(B, latent_dim), ignored labels -> (B, C, H, W) in [-1, 1]."""
        x = self.project(z.flatten(0, -2)).unflatten(1, (-1, self.base, self.base))
        for norm, up in zip(self.norms, self.ups, strict=True):
            x = up(torch.relu_(norm(x)))
        return crop(torch.tanh(x), *self.image_shape[1:])


class DcganDiscriminator(Discriminator):
    """Strided 4x4 convolutions with LeakyReLU 0.2 and, but for the first, batch norm; then one score."""

    def __init__(self, spec: DcganSpec, image_shape: ImageShape, num_classes: int) -> None:
        super().__init__()
        doublings = grid_plan(max(image_shape[1:]))[1]
        widths = [image_shape[0], *stages(spec.width, doublings - 1)]
        pairs = list(pairwise(widths))
        self.downs = nn.ModuleList([nn.Conv2d(a, b, 4, 2, 1, bias=i == 0) for i, (a, b) in enumerate(pairs)])
        self.norms = nn.ModuleList([nn.Identity(), *[nn.BatchNorm2d(b) for _, b in pairs[1:]]])
        self.score = ScoreHead(widths[-1] * blocks.flat_side(image_shape, doublings), spec.minibatch_stddev)

    def forward(self, x: Tensor, y: Tensor) -> Scores:
        """(B, C, H, W), ignored labels -> `Scores` with adversarial (B,)."""
        for down, norm in zip(self.downs, self.norms, strict=True):
            x = leaky(norm(down(x)))
        h = x.flatten(1)
        return Scores(self.score(h), features=h)


build = builder_of(DcganGenerator, DcganDiscriminator, blocks.init_normal)  # as in the paper
