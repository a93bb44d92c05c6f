"""A finished comparison: what was judged, and all that a report shows. `storage.py` writes it as JSON, and reads it."""

from collections.abc import Mapping
from dataclasses import dataclass

from gangda.comparing.cell_result import CellResult, FailedCell, FilterShares
from gangda.runtime.arrays import UInt16Array
from gangda.statistics.exchange_rate import ExchangeRate
from gangda.statistics.values import Interval, Judgement


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


@dataclass(frozen=True)
class SecondOpinion:
    """What the second classifier says of the first primary difference; its own interval is exploratory."""

    classifier: str
    contrast: str
    deltas: tuple[float, ...]
    mean: float | None
    interval: Interval | None
    agrees: bool
    sentence: str


@dataclass(frozen=True)
class TunedRow:
    """An arm, or a difference of arms, with tuned steps.

    Attributes:
        n: seeds in which it did not fail.
        mean, sd, interval: over these; None where there are none (sd: fewer than two).
        chosen: seeds that chose each number of steps; empty for a difference.
    """

    name: str
    n: int
    mean: float | None
    sd: float | None
    interval: Interval | None
    chosen: Mapping[str, int]


@dataclass(frozen=True)
class TunedTable:
    """The arms with tuned steps, and the planned differences between them."""

    steps: tuple[int, ...]
    arms: tuple[TunedRow, ...]
    differences: tuple[TunedRow, ...]


@dataclass(frozen=True)
class CalibrationRow:
    """How an arm whose answer is known came out against `real`; `expected` is "equal", "worse" or "better"."""

    arm: str
    expected: str
    mean: float
    interval: Interval | None
    outcome: str


@dataclass(frozen=True)
class MeasuredCurve:
    """Scores of more and more real images: the arms that measured them, and scores (sizes, seeds)."""

    arms: tuple[str, ...]
    sizes: tuple[float, ...]
    scores: tuple[tuple[float, ...], ...]
    means: tuple[float, ...]


@dataclass(frozen=True)
class ArmWorth:
    """What an arm's added images are worth, with its mean score and the real images it was trained on."""

    rate: ExchangeRate
    mean: float
    real: float


@dataclass(frozen=True)
class ExchangeRates:
    """Learning curves, and the arms read off them; `flat`: sentences on curves that do not rise."""

    curves: tuple[MeasuredCurve, ...]
    worth: tuple[ArmWorth, ...]
    flat: tuple[str, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """All of it in words."""
        return (*(one.rate.sentence for one in self.worth), *self.flat)


@dataclass(frozen=True, eq=False)
class Comparison:
    """A finished comparison: the content of `comparison.json`, beside the plan.

    Attributes:
        headline: the first primary difference's verdict, what the second classifier says, and failed cells.
        notes: what a reader must know: what the verdict is conditional on, extensions, alarms.
        varied: what differs from seed to seed, in words.
        judgement: arms and differences with their tests.
        arms: in the order of `judgement.arms`.
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
    second: SecondOpinion | None
    tuned: TunedTable | None
    calibration: tuple[CalibrationRow, ...]
    exchange: ExchangeRates | None
    failed: tuple[FailedCell, ...]
    test_labels: UInt16Array
    cells: tuple[CellResult, ...]
    command: str
    versions: Mapping[str, str]
