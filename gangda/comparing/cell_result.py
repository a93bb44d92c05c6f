"""What one cell of a comparison found. `storage.py` writes it as JSON, and reads it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from gangda.classifying.evaluation import Evaluation
from gangda.config.schema import Runtime
from gangda.metrics.result import MetricResult
from gangda.runtime.arrays import UInt8Array, UInt16Array


@dataclass(frozen=True)
class SplitRows:
    """Images of a split: how many, of each class, and a hash of their rows in the source."""

    count: int
    per_class: tuple[int, ...]
    hash: str


@dataclass(frozen=True)
class Trial:
    """A ratio and filters that an arm tried.

    Attributes:
        filters: empty where there was nothing to choose.
        validation: score on the validation images; None where there are none, or the filters let too little pass.
        reason: why there is no score, where filters let too little pass.
    """

    ratio: float | None
    filters: tuple[str, ...] = ()
    validation: float | None = None
    reason: str = ""


@dataclass(frozen=True, eq=False)
class ArmResult:
    """One arm in one cell.

    Attributes:
        ratio, filters: those that the arm chose; no ratio where it adds nothing, or replaces all.
        n_train, n_generated: images trained on, and how many of them are not the real subset's own.
        steps, seconds: of the classifier's training.
        classifier: hash of its weights.
    """

    ratio: float | None
    filters: tuple[str, ...]
    candidates: tuple[Trial, ...]
    n_train: int
    n_generated: int
    added_per_class: tuple[int, ...]
    steps: int
    classifier: str
    seconds: float
    validation_accuracy: float | None
    test: Evaluation


@dataclass(frozen=True)
class FilterShares:
    """Shares of the samples drawn of a class: kept, and rejected by each filter; None where nothing was drawn."""

    acceptance: float | None
    rejected: Mapping[str, float | None]


@dataclass(frozen=True)
class SampleRecord:
    """Samples drawn from a generator.

    Attributes:
        labels: how they were labelled and filtered, as the sampler reports it.
        filtering: by class name.
        made: images of each class.
        content: hash of the images.
    """

    labels: Mapping[str, Any]
    filtering: Mapping[str, FilterShares]
    made: tuple[int, ...]
    content: str
    draw_seconds: float


@dataclass(frozen=True)
class CurveAlarm:
    """Alarms raised at one step of training."""

    step: int
    texts: tuple[str, ...]


@dataclass(frozen=True)
class TrainingCurves:
    """What was logged while a generator was trained, thinned to what a report can draw.

    Attributes:
        terms: loss terms, accuracies and gradient norms by name, as long as `steps`; None where one was not logged.
        evaluations: figures of the samples, with the `step` at which they were evaluated.
    """

    steps: tuple[int, ...]
    terms: Mapping[str, tuple[float | None, ...]]
    evaluations: tuple[Mapping[str, Any], ...]
    alarms: tuple[CurveAlarm, ...]


@dataclass(frozen=True)
class GeneratorRecord:
    """A generator of a cell and the samples drawn from it.

    Attributes:
        shared: it comes from a run that all cells share.
        samples: after the filters of all arms.
        filtered: after other filters that an arm could choose, by their names joined with commas.
        curves: None where nothing was trained step by step.
    """

    arch: str
    steps: int
    checkpoint: str
    shared: bool
    train_seconds: float
    samples: SampleRecord
    filtered: Mapping[str, SampleRecord]
    curves: TrainingCurves | None = None


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
    """Samples of one generator against the training images.

    Attributes:
        samples, train: the closest pairs, uint8 (n, H, W, C), with their `distances` in grey levels.
        of_samples, of_held_out: distances to the nearest training image, ascending.
        metrics: those of memorisation.
    """

    samples: UInt8Array
    train: UInt8Array
    distances: tuple[float, ...]
    of_samples: tuple[float, ...]
    of_held_out: tuple[float, ...]
    metrics: tuple[MetricResult, ...]


@dataclass(frozen=True, eq=False)
class Pictures:
    """Images that a cell keeps for the report; `ensembles` and `nearest` by the generator's key.

    Attributes:
        classes: the first images of the first classes.
        added: images that arms add and that are not of the comparison's own generator.
        ensembles: samples of each generator of an ensemble.
    """

    classes: tuple[ClassImages, ...]
    added: tuple[ArmImages, ...]
    ensembles: Mapping[str, tuple[UInt8Array, ...]]
    nearest: Mapping[str, NearestImages]
    filtered: tuple[FilterSheet, ...]


@dataclass(frozen=True, eq=False)
class CellResult:
    """One replicate of the whole pipeline.

    Attributes:
        rows: of "train", "validation" and "test".
        test_labels: uint16 (m,); empty in `comparison.json`, which has them once for all cells.
        generators: by architecture; `arm_sets.LEAKY` is one that saw too much.
        analyses: by name, in a type of its own (`Analysis.cell_type`).
        recognised: None without generated images, or without the arm `real`.
        pictures: of the first cells only; None in `comparison.json`.
    """

    folder: ClassVar[str] = "cells"

    index: int
    seed: int
    id: str
    fingerprint: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    rows: Mapping[str, SplitRows]
    test_labels: UInt16Array
    runtime: Runtime
    generators: Mapping[str, GeneratorRecord]
    arms: Mapping[str, ArmResult]
    analyses: Mapping[str, Any]
    recognised: Recognised | None
    pictures: Pictures | None
    seconds: float


@dataclass(frozen=True)
class FailedCell:
    """A cell whose training gave nothing that can be used: left out of everything, and named."""

    folder: ClassVar[str] = "failed"

    index: int
    seed: int
    id: str
    reason: str

    def __str__(self) -> str:
        return f"cell {self.index} (seed {self.seed}): {self.reason}"
