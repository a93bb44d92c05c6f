"""The architectures' own options: one small frozen dataclass each, named by the catalog.

A preset is a catalog entry with a subclass here that changes defaults.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from gangda.config import catalog
from gangda.config.fields import Checked, option
from gangda.errors import UsageError

# Adam and the batch of Radford 2016 (batches of 64 in place of 128), without a gradient penalty.
RADFORD_RECIPE: Mapping[str, Any] = {
    "batch_size": 64,
    "lr": 2e-4,
    "lr_schedule": "constant",
    "beta1": 0.5,
    "beta2": 0.999,
    "r1": 0.0,
}
# Hinge loss and two learning rates in place of a gradient penalty (Zhang 2019).
HINGE_RECIPE: Mapping[str, Any] = {"loss": "hinge", "r1": 0.0, "lr_schedule": "constant"}


@dataclass(frozen=True)
class ArchSpec(Checked):
    """Base of the architectures' own options."""

    method: ClassVar[str] = "adversarial"  # a name of the catalog's METHODS
    conditional: ClassVar[bool] = False
    recipe: ClassVar[Mapping[str, Any]] = {}
    synthetic_passes: ClassVar[int] = 1  # default of `gangda compare` for its samples
    steps: ClassVar[int] = 10000
    size_range: ClassVar[tuple[int, int]] = (8, 64)  # least and largest image, pixels a side
    null_class: ClassVar[bool] = False  # whether images without a label can train a class-conditional one
    min_batch_size: ClassVar[int] = 1  # images that each generator needs in a batch
    sampler_options: ClassVar[tuple[str, ...]] = ("truncation",)  # fields of `SamplerOptions` it understands

    def steps_for(self, images: int) -> int:
        """Generator steps for a training set of this size where no budget is given: small sets need fewer.

        Changing this rule or `resolved` changes results: raise `PROTOCOL` in comparing/plan.py with it.
        """
        return min(self.steps, max(500, round(1200 * math.sqrt(images / 450))))

    def other_sizes(self) -> tuple[dict[str, Any], ...]:
        """Values of options that a dry run compares with those asked for, smallest networks first."""
        return ()

    def open_sizes(self) -> tuple[dict[str, Any], ...]:
        """Those of them that a time budget chooses from: none where the user has chosen."""
        return ()

    @property
    def understood(self) -> tuple[str, ...]:
        """Fields of `SamplerOptions` that its generators understand."""
        return self.sampler_options

    def resolved(self, side: int) -> "ArchSpec":
        """The same options with those that depend on the image's side (pixels) filled in.

        Raises:
            UsageError: images too large or too small for the networks.
        """
        least, largest = self.size_range
        if not least <= side <= largest:
            bound, nearest = ("at most", largest) if side > largest else ("at least", least)
            raise UsageError(
                f"images of {side} pixels a side: this --arch takes {bound} {nearest}; give --image-size {nearest}"
            )
        return self


@dataclass(frozen=True)
class NetSpec(ArchSpec):
    """Options that change the layers of any pair of networks; applied by `zoo/layers/options.py`."""

    batch_norm: ClassVar[bool] = True  # whether the generator has batch norm to replace

    spectral_norm: bool = option(
        False, "spectral norm in the discriminator (sagan, biggan: in both networks)"
    )
    virtual_batch_norm: str = option(
        "none",
        "virtual batch norm in the generator, by a reference batch or by the other half of each batch",
        choices=("none", "reference", "half"),
    )
    minibatch_stddev: bool = option(False, "minibatch standard deviation as a feature of the discriminator")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.virtual_batch_norm != "none" and not self.batch_norm:
            raise UsageError(
                f"--virtual-batch-norm {self.virtual_batch_norm}: this generator has no batch norm to replace; "
                "leave it out, or take --arch cdcgan or dcgan"
            )


@dataclass(frozen=True)
class GanSpec(NetSpec):
    """Fully connected GAN (Goodfellow 2014): two ReLU layers; maxout discriminator."""

    batch_norm = False
    recipe = RADFORD_RECIPE

    latent_dim: int = option(100, "size of z", minimum=1)
    width: int = option(1200, "units of each hidden layer of the generator", minimum=1)
    dropout: float = option(0.5, "dropout probability in the discriminator", minimum=0.0, maximum=0.95)


@dataclass(frozen=True)
class DcganSpec(NetSpec):
    """DCGAN (Radford 2016) for 8 to 64 pixels."""

    recipe = RADFORD_RECIPE

    latent_dim: int = option(100, "size of z", minimum=1)
    width: int = option(64, "channels of the layer next to the image, in both networks", minimum=4)


