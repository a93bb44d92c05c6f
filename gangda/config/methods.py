"""Options of the training methods: one frozen dataclass each, named by the catalog's METHODS."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from gangda.config import catalog
from gangda.config.fields import Checked, names_of, option
from gangda.config.recipes import Recipe


@dataclass(frozen=True)
class MethodOptions(Checked):
    """Base of the methods' own options."""

    sections: ClassVar[tuple[str, ...]] = ("recipe", "budget")  # shared sections that the method knows
    total_steps: ClassVar[int | None] = None  # of every run; None where the budget decides
    monitored: ClassVar[bool] = True  # samples are evaluated on the way: alarms, a best checkpoint
    averaged: ClassVar[bool] = True  # the generator has a weight average
    against_collapse: ClassVar[str] = "train longer, or raise --batch-size"  # what alarms advise
    against_divergence: ClassVar[str] = "lower --lr"

    @property
    def batches_per_step(self) -> int:
        """Batches of real images that a training step takes."""
        return 1

    @property
    def pretraining_steps(self) -> int:
        """Steps before the first one, each with a batch of its own."""
        return 0


@dataclass(frozen=True)
class AdversarialOptions(MethodOptions):
    """A generator against a discriminator (Goodfellow 2014)."""

    against_collapse: ClassVar[str] = "raise --r1, or try --diffaugment translation"
    against_divergence: ClassVar[str] = "lower --lr or raise --r1"

    loss: str = option("nonsaturating", "adversarial loss", choices=tuple(catalog.LOSSES))
    lr_d: float | None = option(None, "the discriminator's own learning rate; default --lr", minimum=0.0)
    r1: float = option(1.0, "R1 gradient penalty (on real images), gamma; 0 turns it off", minimum=0.0)
    r2: float = option(0.0, "R2 gradient penalty (on fakes), gamma", minimum=0.0)
    r1_every: int = option(8, "steps between R1 and R2 penalties (lazy regularisation)", minimum=1)
    gp: float = option(
        0.0, "gradient penalty between real and fake (WGAN-GP), lambda; usually 10", minimum=0.0
    )
    clip: float = option(0.0, "clip the discriminator's weights to this (WGAN); usually 0.01", minimum=0.0)
    ct: float = option(0.0, "CT term: like scores under other dropout, weight; usually 2", minimum=0.0)
    cr: float = option(
        0.0, "consistency: like scores for real images and shifted ones, weight; usually 10", minimum=0.0
    )
    bcr: float = option(
        0.0, "balanced consistency: the same for real images and fakes, weight; usually 10", minimum=0.0
    )
    cr_flip: bool = option(False, "--cr and --bcr also mirror the images they shift")
    lecam: float = option(0.0, "LeCam regularisation for few images, weight; usually 0.3", minimum=0.0)
    label_smoothing: float = option(
        0.0, "lower the target of real images from 1 by this; usually 0.1", minimum=0.0, maximum=0.5
    )
    aux_weight: float = option(
        1.0, "weight of the class loss where the discriminator classifies too", minimum=0.0
    )
    d_steps: int = option(1, "discriminator steps per generator step", minimum=1)
    simultaneous: bool = option(
        False, "both networks' gradients from the same forward passes, before either is updated"
    )
    d_pretrain: int = option(0, "discriminator steps before the generator's first", minimum=0)
    conditioning_warmup: int = option(
        0, "steps over which an unconditional start turns class-conditional, for few images", minimum=0
    )
    diffaugment: tuple[str, ...] = option(
        (),
        "DiffAugment policies for what the discriminator sees; for long runs on few images",
        choices=tuple(catalog.POLICIES),
    )

    @property
    def batches_per_step(self) -> int:
        """One for each discriminator step."""
        return self.d_steps

    @property
    def pretraining_steps(self) -> int:
        """Discriminator steps before the generator's first."""
        return self.d_pretrain


@dataclass(frozen=True)
class MadganOptions(AdversarialOptions):
    """K generators against a (K+1)-way discriminator (Ghosh 2018)."""

    loss: str = option("nonsaturating", "adversarial loss", choices=("nonsaturating", "minimax"))
    generator_id_weight: float = option(
        0.0, "reward each generator for images known as its own (MGAN), weight", minimum=0.0
    )


@dataclass(frozen=True)
class ClosedFormOptions(MethodOptions):
    """A fit without training steps: no options."""

    sections: ClassVar[tuple[str, ...]] = ()
    total_steps: ClassVar[int | None] = 1
    monitored: ClassVar[bool] = False
    averaged: ClassVar[bool] = False

    @property
    def batches_per_step(self) -> int:
        """None: the fit takes all images at once."""
        return 0


@dataclass(frozen=True)
class FlowMatchingOptions(MethodOptions):
    """Flow matching (Lipman 2023; Liu 2023)."""

    class_dropout: float = option(
        0.1, "share of images that are shown without their class, for --guidance", minimum=0.0, maximum=0.9
    )
    mirror: float = option(
        0.0,
        "share of images that are mirrored, which the network is told; not for digits",
        minimum=0.0,
        maximum=1.0,
    )
    shift: float = option(
        0.5,
        "share of images that are shifted by up to 2 pixels, which the network is told",
        minimum=0.0,
        maximum=1.0,
    )
    weight_decay: float = option(0.01, "AdamW's weight decay", minimum=0.0, maximum=1.0)
    clip_gradient: float = option(1.0, "largest norm of the gradient; 0 turns it off", minimum=0.0)


def options_class(method: str) -> type[MethodOptions]:
    """The options of a method by its name in the catalog.

    Raises:
        UsageError: no such method.
    """
    kind: type[MethodOptions] = catalog.load_target(catalog.lookup("method", catalog.METHODS, method).spec)
    return kind


def default_options(recipe: Mapping[str, Any], method: str) -> tuple[Recipe, MethodOptions]:
    """Training options and those of the method, with an architecture's preset values (its `recipe`)."""
    own = options_class(method)
    return Recipe(**preset(Recipe, recipe)), own(**preset(own, recipe))


def preset(kind: type[Checked], values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of an architecture's preset values that belong to this section."""
    own = names_of(kind)
    return {name: value for name, value in values.items() if name in own}
