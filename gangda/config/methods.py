"""How a generator is trained: options that all methods share, and one frozen dataclass of options for each method."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from gangda.config import catalog
from gangda.config.fields import Checked, fields_by_name, option


@dataclass(frozen=True)
class Recipe(Checked):
    """Options of every method that trains in steps. Architectures override some defaults (their `recipe`)."""

    batch_size: int = option(32, "images per step", minimum=2, maximum=1_000_000)
    lr: float = option(1e-3, "learning rate (Adam)", minimum=1e-8)
    lr_schedule: str = option(
        "inverse-sqrt",
        "learning rate schedule; inverse-sqrt: decay after --lr-constant-steps; cosine: decay to 0",
        choices=("constant", "inverse-sqrt", "cosine"),
    )
    lr_constant_steps: int = option(3000, "steps before the inverse-sqrt decay starts", minimum=1)
    lr_warmup_steps: int = option(0, "steps of linear learning rate warmup", minimum=0)
    beta1: float = option(0.0, "Adam's beta1", minimum=0.0, maximum=0.9999)
    beta2: float = option(0.99, "Adam's beta2", minimum=0.0, maximum=0.99999)
    class_sampling: str = option(
        "natural",
        "how often a class is drawn: by its size, by the square root of its size, or all equally",
        choices=("natural", "sqrt", "balanced"),
    )
    curriculum: int = option(0, "steps over which training goes from easy images to all images", minimum=0)
    ema: float = option(
        0.999,
        "decay of the exponential moving average of the generator's weights",
        minimum=0.0,
        maximum=0.99999,
    )
    ema_ramp: float | None = option(
        None,
        "limit the half-life of the moving average to this fraction of the steps so far",
        minimum=0.0001,
        maximum=1.0,
    )
    init_from: str | None = option(
        None,
        "start from the weights of this run of the same --arch; its classes may be others, and what does not fit "
        "starts fresh",
        record="given",
    )


@dataclass(frozen=True)
class Budget(Checked):
    """How long to train. At most one of steps, epochs, minutes; without any, the architecture's own steps."""

    exclusive = (("steps", "epochs", "minutes"),)

    steps: int | None = option(
        None,
        "generator steps; default by the number of training images: 1,789 for 1,000, at most 10,000 (flows: 1,350, "
        "20,000)",
        minimum=1,
    )
    epochs: int | None = option(None, "passes over the training images", minimum=1)
    minutes: float | None = option(None, "training time in minutes; the run can be resumed", minimum=0.001)
    checkpoint_every: str = option(
        "1000s", "steps (2000 or 2000s) or epochs (5e) between checkpoints", pattern=r"[1-9]\d{0,8}[se]?"
    )
    log: str | None = option(
        None,
        "also write the log for TensorBoard, in the run folder's `tensorboard`",
        choices=("tensorboard",),
        record="never",
    )
    stop_when_collapsed: bool = option(
        False, "stop with exit code 1 and everything saved when the samples have collapsed"
    )


@dataclass(frozen=True)
class MethodOptions(Checked):
    """Base of the methods' own options."""

    sections: ClassVar[tuple[str, ...]] = ("recipe", "budget")  # shared sections that the method has
    total_steps: ClassVar[int | None] = None  # of every run; None where the budget decides
    monitored: ClassVar[bool] = True  # samples are evaluated during training: alarms, a best checkpoint
    averaged: ClassVar[bool] = True  # the generator has a moving average of its weights
    has_validation_loss: ClassVar[bool] = False  # a loss on held-out images says how good it is
    against_collapse: ClassVar[str] = "train longer, or raise --batch-size"  # advice of alarms
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

    against_collapse = "raise --r1, or try --diffaugment translation"
    against_divergence = "lower --lr or raise --r1"

    loss: str = option("nonsaturating", "adversarial loss", choices=tuple(catalog.LOSSES))
    lr_d: float | None = option(None, "learning rate of the discriminator; default --lr", minimum=0.0)
    r1: float = option(1.0, "gamma of the R1 gradient penalty (real images)", minimum=0.0)
    r2: float = option(0.0, "gamma of the R2 gradient penalty (generated images)", minimum=0.0)
    r1_every: int = option(8, "steps between R1 and R2 penalties (lazy regularisation)", minimum=1)
    gp: float = option(0.0, "lambda of the WGAN-GP gradient penalty; usually 10", minimum=0.0)
    clip: float = option(
        0.0, "clip the discriminator's weights to this absolute value (WGAN); usually 0.01", minimum=0.0
    )
    ct: float = option(
        0.0, "weight of the consistency term between dropout masks (CT-GAN); usually 2", minimum=0.0
    )
    cr: float = option(0.0, "weight of consistency regularisation (real images); usually 10", minimum=0.0)
    bcr: float = option(
        0.0, "weight of balanced consistency regularisation (real and generated); usually 10", minimum=0.0
    )
    cr_flip: bool = option(False, "also flip images for --cr and --bcr")
    lecam: float = option(0.0, "weight of LeCam regularisation, for few images; usually 0.3", minimum=0.0)
    label_smoothing: float = option(
        0.0, "one-sided label smoothing: real targets are 1 minus this; usually 0.1", minimum=0.0, maximum=0.5
    )
    orthogonal: float = option(
        0.0,
        "weight of orthogonal regularisation of the generator, for --truncation; usually 1e-4",
        minimum=0.0,
        record="given",
    )
    fake_classes: str = option(
        "batch",
        "classes that fakes are made for: those of the batch's real images, or drawn uniformly",
        choices=("batch", "uniform"),
        record="given",
    )
    aux_weight: float = option(
        1.0, "weight of the classification loss of an auxiliary classifier", minimum=0.0
    )
    d_steps: int = option(1, "discriminator steps per generator step", minimum=1)
    simultaneous: bool = option(False, "update both networks from the same forward passes")
    d_pretrain: int = option(0, "discriminator steps before the first generator step", minimum=0)
    conditioning_warmup: int = option(
        0, "steps over which training goes from unconditional to class-conditional, for few images", minimum=0
    )
    diffaugment: tuple[str, ...] = option(
        (),
        "DiffAugment policies for the discriminator's input; for long runs on few images",
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
        0.0, "weight of the loss by which generators make their images identifiable (MGAN)", minimum=0.0
    )


@dataclass(frozen=True)
class ClosedFormOptions(MethodOptions):
    """A fit without training steps: no options."""

    sections = ()
    total_steps = 1
    monitored = False
    averaged = False

    @property
    def batches_per_step(self) -> int:
        """None: the fit takes all images at once."""
        return 0


@dataclass(frozen=True)
class FlowMatchingOptions(MethodOptions):
    """Flow matching (Lipman 2023; Liu 2023)."""

    has_validation_loss = True

    mirror: float = option(
        0.0,
        "fraction of mirrored training images, told to the network; not for digits",
        minimum=0.0,
        maximum=1.0,
    )
    shift: float = option(
        0.5,
        "fraction of training images shifted by up to 2 pixels, told to the network",
        minimum=0.0,
        maximum=1.0,
    )
    optimizer: str = option(
        "muon", "optimizer of the hidden layers; all others have AdamW", choices=("muon", "adam")
    )
    muon_lr: float = option(0.02, "learning rate of Muon", minimum=1e-8)
    weight_decay: float = option(0.01, "weight decay of both optimizers", minimum=0.0, maximum=1.0)
    clip_gradient: float = option(1.0, "largest gradient norm; 0: no clipping", minimum=0.0)


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
    own = fields_by_name(kind)
    return {name: value for name, value in values.items() if name in own}
