"""Frozen dataclasses: the only home of defaults. Flags, YAML keys and `config.yaml` are made from them."""

import re
from dataclasses import dataclass, replace
from typing import Any, cast

from gangda.config import arms, catalog, policies
from gangda.config.architectures import ArchSpec, spec_class
from gangda.config.fields import Checked, Field, fields_by_name, flag_of, option
from gangda.config.methods import Budget as Budget
from gangda.config.methods import MethodOptions, options_class, preset
from gangda.config.methods import Recipe as Recipe
from gangda.config.sampler_options import SamplerOptions as SamplerOptions
from gangda.errors import UsageError

AUTO = "auto"
AUTO_RATIOS = (0.0, 0.25, 0.5, 1.0, 2.0)  # candidates where the ratio is chosen on validation images

_CHECKPOINT = "weights of the best step on validation images, or of the last step"
_FILTER = "drop samples that a filter rejects; auto: none or one of them, the best on validation images"
_RATIO_FOR = "ratio of one class, as NAME=R or #INDEX=R; repeatable"
_FILL = "fill every class up to this many times the largest, as in 0.5; 1 is --balance"
_SCORES = ("accuracy", "balanced")
_SHARD = "write part i of n, as in 2/8; the images do not depend on n"
_SHARD_PATTERN = r"[1-9]\d*/[1-9]\d*"
BY_NAME = "name:"  # before a pattern of file names in --labels
NAMED_COLUMN = re.compile(r".+\.(csv|tsv|jsonl?):[^:]+", re.IGNORECASE)  # FILE:COLUMN


def _check_pattern(flag: str, text: str, example: str) -> None:
    """A UsageError unless the text, without `BY_NAME`, is a regular expression with a group."""
    try:
        groups = re.compile(text.removeprefix(BY_NAME)).groups
    except re.error as error:
        raise UsageError(f"{flag} '{text}': no regular expression ({error})") from None
    if not groups:
        raise UsageError(f"{flag} '{text}': has no (group); as in {example}")


@dataclass(frozen=True)
class DataConfig(Checked):
    """Which images, how many of them, and at what size."""

    exclusive = (("per_class", "class_counts"),)

    source: str = option(
        "digits",
        f"{', '.join(catalog.SOURCES)}, or a path (IDX files, class folders, zip, tar or NPZ file, sample set); "
        "stacked:NAME makes RGB images of three grey ones",
        flag="--data",
    )
    image_size: int | None = option(None, "side in pixels; default: as in the data", minimum=8, maximum=64)
    per_class: int | None = option(None, "real images per class, training and validation together", minimum=2)
    class_counts: tuple[int | str, ...] | None = option(
        None,
        "real images of each class: in order, as in 4000,2000,1000, or by name, as in cat=50,#3=200",
        minimum=0,
    )
    validation: float = option(0.1, "fraction of training images for validation", minimum=0.0, maximum=0.9)
    unlabelled: str | None = option(
        None,
        "also use images without labels: a number (above 0) of training images outside the subset, or a folder",
        pattern=r"0*[1-9]\d*|(?!-?\d*$).+",
        record="given",
    )
    download: bool = option(False, "download a torchvision data set that is missing")
    value_range: tuple[float, float] | None = option(
        None, "pixel values that become 0 and 255; default: recognised from all images", record="given"
    )
    group_by: str | None = option(
        None,
        "regular expression on file names, or FILE:COLUMN of a CSV or JSON file: images with the same first group, "
        "or value, stay in one split",
        record="given",
    )
    labels: str | None = option(
        None,
        "where labels stand, if not in folders: FILE[:COLUMN] (CSV, TSV, JSON), or name:PATTERN, whose first group is "
        "the class; default: folders, or a table of a usual name beside the images; folders: never a table",
        record="given",
    )
    fit: str = option(
        "crop", "how images that are not square become so", choices=("crop", "pad", "stretch"), record="given"
    )
    channels: int | None = option(
        None, "1 makes all images grey, 3 RGB; default: as in the data", choices=(1, 3), record="given"
    )
    skip_broken: bool = option(False, "leave out files that cannot be decoded", record="given")
    deduplicate: bool = option(False, "drop images that equal an earlier one", record="given")
    no_cache: bool = option(False, "neither use nor keep decoded images and checks", record="never")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.value_range is not None and not self.value_range[0] < self.value_range[1]:
            low, high = self.value_range
            raise UsageError(f"--value-range {low:g},{high:g}: the first value must be below the second")
        if self.group_by is not None and not NAMED_COLUMN.fullmatch(self.group_by):
            _check_pattern("--group-by", self.group_by, "'(.*)_[0-9]+'")
        if self.labels is not None and self.labels.startswith(BY_NAME):
            _check_pattern("--labels", self.labels, "'name:(.*)_[0-9]+'")

    @property
    def whole(self) -> "DataConfig":
        """The same with all of the source's training images, none of them for validation or without labels."""
        return replace(self, per_class=None, class_counts=None, validation=0.0, unlabelled=None)

    @property
    def unlabelled_count(self) -> int | None:
        """How many images of the source are wanted without their labels; None where it is a folder, or nothing."""
        text = self.unlabelled or ""
        return int(text) if text.isdecimal() else None


