"""Frozen dataclasses: the only home of defaults. Flags, YAML keys and `config.yaml` are made from them."""

from dataclasses import dataclass
from typing import ClassVar

from gangda import arms, catalog
from gangda.fields import Checked, option
from gangda.specs import ArchSpec, CdcganSpec

AUTO_RATIOS = (0.0, 0.25, 0.5, 1.0, 2.0)  # candidates where the ratio is chosen on validation images


@dataclass(frozen=True)
class DataConfig(Checked):
    """Which images, how many of them, and at what size."""

    exclusive: ClassVar[tuple[tuple[str, ...], ...]] = (("per_class", "class_counts"),)

    source: str = option(
        "digits",
        "digits, mnist, fashion-mnist, cifar10, cifar100, or a path: IDX or class folders, NPZ, sample set; "
        "stacked: before it makes RGB of three grey images",
        flag="--data",
    )
    image_size: int | None = option(None, "side in pixels; default: the set's own", minimum=8, maximum=64)
    per_class: int | None = option(None, "real images per class, training and validation together", minimum=2)
    class_counts: tuple[int, ...] | None = option(
        None, "real images of each class in order, as in 4000,2000,1000", minimum=0
    )
    validation: float = option(0.1, "share of the training images held back", minimum=0.0, maximum=0.9)
    download: bool = option(False, "fetch a torchvision set that is not there yet")


@dataclass(frozen=True)
class Runtime(Checked):
    """Where and how it runs."""

    seed: int = option(0, "seed of everything random", minimum=0)
    device: str = option("auto", "auto, cpu, cuda, cuda:1, mps")
    precision: str = option("auto", "number format of the networks", choices=("auto", "fp32", "bf16"))
    threads: int | None = option(
        None, "CPU threads; default: SLURM_CPUS_PER_TASK, OMP_NUM_THREADS or all cores", minimum=1
    )


