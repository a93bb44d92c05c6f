"""How a GAN is trained, and for how long: the fields of `configs.py` that make a recipe; imported from there."""

from dataclasses import dataclass
from typing import ClassVar

from gangda.config import catalog
from gangda.config.fields import Checked, option


@dataclass(frozen=True)
class Recipe(Checked):
    """How a GAN is trained. Architectures override some defaults (their `recipe`)."""

    loss: str = option("nonsaturating", "adversarial loss", choices=tuple(catalog.LOSSES))
    batch_size: int = option(32, "images per step", minimum=2, maximum=1_000_000)
    lr: float = option(1e-3, "learning rate of both networks (Adam)", minimum=1e-8)
    lr_d: float | None = option(None, "the discriminator's own learning rate; default --lr", minimum=0.0)
    lr_schedule: str = option(
        "inverse-sqrt",
        "course of the learning rates (inverse-sqrt: from step --lr-constant-steps on; cosine: to 0 at the end)",
        choices=("constant", "inverse-sqrt", "cosine"),
    )
    lr_constant_steps: int = option(3000, "steps before --lr-schedule inverse-sqrt begins to fall", minimum=1)
    beta1: float = option(0.0, "Adam's first-moment decay", minimum=0.0, maximum=0.9999)
    beta2: float = option(0.99, "Adam's second-moment decay", minimum=0.0, maximum=0.99999)
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
    generator_id_weight: float = option(
        0.0, "madgan: reward each generator for images known as its own (MGAN), weight", minimum=0.0
    )
    d_steps: int = option(1, "discriminator steps per generator step", minimum=1)
    simultaneous: bool = option(
        False, "both networks' gradients from the same forward passes, before either is updated"
    )
    d_pretrain: int = option(0, "discriminator steps before the generator's first", minimum=0)
    conditioning_warmup: int = option(
        0, "steps over which an unconditional start turns class-conditional, for few images", minimum=0
    )
    class_sampling: str = option(
        "natural",
        "how often a class is shown: as often as it comes, by the square root of its size, or all equally",
        choices=("natural", "sqrt", "balanced"),
    )
    curriculum: int = option(0, "steps over which training goes from easy images to all", minimum=0)
    ema: float = option(
        0.999, "decay of the generator's weight average, ramped up from 0", minimum=0.0, maximum=0.99999
    )
    ema_ramp: float | None = option(
        None,
        "half-life of the average at most this fraction of the steps so far",
        minimum=0.0001,
        maximum=1.0,
    )
    diffaugment: tuple[str, ...] = option(
        (),
        "DiffAugment policies for what the discriminator sees; for long runs on few images",
        choices=tuple(catalog.POLICIES),
    )

    @property
    def images_per_step(self) -> int:
        """Real images that a generator step takes from the training set."""
        return self.batch_size * self.d_steps


@dataclass(frozen=True)
class Budget(Checked):
    """How long to train. At most one of steps, epochs, minutes; without any, the architecture's own steps."""

    exclusive: ClassVar[tuple[tuple[str, ...], ...]] = (("steps", "epochs", "minutes"),)

    steps: int | None = option(None, "generator steps", minimum=1)
    epochs: int | None = option(None, "passes over the training images", minimum=1)
    minutes: float | None = option(
        None, "stop by the clock, with a complete and resumable run", minimum=0.001
    )
    checkpoint_every: str = option(
        "1000s", "steps (2000 or 2000s) or epochs (5e) between checkpoints", pattern=r"[1-9]\d{0,8}[se]?"
    )
    stop_when_collapsed: bool = option(
        False, "stop, with exit code 1 and all saved, when samples are seen to have collapsed"
    )