@dataclass(frozen=True)
class Runtime(Checked):
    """Seed, device and number format."""

    seed: int = option(0, "seed of all random streams", minimum=0)
    device: str = option("auto", "auto, cpu, cuda, cuda:1 or mps")
    precision: str = option("auto", "number format of the networks", choices=("auto", "fp32", "bf16"))
    threads: int | None = option(
        None,
        "CPU threads; default: SLURM_CPUS_PER_TASK, OMP_NUM_THREADS or all cores (compare: one for each cell)",
        minimum=1,
    )
    capture: bool = option(True, "run training steps as CUDA graphs where the device is an NVIDIA GPU")


@dataclass(frozen=True)
class TransformConfig(Checked):
    """Ranges of the traditional transforms; a zero (or 1,1 for scaling) turns one off. Or a policy by name."""

    policy: str = option(
        policies.EXPLICIT,
        "transforms by name: explicit is what --rotation and the like say; auto (compare): each seed's best in "
        "cross-validation on its own real images",
        choices=policies.CHOICES,
    )
    rotation: float = option(10.0, "largest rotation in degrees", minimum=0.0, maximum=180.0)
    translation: float = option(0.07, "largest shift as a fraction of the side", minimum=0.0, maximum=0.5)
    scaling: tuple[float, float] = option((0.9, 1.1), "range of zoom factors", minimum=0.1, maximum=4.0)
    blur: float = option(0.5, "largest sigma of the Gaussian blur, in pixels", minimum=0.0, maximum=10.0)
    flip: float = option(0.0, "probability of a horizontal flip; not for digits", minimum=0.0, maximum=1.0)
    erasing: float = option(0.0, "probability of Random Erasing", minimum=0.0, maximum=1.0)
    mixup: float = option(0.0, "mixup alpha (Beta distribution); usually 0.2", minimum=0.0, maximum=10)

    @classmethod
    def range_fields(cls) -> dict[str, Field]:
        """The fields that a policy sets."""
        return {name: field for name, field in fields_by_name(cls).items() if name not in ("policy", "mixup")}

    def under(self, policy: str, mixup: float) -> "TransformConfig":
        """The same with a policy, `explicit` for the ranges as they are, and mixup."""
        if policy == policies.EXPLICIT:
            return replace(self, policy=policy, mixup=mixup)
        return TransformConfig(policy=policy, mixup=mixup)

    def ranges(self) -> "TransformConfig":
        """The ranges that the policy stands for, spelt out.

        Raises UsageError: it is still to be chosen, or there are ranges beside it.
        """
        if self.policy == policies.EXPLICIT:
            return self
        if self.policy == policies.AUTO:
            raise UsageError("--policy auto: compare alone chooses one; name a policy")
        fields = self.range_fields().items()
        given = [flag_of(field) for name, field in fields if getattr(self, name) != field.default]
        if given:
            raise UsageError(
                f"--policy {self.policy} and {', '.join(given)} exclude each other: give one of them"
            )
        off: dict[str, Any] = {name: (1.0, 1.0) if name == "scaling" else 0.0 for name in self.range_fields()}
        off |= policies.POLICIES[self.policy].ranges
        return TransformConfig(**off, mixup=self.mixup)


@dataclass(frozen=True)
class ClassifierConfig(Checked):
    """The classifier and its training; the same for all arms of a comparison."""

    classifier: str = option(
        "lenet",
        f"{', '.join(catalog.CLASSIFIERS)}, or module:callable(num_classes, channels, size) for your own",
    )
    classifier_steps: int = option(2000, "optimizer steps", minimum=1)
    classifier_epochs: int | None = option(
        None, "passes over the training set, instead of --classifier-steps", minimum=1
    )
    classifier_batch: int = option(64, "images per step", minimum=1)
    classifier_lr: float = option(4e-3, "peak learning rate (AdamW, one cycle)", minimum=0.0)


