"""SAGAN (Zhang 2019), small: the default's layers with self-attention in the middle and spectral norm."""

from itertools import pairwise
from typing import cast

from torch import Tensor, nn

from gangda.config.architectures import SaganSpec
from gangda.zoo.base import ImageShape, Scores, builder_of
from gangda.zoo.gan.cdcgan import ConditionalGenerator
from gangda.zoo.layers import blocks
from gangda.zoo.layers.blocks import Discriminator, ProjectionHead, SelfAttention, grid_plan, leaky, stages
from gangda.zoo.layers.spectral_norm import add_spectral_norm


class AttentiveGenerator(ConditionalGenerator):
    """Conditional batch norm, and attention after the first doubling: at 14x14 of 28, at 16x16 of 32 and 64.

    Spectral norm here too. Source: Zhang 2019, sections 3-4, where attention serves middle and high resolutions best.
    Departure: transposed convolutions as in DCGAN, not residual blocks.
    """

    def __init__(self, spec: SaganSpec, image_shape: ImageShape, num_classes: int) -> None:
        super().__init__(spec, image_shape, num_classes)
        self.attention = SelfAttention(cast(nn.ConvTranspose2d, self.ups[0]).out_channels, pool=2)
        if spec.spectral_norm:
            add_spectral_norm(self, embeddings=False)

    def stage(self, i: int, x: Tensor, y: Tensor) -> Tensor:
        """Double the side for the i-th time; attend after the first."""
        x = super().stage(i, x, y)
        return self.attention(x) if i == 0 else x


class AttentiveDiscriminator(Discriminator):
    """Strided 4x4 convolutions, attention before the last, 3x3 convolutions, sum over pixels, projection on the class.

    Source: Zhang 2019 and the authors' code for the sum; Miyato and Koyama 2018, equation 3. A mean in place of the sum
    would leave scores too small to learn from, as layers of spectral norm 1 shrink their inputs.
    """

    def __init__(self, spec: SaganSpec, image_shape: ImageShape, num_classes: int) -> None:
        super().__init__()
        doublings = grid_plan(max(image_shape[1:]))[1]
        widths = [image_shape[0], *stages(spec.channels[1], doublings - 1)]
        pairs = list(pairwise(widths))
        self.stages = nn.ModuleList(
            [
                nn.ModuleList([nn.Conv2d(a, b, 4, 2, 1), *blocks.same_convs(b, spec.depth - 1)])
                for a, b in pairs
            ]
        )
        self.last = nn.ModuleList(blocks.same_convs(widths[-1], 1))
        self.attention = SelfAttention(widths[-2], pool=2)
        self.head = ProjectionHead(widths[-1], num_classes, spec.minibatch_stddev)
        self.dropout = nn.Dropout(spec.dropout)

    def forward(self, x: Tensor, y: Tensor) -> Scores:
        """(B, C, H, W) in [-1, 1], (B,) -> `Scores` with adversarial (B,)."""
        for i, convs in enumerate([*self.stages, self.last]):
            if i == len(self.stages) - 1:
                x = self.attention(x)
            for conv in cast(nn.ModuleList, convs):
                x = leaky(conv(x))
            x = self.dropout(x)
        return self.head(x.sum((2, 3)).float(), y)


build = builder_of(AttentiveGenerator, AttentiveDiscriminator)
