"""A finished comparison: what was judged, and all that a report shows. `storage.py` writes it as JSON, and reads it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gangda.comparing.cell_result import CellResult, FailedCell, FilterShares
from gangda.runtime.arrays import UInt16Array
from gangda.statistics.values import Judgement


@dataclass(frozen=True)
class ArmRow:
    """What an arm was and cost: means over the seeds.

    Attributes:
        ratios, filters: of each seed; None where nothing was added, or nothing was to choose.
        generator_seconds: training and sampling.
        draw_rate: samples a second; None where no generator was used.
    """

    name: str
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    train_accuracy: float
    n_train: float
    n_generated: float
    ratios: tuple[float | None, ...] | None
    filters: tuple[str, ...] | None
    added_per_class: tuple[float, ...]
    classifier_steps: int
    classifier_seconds: float
    generator_seconds: float
    draw_rate: float | None


@dataclass(frozen=True)
class FilterRow:
    """What filters did to a generator's samples, by class name and mean over the seeds.

    Filters that let too little pass in every cell have a `reason` and no classes.
    """

    generator: str
    filters: str
    classes: Mapping[str, FilterShares]
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Comparison:
    """A finished comparison: the content of `comparison.json`, beside the plan.

    Attributes:
        headline: the first primary difference's verdict, what analyses add to it, and failed cells.
        notes: what a reader must know: what the verdict is conditional on, extensions, alarms.
        varied: what differs from seed to seed, in words.
        judgement: arms and differences with their tests.
        arms: in the order of `judgement.arms`.
        analyses: by name, what each found, in a type of its own (`Analysis.result_type`).
        failed: cells that are left out of everything.
        command: makes this comparison again.
        versions: of what the numbers depend on.
    """

    headline: str
    notes: tuple[str, ...]
    varied: str
    judgement: Judgement
    arms: tuple[ArmRow, ...]
    filters: tuple[FilterRow, ...]
    analyses: Mapping[str, Any]
    failed: tuple[FailedCell, ...]
    test_labels: UInt16Array
    cells: tuple[CellResult, ...]
    command: str
    versions: Mapping[str, str]
