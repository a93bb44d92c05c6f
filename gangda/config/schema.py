"""Frozen dataclasses: the only home of defaults. Flags, YAML keys and `config.yaml` are made from them."""

from dataclasses import dataclass, replace
from typing import ClassVar

from gangda.config import arms, catalog
from gangda.config.architectures import ArchSpec, CdcganSpec
from gangda.config.fields import Checked, option
from gangda.config.recipes import Budget as Budget
from gangda.config.recipes import Recipe as Recipe
from gangda.config.sampler_options import SamplerOptions as SamplerOptions

AUTO = "auto"
AUTO_RATIOS = (0.0, 0.25, 0.5, 1.0, 2.0)  # candidates where the ratio is chosen on validation images
FILTER_HELP = (
    "drop samples that a filter rejects; auto: none or one of them (of those named with it), "
    "whichever is best on validation images"
)


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
class TransformConfig(Checked):
    """Ranges of the traditional transforms; a zero (or 1,1 for scaling) turns one off."""

    rotation: float = option(10.0, "up to this many degrees either way", minimum=0.0, maximum=180.0)
    translation: float = option(0.07, "up to this fraction of the side", minimum=0.0, maximum=0.5)
    scaling: tuple[float, float] = option(
        (0.9, 1.1), "range of zoom factors, as in 0.9,1.1", minimum=0.1, maximum=4.0
    )
    blur: float = option(0.5, "largest sigma of the Gaussian blur, in pixels", minimum=0.0, maximum=10.0)
    flip: float = option(
        0.0, "probability of mirroring left and right; not for digits", minimum=0.0, maximum=1.0
    )
    erasing: float = option(
        0.0, "probability of blanking a random rectangle (Random Erasing)", minimum=0.0, maximum=1.0
    )
    mixup: float = option(
        0.0,
        "also blend images and labels of a batch: alpha of the Beta; usually 0.2",
        minimum=0.0,
        maximum=10,
    )


@dataclass(frozen=True)
class ClassifierConfig(Checked):
    """Which classifier, and for how many steps. All arms of a comparison get the same."""

    classifier: str = option(
        "lenet", "a name from the list, or module:callable(num_classes, channels, size) for your own"
    )
    classifier_steps: int = option(2000, "optimizer steps", minimum=1)
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
    min_confidence: float = option(
        0.0, "unconditional generators: the sorting classifier's least confidence", minimum=0.0, maximum=1.0
    )
    filter: tuple[str, ...] = option((), "drop samples that a filter rejects", choices=tuple(catalog.FILTERS))


@dataclass(frozen=True)
class AugmentConfig(Checked):
    """What is added to (or replaced in) the real set. A ratio is synthetic images per real image."""

    exclusive: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("ratio", "replace"),
        ("balance", "replace"),
        ("allocate", "replace"),
        ("allocate", "balance"),
    )

    method: str = option(
        "generated", "where new images come from", choices=("generated", "traditional", "both")
    )
    balance: bool = option(
        False, "fill every class to the largest (with --ratio: spend that budget on the smallest first)"
    )
    ratio: float | tuple[float, ...] | None = option(
        None,
        "synthetic images per real image; default 1 without --balance; auto (0,0.25,0.5,1,2) or several: the one "
        "that is best on validation images",
        minimum=0.0,
        words={"auto": AUTO_RATIOS},
    )
    replace: float | None = option(
        None, "keep size and shares, make this share of each class synthetic", minimum=0.0, maximum=1.0
    )
    ratio_for: tuple[str, ...] = option((), "ratio of one class, NAME=R or #i=R; repeatable", repeat=True)
    checkpoint: str = option(
        "best", "weights of the best step on validation images, or of the last", choices=("best", "last")
    )
    format: str = option("npz", "how the set is written", choices=("png", "npz", "idx"))
    filter: tuple[str, ...] = option((), FILTER_HELP, choices=(*catalog.FILTERS, AUTO))
    allocate: str | None = option(
        None,
        "recall: of the same total, more images of the classes that are recalled worse on validation images",
        choices=("recall",),
    )
    score_by: str = option(
        "accuracy",
        "what is best on validation images: accuracy, or balanced accuracy (mean recall)",
        choices=("accuracy", "balanced"),
    )

    @property
    def ratios(self) -> tuple[float | None, ...]:
        """The ratios to choose from; one where nothing is left open."""
        return self.ratio if isinstance(self.ratio, tuple) else (self.ratio,)

    def at(self, ratio: float | None) -> "AugmentConfig":
        """The same with one of the ratios: of several, 0 is the real images alone, whatever `ratio_for` says."""
        alone = ratio == 0 and len(self.ratios) > 1
        return replace(self, ratio=ratio, ratio_for=() if alone else self.ratio_for)


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
    anneal_synthetic_weight: bool = option(
        False, "let that weight fall to 0 over the last third of the classifier's steps"
    )
    synthetic_passes: int = option(
        1, "draw so many times as many added images: each pass over the real ones sees the next", minimum=1
    )
    filter: tuple[str, ...] = option((), FILTER_HELP, choices=(*catalog.FILTERS, AUTO))
    recalibrate: bool = option(False, "take batch-norm statistics anew on the real images at the end")
    second_classifier: str | None = option(
        None,
        "also fit the first primary difference's arms with this one: a headline needs both to agree",
    )
    tune_steps: tuple[int, ...] = option(
        (),
        "beside the verdict: each arm with those of these steps its validation images choose, as in 1000,2000,4000",
        minimum=1,
    )
    contrast: tuple[str, ...] = option(
        (), "tested in place of the usual differences, as in 'generated - smote'; repeatable", repeat=True
    )
    score_by: str = option(
        "accuracy",
        "what is compared: accuracy, or balanced accuracy (mean recall)",
        choices=("accuracy", "balanced"),
    )
    multiplicity: str = option(
        "sequence", "how several tests keep the error rate", choices=("sequence", "holm")
    )
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
    spec: ArchSpec = CdcganSpec()
    recipe: Recipe = Recipe()
    budget: Budget = Budget()
    runtime: Runtime = Runtime()


@dataclass(frozen=True)
class ComparisonConfig:
    """Everything that determines a comparison: the generators', the arms' and the protocol's configuration."""

    data: DataConfig = DataConfig()
    arch: str = "cdcgan"
    spec: ArchSpec = CdcganSpec()
    recipe: Recipe = Recipe()
    budget: Budget = Budget()
    transforms: TransformConfig = TransformConfig()
    classifier: ClassifierConfig = ClassifierConfig()
    sampler: SamplerOptions = SamplerOptions()  # noqa: RUF009  (frozen)
    compare: CompareConfig = CompareConfig()
    runtime: Runtime = Runtime()
