"""Analyses beside the verdict: each is one object, in a file of its own, with a line in `catalog.ANALYSES`."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gangda.classifying.evaluation import Evaluation
from gangda.comparing.comparison import ArmRow, Comparison
from gangda.comparing.policy_choice import PolicyChoice
from gangda.config import catalog
from gangda.config.schema import ComparisonConfig
from gangda.data.images import IntArray
from gangda.errors import DataError, UsageError
from gangda.report.page import environment
from gangda.runtime.plain import from_plain
from gangda.statistics.families import family_of
from gangda.statistics.values import Judgement


@dataclass(frozen=True)
class Additions:
    """What an analysis adds to a comparison's plan."""

    fits: int = 0  # classifiers that it trains in every cell, for the progress bar
    length: float = 1.0  # of these trainings, in usual ones, for the estimate
    cells: int | None = (
        None  # how many of the first cells it runs in, None for all; the others have no part of it
    )
    validation: bool = False  # whether it needs validation images
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # what its part of a cell depends on


@dataclass(frozen=True, kw_only=True)
class AnalysisResult:
    """What an analysis found over all cells; subclasses add their values."""

    headline: str = ""  # a sentence that is added to the verdict; empty for none
    objection: str = ""  # takes a decided verdict back, as in "not with resnet"; empty for none
    notes: tuple[str, ...] = ()  # what a reader must know
    sentences: tuple[str, ...] = ()  # shown in the terminal below the verdict


@dataclass(frozen=True)
class Section:
    """Part of the report: `html` is what stands below the title."""

    anchor: str
    title: str
    html: str


@dataclass(frozen=True)
class Table:
    """A table for the terminal."""

    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Judged:
    """What analyses go by: the verdicts, what each arm was, and the comparison's configuration."""

    judgement: Judgement
    arms: Sequence[ArmRow]
    config: ComparisonConfig


class Evaluator(Protocol):
    """What an analysis can do in a cell whose arms have been evaluated (`ArmEvaluator`)."""

    policy: PolicyChoice | None  # the traditional transforms that the cell chose, under `--policy auto`

    def again(
        self, name: str, classifier: str | None = None, steps: int | None = None, *, reverse: bool = False
    ) -> Any:
        """Train an arm's classifier again, with another one, other steps, or each batch in reversed order."""

    def ratio_of(self, name: str) -> float | None:
        """The ratio that an arm has chosen."""

    def on_test(self, fitted: Any) -> Evaluation:
        """A classifier from `again` on the test images."""

    def on_validation(self, fitted: Any) -> Evaluation:
        """The same on the validation images, of which there are some."""

    def validation_labels(self) -> IntArray:
        """Labels of the validation images, int64 (N,), in their order."""


def first_contrast(config: ComparisonConfig, flag: str) -> tuple[str, tuple[str, ...]]:
    """The first primary difference, which `flag` is about, and its arms; a UsageError where nothing is tested."""
    primary = family_of(config.compare.arms, config.compare.contrast).primary
    if not primary:
        raise UsageError(f"{flag}: nothing is tested among these arms; give --contrast, or more --arms")
    contrast, terms = next(iter(primary.items()))
    return contrast, tuple(arm for arm, _ in terms)


class Analysis(ABC):
    """One analysis; what a subclass leaves out adds nothing.

    `cell_type` and `result_type` are what `run_in_cell` and `judge` return: dataclasses, or mappings of them, that are
    written to JSON and read back.
    """

    cell_type: Any = None
    result_type: type[AnalysisResult] = AnalysisResult

    def plan(self, config: ComparisonConfig) -> Additions | None:
        """What it adds to the plan; None where it is not asked for, a UsageError where it cannot be done."""
        return Additions()

    def run_in_cell(self, evaluator: Evaluator, config: ComparisonConfig) -> Any:
        """Its part of a cell's result; None for none."""
        return None

    @abstractmethod
    def judge(self, found: Sequence[Any], judged: Judged) -> AnalysisResult | None:
        """What it found: `found` is its part of each finished cell, None where a cell has none."""

    def section(self, result: Any, comparison: Comparison) -> Section | None:
        """Its part of the report; None for none."""
        return None

    def limit(self, result: Any | None) -> str:
        """A sentence for the limits in the report, whether it ran or not (None); empty for none."""
        return ""

    def tables(self, result: Any) -> Sequence[Table]:
        """What the terminal shows of it beside its sentences."""
        return ()


def rendered(template: str, **values: Any) -> str:
    """HTML of a template in `comparing/report`."""
    return environment("gangda.comparing").get_template(template).render(**values)


def load_analyses() -> dict[str, Analysis]:
    """One object of each entry of the catalog, by name."""
    return {name: catalog.load_target(entry.target)() for name, entry in catalog.ANALYSES.items()}


def planned_analyses(config: ComparisonConfig) -> dict[str, Additions]:
    """What those that are asked for add to the plan; a UsageError for one that cannot be done."""
    planned = {name: analysis.plan(config) for name, analysis in load_analyses().items()}
    return {name: additions for name, additions in planned.items() if additions is not None}


def read_parts(plain: Mapping[str, Any], attribute: str) -> dict[str, Any]:
    """Values by analysis from JSON, in the types that the analyses have for them (`attribute`); else a DataError."""
    known = load_analyses()
    if unknown := set(plain) - set(known):
        raise DataError(f"unknown analysis: {', '.join(sorted(unknown))}")
    return {name: from_plain(getattr(known[name], attribute), part) for name, part in plain.items()}