@dataclass(frozen=True)
class Recipe(Checked):
    """How a GAN is trained. Architectures override some defaults (their `recipe`)."""

    loss: str = option("nonsaturating", "adversarial loss", choices=tuple(catalog.LOSSES))
    batch_size: int = option(32, "images per step", minimum=2, maximum=1_000_000)
    lr: float = option(1e-3, "learning rate of both networks (Adam)", minimum=1e-8)
    lr_d: float | None = option(None, "the discriminator's own learning rate; default --lr", minimum=0.0)
    lr_schedule: str = option(
        "inverse-sqrt",
        "course of the learning rates (inverse-sqrt: from step --lr-hold on; cosine: to 0 at the end)",
        choices=("constant", "inverse-sqrt", "cosine"),
    )
    lr_hold: int = option(3000, "steps before --lr-schedule inverse-sqrt begins to fall", minimum=1)
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
    identity: float = option(
        0.0, "madgan: reward each generator for images known as its own (MGAN), weight", minimum=0.0
    )
    d_steps: int = option(1, "discriminator steps per generator step", minimum=1)
    d_pretrain: int = option(0, "discriminator steps before the generator's first", minimum=0)
    transition: int = option(
        0, "steps over which an unconditional start turns class-conditional, for few images", minimum=0
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


@dataclass(frozen=True)
class TransformConfig(Checked):
    """Ranges of the traditional transforms; a zero (or 1,1 for scaling) turns one off."""

    rotation: float = option(10.0, "up to this many degrees either way", minimum=0.0, maximum=180.0)
    translation: float = option(0.07, "up to this fraction of the side", minimum=0.0, maximum=0.5)
    scaling: tuple[float, float] = option(
        (0.9, 1.1), "range of zoom factors, as in 0.9,1.1", minimum=0.1, maximum=4.0
    )
    blur: float = option(0.5, "largest sigma of the Gaussian blur, in pixels", minimum=0.0, maximum=10.0)


@dataclass(frozen=True)
class ClassifierConfig(Checked):
    """Which classifier, and for how many steps. All arms of a comparison get the same."""

    classifier: str = option(
        "lenet", "a name from the list, or module:callable(num_classes, channels, size) for your own"
    )
    classifier_steps: int = option(2000, "optimiser steps", minimum=1)
    classifier_epochs: int | None = option(
        None, "passes over the set, instead of --classifier-steps", minimum=1
    )
    classifier_batch: int = option(64, "images per step", minimum=1)
    classifier_lr: float = option(4e-3, "peak learning rate (AdamW, one cycle)", minimum=0.0)


@dataclass(frozen=True)
class SampleConfig(Checked):
    """How many samples of what, in which format."""

    exclusive: ClassVar[tuple[tuple[str, ...], ...]] = (("per_class", "counts"),)

    per_class: int | None = option(None, "samples of every class", minimum=1, maximum=10_000_000)
    counts: str | None = option(None, "samples of some classes, as in NAME=50,#3=200")
    format: str = option("png", "how the samples are written", choices=("png", "npz", "idx"))
    shard: str = option("1/1", "write part i/n; any n gives the same images", pattern=r"[1-9]\d*/[1-9]\d*")
    checkpoint: str = option(
        "best", "weights of the best step on validation images, or of the last", choices=("best", "last")
    )
    generator: int | None = option(None, "take samples of this generator only (0 to K-1)", minimum=0)
    truncation: float | None = option(
        None, "draw noise beyond this again: smaller is more typical, less varied; as in 1.0", minimum=0.05
    )
    min_confidence: float = option(
        0.0, "unconditional generators: the sorting classifier's least confidence", minimum=0.0, maximum=1.0
    )
    filter: tuple[str, ...] = option((), "drop samples that a filter rejects", choices=tuple(catalog.FILTERS))


@dataclass(frozen=True)
class AugmentConfig(Checked):
    """What is added to (or replaced in) the real set. A ratio is synthetic images per real image."""

    exclusive: ClassVar[tuple[tuple[str, ...], ...]] = (("ratio", "replace"), ("balance", "replace"))

    method: str = option(
        "generated", "where new images come from", choices=("generated", "traditional", "both")
    )
    balance: bool = option(
        False, "fill every class to the largest (with --ratio: spend that budget on the smallest first)"
    )
    ratio: float | None = option(
        None, "synthetic images per real image; default 1 without --balance", minimum=0.0
    )
    replace: float | None = option(
        None, "keep size and shares, make this share of each class synthetic", minimum=0.0, maximum=1.0
    )
    ratio_for: tuple[str, ...] = option((), "ratio of one class, NAME=R or #i=R; repeatable", repeat=True)
    checkpoint: str = option(
        "best", "weights of the best step on validation images, or of the last", choices=("best", "last")
    )
    format: str = option("npz", "how the set is written", choices=("png", "npz", "idx"))
    filter: tuple[str, ...] = option((), "drop samples that a filter rejects", choices=tuple(catalog.FILTERS))


@dataclass(frozen=True)
class ScoreConfig(Checked):
    """What is measured."""

    metrics: tuple[str, ...] = option(
        tuple(catalog.METRICS),
        "metrics to compute, comma-separated; nothing is done that only the others need",
        choices=tuple(catalog.METRICS),
    )
    rating_images: int = option(
        16, "images of each set on a --rating-page, and of real ones among them", minimum=1, maximum=1000
    )


@dataclass(frozen=True)
class CompareConfig(Checked):
    """The experiment: which arms, how many paired seeds, what a ratio means."""

    arms: tuple[str, ...] = option(
        arms.DEFAULT, "arms to compare, comma-separated; `gangda compare --list` tells them apart"
    )
    mode: str = option("add", "what a ratio means", choices=("add", "replace", "balance"))
    ratios: tuple[float, ...] = option(
        (1.0,),
        "candidate ratios, or auto (0,0.25,0.5,1,2); with several, each seed's is chosen on validation",
        minimum=0.0,
        words={"auto": AUTO_RATIOS},
    )
    ratio_for: tuple[str, ...] = option(
        (), "ratio of one class in all arms that add, NAME=R or #i=R; repeatable", repeat=True
    )
    seeds: int = option(10, "paired seeds, each with its own subset and its own GAN", minimum=1, maximum=1000)
    checkpoint: str = option(
        "best", "weights of the best step on validation images, or of the last", choices=("best", "last")
    )
    generated_weight: float = option(
        1.0, "what an added image counts in the loss, relative to a real one", minimum=0.0, maximum=100.0
    )
    anneal: bool = option(False, "let that weight fall to 0 over the last third of the classifier's steps")
    fresh: int = option(
        1, "draw so many times as many added images: each pass over the real ones sees the next", minimum=1
    )
    filter: tuple[str, ...] = option((), "drop samples that a filter rejects", choices=tuple(catalog.FILTERS))
    recalibrate: bool = option(False, "take batch-norm statistics anew on the real images at the end")
    second_classifier: str | None = option(
        None, "also fit the first primary difference's arms with this one: a headline needs both to agree"
    )
    contrast: tuple[str, ...] = option(
        (), "tested in place of the usual differences, as in 'generated - smote'; repeatable", repeat=True
    )
    score_by: str = option(
        "accuracy",
        "what is compared: accuracy, or balanced accuracy (mean recall)",
        choices=("accuracy", "balanced"),
    )
    procedure: str = option("sequence", "how several tests keep the error rate", choices=("sequence", "holm"))
    alpha: float = option(0.05, "error rate of the verdict", minimum=0.0001, maximum=0.5)
    margin: float | None = option(
        None, "equivalence margin in points; default min(0.5, 10% of the real-only error)", minimum=0.0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.arms:
            arms.find(name)


@dataclass(frozen=True)
class TrainConfig:
    """Everything that determines a generator: data, architecture and its options, recipe, budget, runtime."""

    data: DataConfig = DataConfig()
    arch: str = "cdcgan"
    spec: ArchSpec = CdcganSpec()  # noqa: RUF009  (frozen)
    recipe: Recipe = Recipe()
    budget: Budget = Budget()
    runtime: Runtime = Runtime()


@dataclass(frozen=True)
class ExperimentConfig:
    """Everything that determines a comparison: the generators', the arms' and the protocol's configuration."""

    data: DataConfig = DataConfig()
    arch: str = "cdcgan"
    spec: ArchSpec = CdcganSpec()  # noqa: RUF009  (frozen)
    recipe: Recipe = Recipe()
    budget: Budget = Budget()
    transforms: TransformConfig = TransformConfig()
    classifier: ClassifierConfig = ClassifierConfig()
    compare: CompareConfig = CompareConfig()
    runtime: Runtime = Runtime()
