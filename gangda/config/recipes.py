"""How a generator is trained, whatever the method, and for how long."""

from dataclasses import dataclass
from typing import ClassVar

from gangda.config.fields import Checked, option


@dataclass(frozen=True)
class Recipe(Checked):
    """Training options that every iterative method has. Architectures override some defaults (their `recipe`)."""

    batch_size: int = option(32, "images per step", minimum=2, maximum=1_000_000)
    lr: float = option(1e-3, "learning rate (Adam)", minimum=1e-8)
    lr_schedule: str = option(
        "inverse-sqrt",
        "schedule of the learning rate (inverse-sqrt: falls from step --lr-constant-steps on; cosine: to 0 at the end)",
        choices=("constant", "inverse-sqrt", "cosine"),
    )
    lr_constant_steps: int = option(3000, "steps before --lr-schedule inverse-sqrt begins to fall", minimum=1)
    lr_warmup_steps: int = option(0, "steps over which the learning rate rises from 0", minimum=0)
    beta1: float = option(0.0, "Adam's first-moment decay", minimum=0.0, maximum=0.9999)
    beta2: float = option(0.99, "Adam's second-moment decay", minimum=0.0, maximum=0.99999)
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
