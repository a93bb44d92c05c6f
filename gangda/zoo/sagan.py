"""SAGAN (Zhang 2019), small: the default's layers with self-attention in the middle and spectral norm."""

from typing import cast

from torch import Tensor, nn

from gangda.specs import SaganSpec
from gangda.zoo.attention import SelfAttention
from gangda.zoo.base import Networks
from gangda.zoo.blocks import ScoreTrunk
from gangda.zoo.cdcgan import ConditionalGenerator, ProjectionDiscriminator
from gangda.zoo.spectral import add_spectral_norm


class AttentiveGenerator(ConditionalGenerator):
    """Conditional batch norm, and attention after the first doubling: at 14x14 of 28, at 16x16 of 32 and 64.

    Source: Zhang 2019, sections 3-4, where attention serves middle and high resolutions best. Departure: transposed
    convolutions as in DCGAN, not residual blocks.
    """

    def __init__(self, spec: SaganSpec, image_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__(spec, image_shape, num_classes)
        self.attention = SelfAttention(cast(nn.ConvTranspose2d, self.ups[0]).out_channels, pool=2)

    def stage(self, i: int, x: Tensor, y: Tensor) -> Tensor:
        """Double the side for the i-th time; attend after the first."""
        x = super().stage(i, x, y)
        return self.attention(x) if i == 0 else x


class AttentiveTrunk(ScoreTrunk):
    """`ScoreTrunk` with attention before its last halving: at 14x14 of 28, at 16x16 of 32 and 64."""

    def __init__(
        self, width: int, image_shape: tuple[int, int, int], depth: int = 1, spread: bool = False
    ) -> None:
        super().__init__(width, image_shape, depth, spread)
        self.attended = len(self.downs) - 2
        self.attention = SelfAttention(cast(nn.Conv2d, self.downs[self.attended]).out_channels, pool=2)

    def stage(self, i: int, x: Tensor) -> Tensor:
        """Halve the side for the i-th time; attend before the last."""
        x = super().stage(i, x)
        return self.attention(x) if i == self.attended else x


def build(spec: SaganSpec, image_shape: tuple[int, int, int], num_classes: int) -> Networks:
    """Fresh networks; spectral norm in the generator too, as section 3 of the paper has it."""
    generator = AttentiveGenerator(spec, image_shape, num_classes)
    if spec.spectral_norm:
        add_spectral_norm(generator, embeddings=False)
    return Networks(generator, ProjectionDiscriminator(spec, image_shape, num_classes, AttentiveTrunk))