@dataclass(frozen=True)
class SampleConfig(Checked):
    """How many samples of which classes, in which format."""

    exclusive = (("per_class", "counts"),)

    per_class: int | None = option(None, "samples of every class", minimum=1, maximum=10_000_000)
    counts: str | None = option(None, "samples of some classes, as in NAME=50,#3=200")
    format: str = option("png", "how the samples are written", choices=tuple(catalog.FORMATS))
    shard: str = option("1/1", _SHARD, pattern=_SHARD_PATTERN)
    checkpoint: str = option("best", _CHECKPOINT, choices=("best", "last"))
    generator: int | None = option(None, "use only this generator of an ensemble (0 to K-1)", minimum=0)
    min_confidence: float = option(
        0.0, "unconditional generators: least confidence of a pseudo-label", minimum=0.0, maximum=1.0
    )
    filter: tuple[str, ...] = option((), "drop samples that a filter rejects", choices=tuple(catalog.FILTERS))


@dataclass(frozen=True)
class AugmentConfig(Checked):
    """What is added to the real set, or replaces a part of it. A ratio is synthetic images per real image."""

    exclusive = (
        ("ratio", "replace", "fill"),
        ("balance", "replace", "fill"),
        ("allocate", "replace", "fill"),
        ("allocate", "balance"),
    )

    method: str = option(
        "generated", "source of the synthetic images", choices=("generated", "traditional", "both")
    )
    balance: bool = option(
        False, "fill every class to the largest; with --ratio: add that many images, smallest classes first"
    )
    ratio: float | tuple[float, ...] | None = option(
        None,
        "synthetic images per real image; default 1 without --balance; auto (0,0.25,0.5,1,2) or several values: "
        "the best on validation images",
        minimum=0.0,
        words={"auto": AUTO_RATIOS},
    )
    fill: float | tuple[float, ...] | None = option(
        None, f"{_FILL}; several values: as for --ratio", minimum=0.0
    )
    replace: float | None = option(
        None, "make this fraction of each class synthetic and keep its size", minimum=0.0, maximum=1.0
    )
    ratio_for: tuple[str, ...] = option((), _RATIO_FOR, repeat=True)
    checkpoint: str = option("best", _CHECKPOINT, choices=("best", "last"))
    format: str = option("npz", "how the set is written", choices=tuple(catalog.FORMATS))
    shard: str = option("1/1", _SHARD, pattern=_SHARD_PATTERN)
    filter: tuple[str, ...] = option((), _FILTER, choices=(*catalog.FILTERS, AUTO))
    allocate: str | None = option(
        None,
        "recall: same total, more images for classes with low recall on validation images",
        choices=("recall",),
    )
    score_by: str = option(
        "accuracy", "score on validation images: accuracy or balanced accuracy", choices=_SCORES
    )

    @property
    def ratios(self) -> tuple[float | None, ...]:
        """The candidate ratios, or with `fill` levels; one where there is no choice."""
        given = self.ratio if self.fill is None else self.fill
        return given if isinstance(given, tuple) else (given,)

    @property
    def is_open(self) -> bool:
        """Whether something is to be found out on validation images."""
        return len(self.ratios) > 1 or AUTO in self.filter or self.allocate is not None

    def at(self, ratio: float | None) -> "AugmentConfig":
        """The same with one of the ratios: of several, 0 is the real images alone, whatever `ratio_for` says."""
        alone = ratio == 0 and len(self.ratios) > 1
        own = () if alone else self.ratio_for
        if self.fill is None:
            return replace(self, ratio=ratio, ratio_for=own)
        return replace(self, fill=ratio, ratio_for=own)


@dataclass(frozen=True)
class ScoreConfig(Checked):
    """Metrics, and the size of a rating page."""

    metrics: tuple[str, ...] = option(
        tuple(catalog.METRICS), "metrics to compute, comma-separated", choices=tuple(catalog.METRICS)
    )
    rating_images: int = option(
        16, "images of each set on a --rating-page, and as many real ones", minimum=1, maximum=1000
    )