@dataclass(frozen=True)
class SizedSpec(NetSpec):
    """Base of the architectures whose widths depend on the image's side unless they are given."""

    default_widths: ClassVar[tuple[int, int]] = (32, 64)  # width and d_width

    width: int | None = option(
        None,
        "channels of the generator's last hidden layer; default 32 (biggan 24), half below 16 pixels; of flow and edm: "
        "first channels of the U-Net, default 32, or width of the transformer, 160",
        minimum=4,
    )
    d_width: int | None = option(
        None,
        "channels of the discriminator's first layer; default 64 (biggan 32), half below 16 pixels",
        minimum=4,
    )

    def resolved(self, side: int) -> "SizedSpec":
        """Full widths from 16 pixels on, half of them below."""
        super().resolved(side)
        width, d_width = self.default_widths if side >= 16 else (full // 2 for full in self.default_widths)
        return dataclasses.replace(self, width=self.width or width, d_width=self.d_width or d_width)

    @property
    def channels(self) -> tuple[int, int]:
        """Width and d_width of `resolved` options.

        Raises:
            ValueError: the options are not resolved.
        """
        if self.width is None or self.d_width is None:
            raise ValueError("the widths depend on the image's side: build networks from `resolved` options")
        return self.width, self.d_width


@dataclass(frozen=True)
class CdcganSpec(SizedSpec):
    """Class-conditional DCGAN: the tuned default."""

    conditional = True

    latent_dim: int = option(64, "size of z", minimum=1)
    depth: int = option(1, "convolutions at each resolution of both networks", minimum=1, maximum=8)
    dropout: float = option(
        0.0, "dropout probability in the discriminator", minimum=0.0, maximum=0.95, record="given"
    )


@dataclass(frozen=True)
class WganGpSpec(CdcganSpec):
    """WGAN-GP (Gulrajani 2017) on the default's layers; the projection on the class is ours.

    Departures for short runs: one discriminator step per generator step (the paper has 5), and a learning rate of 4e-4
    (1e-4). For the paper's: `--d-steps 5 --lr 1e-4`.
    """

    recipe: ClassVar[Mapping[str, Any]] = {
        "loss": "wasserstein",
        "gp": 10.0,
        "r1": 0.0,
        "lr": 4e-4,
        "lr_schedule": "constant",
        "beta2": 0.9,
    }


@dataclass(frozen=True)
class AcganSpec(CdcganSpec):
    """ACGAN (Odena 2017): the discriminator also classifies, and the label is concatenated to z."""


@dataclass(frozen=True)
class SaganSpec(CdcganSpec):
    """SAGAN (Zhang 2019): self-attention in both networks, spectral norm, hinge loss.

    Departure: learning rates of 8e-4 (generator) and 1e-3 (the paper has 1e-4 and 4e-4), for small networks and short
    runs; spectral norm keeps the scores small at any rate.
    """

    recipe: ClassVar[Mapping[str, Any]] = {**HINGE_RECIPE, "lr": 8e-4, "lr_d": 1e-3}

    spectral_norm: bool = option(True, "spectral norm in both networks")


@dataclass(frozen=True)
class BigganSpec(CdcganSpec):
    """BigGAN (Brock 2019), small: residual blocks, shared class embedding, a part of z for every block.

    Departures, for small networks and short runs: batches of 32 (the paper has 2048), learning rates of 2e-4 and 4e-4
    (5e-5 and 2e-4); one discriminator step for each of the generator (two), for more generator steps in the same time;
    Adam's beta2 of 0.99 (0.999), an average over 100 steps in place of 1,000; no orthogonal regularisation, which the
    paper has for truncated samples. For the paper's: `--lr 5e-5 --lr-d 2e-4 --d-steps 2 --beta2 0.999 --orthogonal
    1e-4`.
    """

    default_widths: ClassVar[tuple[int, int]] = (24, 32)
    recipe: ClassVar[Mapping[str, Any]] = {**HINGE_RECIPE, "lr": 2e-4, "lr_d": 4e-4}

    spectral_norm: bool = option(True, "spectral norm in both networks")
    embedding: int = option(32, "size of the shared class embedding", minimum=1)


@dataclass(frozen=True)
class MadganSpec(CdcganSpec):
    """MAD-GAN (Ghosh 2018): K generators on the default's early layers, one (K+1)-way softmax discriminator."""

    method = "madgan"

    generators: int = option(3, "number of generators, K", minimum=1, maximum=64)
    conditional: bool = option(True, "class-conditional generators and discriminator")  # type: ignore[misc]


@dataclass(frozen=True)
class MixtureGanSpec(MadganSpec):
    """MAD-GAN's networks, but the generators have the plain GAN's gradient: a mixture of generators (Hoang 2018).

    Which generator made an image trains a linear layer on the discriminator's features, and not the features: the
    generators hear of it through `--generator-id-weight` alone (MGAN).
    """


@dataclass(frozen=True)
class Widths:
    """Widths that a flow's backbone can have: all multiples of `unit`, for four heads of attention."""

    usual: int
    others: tuple[int, ...]
    unit: int


BACKBONE_WIDTHS = {"unet": Widths(32, (32, 48, 64), 2), "dit": Widths(160, (96, 128, 160), 4)}


@dataclass(frozen=True)
class FlowSpec(ArchSpec):
    """Flow matching; the recipe is that of small sets and few minutes."""

    method = "flow-matching"
    sampler_options = ("sampler", "sampler_steps", "guidance", "start_from_real")
    steps = 20000
    recipe: ClassVar[Mapping[str, Any]] = {
        "batch_size": 64,
        "lr": 2e-3,
        "lr_schedule": "cosine",
        "lr_warmup_steps": 200,
        "beta1": 0.9,
        "ema": 0.9995,
    }
    synthetic_passes = 10
    null_class = True

    conditional: bool = option(True, "class-conditional")  # type: ignore[misc]
    backbone: str = option("unet", "network: U-Net or diffusion transformer", choices=tuple(BACKBONE_WIDTHS))
    width: int | None = option(
        None, "channels of the U-Net's first resolution (default 32), or of the transformer (160)", minimum=8
    )
    depth: int = option(6, "blocks of the transformer", minimum=1, maximum=64)
    dropout: float = option(0.1, "dropout probability in the residual blocks", minimum=0.0, maximum=0.95)
    class_dropout: float = option(
        0.1, "fraction of training images without a label, for --guidance", minimum=0.0, maximum=0.9
    )

    @property
    def understood(self) -> tuple[str, ...]:
        """Guidance only where there are classes, and it has learnt to do without one too (Ho 2022)."""
        guided = self.conditional and self.class_dropout
        return tuple(name for name in self.sampler_options if guided or name != "guidance")

    def other_sizes(self) -> tuple[dict[str, Any], ...]:
        """Widths of the backbone."""
        return tuple({"width": width} for width in BACKBONE_WIDTHS[self.backbone].others)

    def open_sizes(self) -> tuple[dict[str, Any], ...]:
        """All widths where none is given."""
        return self.other_sizes() if self.width is None else ()

    def steps_for(self, images: int) -> int:
        """1,350 steps for 1,000 images, more with the root of their number."""
        return min(self.steps, max(700, round(1350 * math.sqrt(images / 1000))))

    def resolved(self, side: int) -> "FlowSpec":
        """The backbone's own width where none is given."""
        super().resolved(side)
        widths = BACKBONE_WIDTHS[self.backbone]
        if self.width is not None and self.width % widths.unit:
            raise UsageError(
                f"--width {self.width}: the network has 4 heads; give a multiple of {widths.unit}"
            )
        return dataclasses.replace(self, width=self.width or widths.usual)

    @property
    def channels(self) -> int:
        """The width of `resolved` options.

        Raises:
            ValueError: the options are not resolved.
        """
        if self.width is None:
            raise ValueError("the width depends on the backbone: build networks from `resolved` options")
        return self.width


@dataclass(frozen=True)
class EdmSpec(FlowSpec):
    """EDM (Karras 2022), for comparison with flow matching on the same networks."""

    method = "edm"


@dataclass(frozen=True)
class PpcaSpec(ArchSpec):
    """Per-class probabilistic PCA, sampled with its noise."""

    method = "closed-form"
    conditional = True

    components: int = option(
        64, "principal components per class; fewer for a class with fewer images", minimum=1
    )


@dataclass(frozen=True)
class PcaSpec(PpcaSpec):
    """Per-class PCA, sampled as a Gaussian in the space of the components."""

    reconstruct: bool = option(
        False, "return reconstructed training images as samples: for scores, not for augmentation"
    )


def spec_class(arch: str) -> type[ArchSpec]:
    """The spec dataclass of an architecture name.

    Raises:
        UsageError: unknown architecture.
    """
    entry = catalog.lookup("architecture", catalog.ARCHITECTURES, arch)
    spec: type[ArchSpec] = catalog.load_target(entry.spec)
    return spec
