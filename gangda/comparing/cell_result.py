"""What one cell of a comparison found. `storage.py` writes it as JSON, and reads it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from gangda.classifying.evaluation import Evaluation
from gangda.config.schema import Runtime
from gangda.metrics.result import MetricResult
from gangda.runtime.arrays import UInt8Array, UInt16Array
from gangda.runtime.plan_status import CELLS, FAILED

LEAKY = "leaky"  # the key of a generator that saw all of the source's training images
UNLABELLED = "+unlabelled"  # after the architecture: the key of one that saw the unlabelled images too


@dataclass(frozen=True)
class SplitRows:
    """Images of a split: how many, of each class, and a hash of their rows in the source."""

    count: int
    per_class: tuple[int, ...]
    hash: str


@dataclass(frozen=True)
class Trial:
    """A ratio and filters that an arm tried."""

    ratio: float | None
    filters: tuple[str, ...] = ()  # empty where there was nothing to choose
    validation: float | None = None  # score on the validation images, if there are any and enough passes
    reason: str = ""  # why there is no score, where filters let too little pass


@dataclass(frozen=True, eq=False)
class ArmResult:
    """One arm in one cell."""

    ratio: float | None  # the chosen one; None where it adds nothing, or replaces all
    filters: tuple[str, ...]
    candidates: tuple[Trial, ...]
    n_train: int  # images trained on
    n_generated: int  # of them not of the real subset
    added_per_class: tuple[int, ...]
    steps: int  # of the classifier's training
    classifier: str  # hash of its weights
    seconds: float  # of the classifier's training
    validation_accuracy: float | None
    test: Evaluation


@dataclass(frozen=True)
class FilterShares:
    """Shares of the samples drawn of a class: kept, and rejected by each filter; None where nothing was drawn."""

    acceptance: float | None
    rejected: Mapping[str, float | None]


@dataclass(frozen=True)
class SampleRecord:
    """Samples drawn from a generator."""

    labels: Mapping[str, Any]  # how they were labelled and filtered, as the sampler reports it
    filtering: Mapping[str, FilterShares]  # by class name
    made: tuple[int, ...]  # images of each class
    content: str  # hash of the images
    draw_seconds: float


@dataclass(frozen=True)
class CurveAlarm:
    """Alarms raised at one step of training."""

    step: int
    texts: tuple[str, ...]


@dataclass(frozen=True)
class TrainingCurves:
    """What was logged while a generator was trained, thinned to what a report can draw."""

    steps: tuple[int, ...]
    terms: Mapping[str, tuple[float | None, ...]]  # losses, accuracies, gradient norms; None where not logged
    evaluations: tuple[Mapping[str, Any], ...]  # figures of the samples, each with its `step`
    alarms: tuple[CurveAlarm, ...]


@dataclass(frozen=True)
class GeneratorRecord:
    """A generator of a cell and the samples drawn from it."""

    arch: str
    steps: int
    checkpoint: str
    shared: bool  # it comes from a run that all cells share
    train_seconds: float
    samples: SampleRecord  # after the filters of all arms
    filtered: Mapping[str, SampleRecord]  # after other filters that an arm could choose, by their names
    curves: TrainingCurves | None = None  # None where nothing was trained step by step


@dataclass(frozen=True)
class Recognised:
    """Accuracy of the real-only classifier on generated images (GAN-test) and on real test images.

    `circular`: another classifier labelled or filtered the generated ones before, which says little of the generator.
    """

    generated: float
    real: float
    circular: bool


@dataclass(frozen=True, eq=False)
class ClassImages:
    """Images of one class, uint8 (n, H, W, C); `generated` is None without a generator."""

    name: str
    real: UInt8Array
    generated: UInt8Array | None


@dataclass(frozen=True, eq=False)
class ArmImages:
    """Images that some arms add, uint8 (n, H, W, C) of each class."""

    arms: tuple[str, ...]
    rows: tuple[UInt8Array, ...]


@dataclass(frozen=True, eq=False)
class FilterSheet:
    """A contact sheet of what filters kept and rejected: a PNG."""

    generator: str
    filters: tuple[str, ...]
    png: bytes


@dataclass(frozen=True, eq=False)
class NearestImages:
    """Samples of one generator and the nearest training images; distances are in grey levels."""

    samples: UInt8Array  # the closest pairs, uint8 (n, H, W, C)
    train: UInt8Array
    distances: tuple[float, ...]
    of_samples: tuple[float, ...]  # distances to the nearest training image, ascending
    of_held_out: tuple[float, ...]
    metrics: tuple[MetricResult, ...]  # those of memorisation


@dataclass(frozen=True, eq=False)
class Pictures:
    """Images that a cell keeps for the report; `ensembles` and `nearest` by the generator's key."""

    classes: tuple[ClassImages, ...]  # the first images of the first classes
    added: tuple[ArmImages, ...]  # images that arms add and that are not of the comparison's own generator
    ensembles: Mapping[str, tuple[UInt8Array, ...]]  # samples of each generator of an ensemble
    nearest: Mapping[str, NearestImages]
    filtered: tuple[FilterSheet, ...]


@dataclass(frozen=True, eq=False)
class CellResult:
    """One replicate of the whole pipeline."""

    folder: ClassVar[str] = CELLS

    index: int
    seed: int
    id: str
    fingerprint: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    # of "train", "validation" and "test", and of "unlabelled" where there are any
    rows: Mapping[str, SplitRows]
    pool: tuple[int, ...]  # images of each class that "train" and "validation" were drawn from
    test_labels: UInt16Array  # uint16 (m,); empty in `comparison.json`, which has them once for all cells
    runtime: Runtime
    generators: Mapping[str, GeneratorRecord]  # by `generator_key`
    arms: Mapping[str, ArmResult]
    analyses: Mapping[str, Any]  # by name, in a type of its own (`Analysis.cell_type`)
    recognised: Recognised | None  # None without generated images, or without the arm `real`
    pictures: Pictures | None  # of the first cells only; None in `comparison.json`
    seconds: float
    # of what it ran on (`versions.versions`); empty in cells from before this was kept
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FailedCell:
    """A cell whose training gave nothing that can be used: left out of everything, and named."""

    folder: ClassVar[str] = FAILED

    index: int
    seed: int
    id: str
    reason: str

    def __str__(self) -> str:
        return f"cell {self.index} (seed {self.seed}): {self.reason}"


def main_generator(generators: Mapping[str, GeneratorRecord], arch: str) -> str | None:
    """The key of the generator that a report shows first: the comparison's own, or the first that an arm used."""
    return arch if arch in generators else next(iter(generators), None)


def generator_key(added: str, arch: str) -> str:
    """The key, among a cell's generators, of the one whose samples are added; `arch` is the arm's architecture."""
    return LEAKY if added == "leaked" else arch + UNLABELLED * (added == "semi-supervised")
