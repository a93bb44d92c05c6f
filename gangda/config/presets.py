"""Options of the architectures that reproduce published reports and tutorials, with their recipes where known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from gangda.config.architectures import RADFORD_RECIPE, NetSpec
from gangda.config.fields import option

# Adam and the batch of the Keras tutorial on DCGANs, without a gradient penalty or a weight average.
KERAS_RECIPE: Mapping[str, Any] = {
    "batch_size": 256,
    "lr": 1e-4,
    "lr_schedule": "constant",
    "beta1": 0.9,
    "beta2": 0.999,
    "r1": 0.0,
    "ema": 0.0,
}
# As in PyTorch tutorials after Radford 2016, without a weight average, which no report has.
TUTORIAL_RECIPE: Mapping[str, Any] = {**RADFORD_RECIPE, "ema": 0.0}

FIRST_WIDTHS = (256, 64)  # channels of the first layer of the 5x5 networks: generator, discriminator


@dataclass(frozen=True)
class ReportSpec(NetSpec):
    """Base of the options below."""

    latent_dim: int = option(100, "size of z", minimum=1)


@dataclass(frozen=True)
class FiveByFiveSpec(ReportSpec):
    """The Keras tutorial's DCGAN, as in report R4. "Width of the first layer" of the generator is our reading.

    As in the tutorial, both networks' gradients come from the same forward passes (`simultaneous`).
    """

    recipe: ClassVar[Mapping[str, Any]] = {**KERAS_RECIPE, "simultaneous": True}

    first_width: int | None = option(
        None,
        "channels of the generator's 7x7 layer and of the discriminator's first layer; "
        f"default {FIRST_WIDTHS[0]} and {FIRST_WIDTHS[1]}",
        minimum=1,
    )
    dropout: float = option(0.3, "dropout probability in the discriminator", minimum=0.0, maximum=0.95)

    @property
    def first_widths(self) -> tuple[int, int]:
        """Channels of the first layer of generator and discriminator."""
        return FIRST_WIDTHS if self.first_width is None else (self.first_width, self.first_width)


@dataclass(frozen=True)
class MadganSeparateSpec(ReportSpec):
    """Report R1's MAD-GAN: K whole generators. The loss is the report's; optimizer and batch size are our choice."""

    method = "madgan"
    min_batch_size = 2  # each generator has its own batch norm
    first_widths = FIRST_WIDTHS
    recipe: ClassVar[Mapping[str, Any]] = {**KERAS_RECIPE, "loss": "minimax", "batch_size": 64}

    latent_dim: int = option(256, "size of z", minimum=1)
    generators: int = option(5, "number of generators, K", minimum=1, maximum=64)
    dropout: float = option(0.3, "dropout probability in the discriminator", minimum=0.0, maximum=0.95)


@dataclass(frozen=True)
class SaganBatchnormSpec(ReportSpec):
    """Report R2's self-attention GAN. It names no optimizer: the recipe is our choice."""

    size_range = (8, 32)
    recipe = TUTORIAL_RECIPE

    attention: bool = option(True, "self-attention in both networks; without it the layers are the same")


@dataclass(frozen=True)
class GanMlpSpec(ReportSpec):
    """Report R2's simple GAN, reconstructed."""

    recipe = TUTORIAL_RECIPE

    width: int = option(
        128, "units of the generator's first layer; the next three have 2, 4, 8 times as many", minimum=4
    )


@dataclass(frozen=True)
class CganSpec(ReportSpec):
    """Mirza 2014's conditional GAN; Adam in place of the paper's decaying SGD, batches of 100 as there."""

    conditional = True
    batch_norm = False
    recipe: ClassVar[Mapping[str, Any]] = {**TUTORIAL_RECIPE, "batch_size": 100}

    dropout: float = option(0.5, "dropout probability in the discriminator", minimum=0.0, maximum=0.95)


@dataclass(frozen=True)
class UpsampleSpec(ReportSpec):
    """Report R3's DCGAN with its best batch and its learning rate; Adam's beta1 is Radford's."""

    recipe: ClassVar[Mapping[str, Any]] = {**TUTORIAL_RECIPE, "batch_size": 32, "lr": 2e-3}

    width_factor: int = option(1, "multiplier of the channels of all convolutions", minimum=1, maximum=8)
    d_depth: int = option(1, "discriminator convolutions at each resolution", minimum=1, maximum=8)


@dataclass(frozen=True)
class CcganSpec(UpsampleSpec):
    """Report R3's class-conditional GAN with its best batch and its learning rate."""

    conditional = True
    recipe: ClassVar[Mapping[str, Any]] = {**TUTORIAL_RECIPE, "batch_size": 64, "lr": 1e-4}
