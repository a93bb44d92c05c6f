"""A self-attention GAN with batch norm for 32x32 images, unconditional: report R2's, layer for layer."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from gangda.config.presets import SaganBatchnormSpec
from gangda.zoo.base import Generator, ImageShape, Scores, builder_of
from gangda.zoo.layers.blocks import Discriminator, ScoreHead, SelfAttention, crop, leaky, pad

SIDE = 32


class SaganBatchnormGenerator(Generator):
    """z as (d, 1, 1) -> ConvT 512 at 4x4 -> 256 at 8 -> 128 at 16 -> self-attention -> image at 32 -> tanh.

    All kernels are 4x4; hidden layers have batch norm and ReLU and no bias. Smaller images are cut from the centre.
    Source: report R2, which follows Zhang 2019 but for batch norm in place of spectral norm.
    """

    def __init__(self, spec: SaganBatchnormSpec, image_shape: ImageShape, num_classes: int) -> None:
        super().__init__()
        self.latent_dim, self.num_classes, self.image_shape = spec.latent_dim, num_classes, image_shape
        first = nn.ConvTranspose2d(spec.latent_dim, 512, 4, bias=False)
        pairs = pairwise((512, 256, 128))
        self.ups = nn.ModuleList([first, *(nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False) for a, b in pairs)])
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in (512, 256, 128))
        self.attention = SelfAttention(128) if spec.attention else nn.Identity()
        self.out = nn.ConvTranspose2d(128, image_shape[0], 4, 2, 1)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(B, latent_dim), ignored labels -> (B, C, H, W) in [-1, 1]."""
        x = z.reshape(-1, self.latent_dim, 1, 1)
        for up, norm in zip(self.ups, self.norms, strict=True):
            x = torch.relu_(norm(up(x)))
        return crop(torch.tanh(self.out(self.attention(x))), *self.image_shape[1:])


class SaganBatchnormDiscriminator(Discriminator):
    """Three 4x4 convolutions of stride 2 with batch norm and LeakyReLU 0.01, self-attention, one linear layer.

    Images smaller than 32x32 are framed with -1. The report's sigmoid is part of the loss here. Source: report R2 (128,
    256, 512 channels).
    """

    def __init__(self, spec: SaganBatchnormSpec, image_shape: ImageShape, num_classes: int) -> None:
        super().__init__()
        widths = (image_shape[0], 128, 256, 512)
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1, bias=False) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths[1:])
        self.attention = SelfAttention(512) if spec.attention else nn.Identity()
        self.score = ScoreHead(512 * (SIDE // 8) ** 2, spec.minibatch_stddev)

    def forward(self, x: Tensor, y: Tensor) -> Scores:
        """(B, C, H, W) in [-1, 1], ignored labels -> `Scores` with adversarial (B,)."""
        x = pad(x, SIDE, SIDE)
        for down, norm in zip(self.downs, self.norms, strict=True):
            x = leaky(norm(down(x)), 0.01)
        h = self.attention(x).flatten(1)
        return Scores(self.score(h), features=h)


# PyTorch's initialisation: the report names none.
build = builder_of(SaganBatchnormGenerator, SaganBatchnormDiscriminator)