@dataclass(frozen=True)
class CompareConfig(Checked):
    """The protocol of a comparison: arms, paired seeds, ratios and tests."""

    exclusive = (("ratios", "replace", "fill"), ("balance", "replace", "fill"))

    arms: tuple[str, ...] = option(
        arms.DEFAULT, "arms to compare, comma-separated; `gangda compare --list` explains them"
    )
    balance: bool = option(
        False, "fill every class to the largest; with --ratios: add that many images, smallest classes first"
    )
    ratios: tuple[float, ...] = option(
        (1.0,),
        "synthetic images per real image; auto (0,0.25,0.5,1,2) or several values: each seed's best on validation",
        minimum=0.0,
        words={"auto": AUTO_RATIOS},
    )
    fill: tuple[float, ...] = option((), f"{_FILL}; several values: as for --ratios", minimum=0.0)
    replace: tuple[float, ...] = option(
        (),
        "make this fraction of each class synthetic and keep its size; several values: as for --ratios",
        minimum=0.0,
        maximum=1.0,
    )
    ratio_for: tuple[str, ...] = option((), _RATIO_FOR, repeat=True)
    seeds: int = option(
        10, "paired seeds, each with its own subset and its own generator", minimum=1, maximum=1000
    )
    checkpoint: str = option("best", _CHECKPOINT, choices=("best", "last"))
    generated_weight: float = option(
        1.0, "loss weight of an added image relative to a real one", minimum=0.0, maximum=100.0
    )
    anneal_synthetic_weight: bool = option(
        False, "lower --generated-weight to 0 over the last third of the classifier's steps"
    )
    synthetic_passes: int | None = option(
        None,
        "add this many times as many images, each pass over the real ones uses the next part; default 10 for flows' "
        "samples, else 1",
        minimum=1,
    )
    filter: tuple[str, ...] = option((), _FILTER, choices=(*catalog.FILTERS, AUTO))
    recalibrate: bool = option(False, "recompute batch-norm statistics on the real images after training")
    second_classifier: str | None = option(
        None,
        "also train this classifier on the arms of the first primary contrast; both must agree for a headline",
    )
    repeat_check: bool = option(
        False,
        "train the arms of the first primary contrast once more in one seed, with sums rounded otherwise",
    )
    plateau_check: bool = option(
        False,
        "train both arms of the first primary contrast with twice the steps in two seeds: had they levelled off?",
    )
    tune_steps: tuple[int, ...] = option(
        (),
        "also evaluate each arm with its best number of steps on validation images, as in 1000,2000,4000",
        minimum=1,
    )
    contrast: tuple[str, ...] = option(
        (),
        "contrast to test in place of the default ones, as in 'generated - smote'; repeatable",
        repeat=True,
    )
    score_by: str = option(
        "accuracy", "score that is compared: accuracy or balanced accuracy", choices=_SCORES
    )
    multiplicity: str = option(
        "sequence", "correction for several tests: fixed sequence, or Holm", choices=("sequence", "holm")
    )
    alpha: float = option(0.05, "significance level", minimum=0.0001, maximum=0.5)
    margin: float | None = option(
        None,
        "equivalence margin in points; default min(0.5, 10% of the error of the contrast's second arm)",
        minimum=0.0,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.arms:
            arms.parse_arm(name)

    @property
    def candidates(self) -> tuple[float, ...]:
        """The ratios, or with `fill` levels, with `replace` shares, that an arm chooses from; one without a choice."""
        return self.fill or self.replace or self.ratios

    def of_arm(self, name: str) -> "CompareConfig":
        """The same with what an arm adds of its own, `ARM:0.5` or `ARM:fill50%`, in place of the candidates.

        Raises UsageError: a ratio that is no share, with `replace`.
        """
        own = arms.amount_of(name)
        if own is None:
            return self
        if own.fill:
            return replace(self, fill=(own.value,), ratios=(1.0,), replace=(), balance=False)
        if self.replace:
            if own.value > 1 or "%" in name:
                what = "with --replace a ratio is a share, 0 to 1, written as in :0.25"
                raise UsageError(f"--arms {name}: {what}")
            return replace(self, replace=(own.value,))
        return replace(self, ratios=(own.value,), fill=())

    def at(self, ratio: float) -> AugmentConfig:
        """What `gangda augment` is asked for at one of them: of several, 0 is the real images alone."""
        own = () if ratio == 0 and len(self.candidates) > 1 else self.ratio_for
        if self.fill:
            return AugmentConfig(fill=ratio, ratio_for=own)
        if self.replace:
            return AugmentConfig(replace=ratio, ratio_for=own)
        return AugmentConfig(balance=self.balance, ratio=ratio, ratio_for=own)


@dataclass(frozen=True)
class TuneConfig(Checked):
    """How the options of training are searched."""

    trials: int | None = option(
        None,
        "configurations to try, by all processes together; default: all of a grid, otherwise 20",
        minimum=1,
        maximum=100_000,
    )
    objective: str = option(
        "cas",
        "what is best on validation images: CAS, a GAN-test near that of real images, validation loss (flows), or gain "
        "of the augmented classifier",
        choices=("cas", "gan_test", "validation_loss", "gain"),
    )
    search: str = option(
        "tpe",
        "how configurations are chosen; grid: all combinations, in random order",
        choices=("tpe", "random", "grid"),
    )
    prune: bool = option(True, "end trials early that are not among the best, or whose samples collapse")
    rungs: int = option(3, "times that a trial is scored, at growing numbers of steps", minimum=1, maximum=8)
    reduction: int = option(
        3, "of so many trials one goes on to the next rung, which has so many times the steps", minimum=2
    )


@dataclass(frozen=True)
class TrainConfig:
    """Everything that determines a generator: data, architecture and its options, training method, budget, runtime.

    What is not given of `spec`, `recipe` and `method` is the architecture's own: `TrainConfig(arch="sagan")` is what
    `--arch sagan` means.
    """

    data: DataConfig = DataConfig()
    arch: str = option("cdcgan", "architecture; `gangda train --list` explains them", flag="--arch")
    spec: ArchSpec = None  # type: ignore[assignment]
    recipe: Recipe = None  # type: ignore[assignment]
    method: MethodOptions = None  # type: ignore[assignment]
    budget: Budget = Budget()
    runtime: Runtime = Runtime()

    def __post_init__(self) -> None:
        spec, recipe, given = cast(Any, (self.spec, self.recipe, self.method))
        spec = spec or spec_class(self.arch)()
        kind = options_class(spec.method)
        own = {
            "spec": spec,
            "recipe": recipe or Recipe(**preset(Recipe, spec.recipe)),
            "method": given or kind(**preset(kind, spec.recipe)),
        }
        for name, value in own.items():
            object.__setattr__(self, name, value)
        if not isinstance(self.method, kind):
            raise UsageError(f"{self.arch}: takes {kind.__name__}, not {type(given).__name__}")

    @property
    def images_per_step(self) -> int:
        """Real images that a training step takes."""
        return self.recipe.batch_size * self.method.batches_per_step

    def batches_before(self, step: int) -> int:
        """Batches of real images taken before step 0, 1, ...; those of pre-training come first."""
        return self.method.pretraining_steps + step * self.method.batches_per_step


ARCH = TrainConfig.__dataclass_fields__["arch"]


@dataclass(frozen=True)
class AugmentationConfig:
    """Everything that determines an augmented set, but for the run whose generator makes its images."""

    data: DataConfig = DataConfig()
    augment: AugmentConfig = AugmentConfig()
    transforms: TransformConfig = TransformConfig()
    classifier: ClassifierConfig = ClassifierConfig()
    sampler: SamplerOptions = SamplerOptions()  # noqa: RUF009  (frozen)
    runtime: Runtime = Runtime()


@dataclass(frozen=True)
class ComparisonConfig(TrainConfig):
    """Everything that determines a comparison: the generators', the arms' and the protocol's configuration."""

    transforms: TransformConfig = TransformConfig()
    classifier: ClassifierConfig = ClassifierConfig()
    sampler: SamplerOptions = SamplerOptions()  # noqa: RUF009  (frozen)
    compare: CompareConfig = CompareConfig()

    def __post_init__(self) -> None:
        """`traditional:auto` among the arms, or in a contrast, is `traditional` under `--policy auto`."""
        super().__post_init__()
        compare, suffix = self.compare, arms.AUTO_POLICY
        if not any(name.endswith(suffix) for name in compare.arms):
            return
        if self.transforms.policy in policies.POLICIES:
            raise UsageError(f"--policy {self.transforms.policy} does not go with arms that end in {suffix}")
        names = tuple(name.removesuffix(suffix) for name in compare.arms)
        contrasts = tuple(text.replace(suffix, "") for text in compare.contrast)
        object.__setattr__(self, "compare", replace(compare, arms=names, contrast=contrasts))
        object.__setattr__(self, "transforms", replace(self.transforms, policy=policies.AUTO))
