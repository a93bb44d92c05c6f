"""A finished comparison: what was judged, and all that a report shows. `storage.py` writes it as JSON, and reads it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gangda.comparing.cell_result import ArmResult, CellResult, FailedCell, FilterShares, generator_key
from gangda.config.arms import parse_arm
from gangda.runtime.arrays import UInt16Array
from gangda.statistics.values import Judgement

DECIDED = ("better", "worse")  # how verdicts begin that a difference was shown
Shares = Mapping[str, FilterShares]  # by class name


@dataclass(frozen=True)
class Advice:
    """What to do now, and the command to type for it; empty where there is nothing to run."""

    text: str
    command: str


NO_ADVICE = Advice("", "")


@dataclass(frozen=True)
class ArmRow:
    """What an arm was and cost: means over the seeds."""

    name: str
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    train_accuracy: float
    n_train: float
    n_generated: float
    ratios: tuple[float | None, ...] | None  # of each seed; None where nothing was added
    filters: tuple[str, ...] | None  # of each seed; None without a choice
    added_per_class: tuple[float, ...]
    classifier_steps: int
    classifier_seconds: float
    generator_seconds: float  # training and sampling
    draw_rate: float | None  # samples a second; None where no generator was used


@dataclass(frozen=True)
class FilterRow:
    """What filters did to a generator's samples, mean over seeds; a `reason` where too little passed in all cells."""

    generator: str
    filters: str
    classes: Mapping[str, FilterShares]
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Comparison:
    """A finished comparison: the content of `comparison.json`, beside the plan."""

    plain: str  # the first primary difference's verdict for a reader without statistics
    headline: str  # the same, then the verdict with its numbers, what analyses add to it, and failed cells
    advice: Advice  # what to do now
    notes: tuple[str, ...]  # what a reader must know: what the verdict is conditional on, extensions, alarms
    varied: str  # what differs from seed to seed, in words
    judgement: Judgement  # arms and differences with their tests
    arms: tuple[ArmRow, ...]  # in the order of `judgement.arms`
    filters: tuple[FilterRow, ...]
    analyses: Mapping[str, Any]  # by name, what each found, in a type of its own (`Analysis.result_type`)
    failed: tuple[FailedCell, ...]  # cells that are left out of everything
    test_labels: UInt16Array
    cells: tuple[CellResult, ...]
    command: str  # makes this comparison again
    day: str  # on which the last cell was written, as in 2026-11-27
    versions: Mapping[str, str]  # of what the numbers depend on


def objections_to(verdict: str, analyses: Mapping[str, Any]) -> str:
    """What analyses hold against a verdict of better or worse, as in ", but not with resnet"; empty for nothing."""
    objections = [result.objection for result in analyses.values() if result.objection]
    return f", but {' and '.join(objections)}" if objections and verdict.startswith(DECIDED) else ""


def arm_row(cells: Sequence[CellResult], name: str, own_arch: str) -> ArmRow:
    """An arm over the seeds; `own_arch` is the comparison's architecture."""

    def mean(of: Callable[[ArmResult], Any]) -> float:
        return float(np.mean([of(result) for result in results]))

    results = [cell.arms[name] for cell in cells]
    arm, arch = parse_arm(name)
    key = generator_key(arm.added, arch or own_arch)
    used = [cell.generators[key] for cell in cells if arm.sampled and key in cell.generators]
    chose = any(trial.filters for result in results for trial in result.candidates)
    rates = [sum(one.samples.made) / max(one.samples.draw_seconds, 1e-9) for one in used]
    return ArmRow(
        name=name,
        accuracy=mean(lambda one: one.test.accuracy),
        balanced_accuracy=mean(lambda one: one.test.balanced_accuracy),
        macro_f1=mean(lambda one: one.test.macro_f1),
        train_accuracy=mean(lambda one: one.test.train_accuracy),
        n_train=mean(lambda one: one.n_train),
        n_generated=mean(lambda one: one.n_generated),
        ratios=tuple(r.ratio for r in results) if results[0].ratio is not None else None,
        filters=tuple(",".join(r.filters) or "none" for r in results) if chose else None,
        added_per_class=tuple(np.mean([r.added_per_class for r in results], axis=0).tolist()),
        classifier_steps=results[0].steps,
        classifier_seconds=mean(lambda one: one.seconds),
        generator_seconds=float(
            np.mean([one.train_seconds + one.samples.draw_seconds for one in used] or [0])
        ),
        draw_rate=float(np.mean(rates)) if rates else None,
    )


def filter_rows(cells: Sequence[CellResult], own_arch: str) -> tuple[FilterRow, ...]:
    """Of each generator and its filters, by class: means over the cells in which anything was drawn of the class."""
    found: dict[tuple[str, str], list[Shares]] = {}  # by generator and filters
    refused: dict[tuple[str, str], str] = {}  # the reason, where too little passed
    for cell in cells:
        for key, record in cell.generators.items():
            if record.samples.filtering:
                filters = ",".join(record.samples.labels["filters"])
                found.setdefault((key, filters), []).append(record.samples.filtering)
            for filters, samples in record.filtered.items():
                found.setdefault((key, filters), []).append(samples.filtering)
        for name, result in cell.arms.items():
            for trial in result.candidates:
                if trial.reason:
                    arm, arch = parse_arm(name)
                    key = generator_key(arm.added, arch or own_arch)
                    refused[key, ",".join(trial.filters)] = trial.reason
    kept = {
        key: {name: _mean_shares([one[name] for one in shares]) for name in shares[0]}
        for key, shares in found.items()
    }
    return (
        *(FilterRow(*key, classes) for key, classes in kept.items()),
        *(FilterRow(*key, {}, reason) for key, reason in refused.items() if key not in found),
    )


def _mean_shares(shares: Sequence[FilterShares]) -> FilterShares:
    return FilterShares(
        _mean([one.acceptance for one in shares]),
        {name: _mean([one.rejected[name] for one in shares]) for name in shares[0].rejected},
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
