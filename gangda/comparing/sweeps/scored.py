"""Measure "score": every cell draws a subset, trains its generator, and scores the samples.

The figures are of test images; the best variant is chosen by the first of them on validation images.
"""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from gangda.comparing import run_missing
from gangda.comparing.added_images import GENERATOR_SHARE, AddedImages, Phase, Progress
from gangda.comparing.arm_sets import check_filters, train_config
from gangda.comparing.cell_result import GeneratorRecord
from gangda.comparing.cells import finish_cell, splits_of
from gangda.comparing.estimate import Cost, cost_of
from gangda.comparing.pictures import read_evaluations
from gangda.comparing.plan import Cell, ComparisonPlan, make_plan
from gangda.comparing.plan_file import publish
from gangda.comparing.storage import StoredCells, work_of
from gangda.comparing.sweeps.settings import Setting
from gangda.comparing.versions import versions
from gangda.config.schema import AUTO, ComparisonConfig
from gangda.data.loading import load_splits
from gangda.errors import DataError, UsageError
from gangda.experiments import RETRAINED, Experiment
from gangda.metrics.evaluate import default_cache, evaluate_metrics, prepare_inputs
from gangda.metrics.result import MetricResult
from gangda.runtime.device import prepare
from gangda.runtime.part import Part
from gangda.runtime.plan_status import SCORES
from gangda.runtime.progress import Reporter
from gangda.sampling.filters import is_circular
from gangda.statistics.components import components_of
from gangda.training import check as check_training

SAMPLED = "generated-only"  # the arm of which a scored cell is a part
ON_VALIDATION = " on validation images"  # after a metric's name


@dataclass(frozen=True, eq=False)
class ScoredCell:
    """Metrics of the samples of one seed's generator; `repeats` is CAS of each classifier, where there are several."""

    folder: ClassVar[str] = SCORES

    index: int
    seed: int
    id: str
    fingerprint: str
    n_train: int
    generator: GeneratorRecord
    # By metric, and the first one `ON_VALIDATION`, where it can be measured there.
    values: Mapping[str, MetricResult]
    metrics: tuple[MetricResult, ...]
    evaluations: tuple[Mapping[str, Any], ...]
    repeats: tuple[float, ...]
    seconds: float
    # as of a `CellResult`
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)


class Scored(Setting):
    """Variants are compared in the first of the experiment's metrics."""

    kind = ScoredCell

    @staticmethod
    def plan_of(experiment: Experiment, config: ComparisonConfig) -> ComparisonPlan:
        """One cell for each seed."""
        splits = load_splits(config.data, config.runtime.seed)
        plan = make_plan(config, splits.fingerprint, None, None)
        if AUTO in config.compare.filter:
            raise UsageError("--filter auto: samples are scored, no classifier chooses; name the filter")
        check_filters(config, splits.train.num_classes, int(splits.train.counts().min()))
        trained = train_config(plan.config, config.arch, config.runtime.seed)
        check_training(trained, splits.train, splits.labelled)
        return plan

    @property
    def figures(self) -> tuple[str, ...]:
        """The experiment's metrics."""
        return self.experiment.metrics

    @property
    def metrics(self) -> tuple[str, ...]:
        """The same."""
        return self.figures

    def run(self, jobs: int | None, part: Part, reporter: Reporter) -> None:
        """Train and score the generators of the part's seeds."""
        plan = publish(self.plan, self.folder)
        work = functools.partial(run_score, metrics=self.figures, repeats=self.experiment.repeats)
        wanted = part.numbers(len(plan.cells))
        missing = [cell for cell in self.cells().missing if cell.index in wanted]
        run_missing(plan, missing, self.folder, jobs, reporter, work)

    def cost(self, jobs: int | None) -> Cost:
        """Its generator, and one classifier of its samples; other metrics take less."""
        compare = dataclasses.replace(self.plan.config.compare, arms=(SAMPLED,), contrast=())
        plan = dataclasses.replace(self.plan, config=dataclasses.replace(self.plan.config, compare=compare))
        return cost_of(plan, len(self.cells().results), jobs)

    def complete(self, result: ScoredCell) -> bool:
        """Whether it has all metrics and repeats."""
        return _is_complete(result, self.figures, self.experiment.repeats)

    def value(self, result: ScoredCell, figure: str) -> float | None:
        """The metric's first value, or the mean over its classifiers."""
        if figure == RETRAINED and result.repeats:
            return float(np.mean(result.repeats))
        return result.values[figure].value

    def direction(self, result: ScoredCell) -> str:
        """Of the first metric."""
        return result.values[self.figures[0]].direction

    def details(self, found: StoredCells[ScoredCell]) -> dict[str, Any]:
        """Floors, alarms, evaluations during training, and where the spread comes from."""
        cells = list(found.results.values())
        notes = {metric.note for cell in cells for metric in cell.metrics}
        repeated = self.experiment.repeats > 1 and cells
        key = self.figures[0] + ON_VALIDATION
        choices = [cell.values[key] for cell in cells if key in cell.values]
        complete = bool(cells) and len(choices) == len(cells)
        return {
            "floors": {name: _mean_of(cell.values[name].floor for cell in cells) for name in self.figures},
            "validation": _mean_of(one.value for one in choices) if complete else None,
            "validation_floor": _mean_of(one.floor for one in choices),
            "notes": tuple(sorted(note for note in notes if note.startswith("ALARM"))),
            "evaluations": tuple(cell.evaluations for cell in cells),
            "spread": components_of([cell.repeats for cell in cells]) if repeated else None,
            "steps": cells[0].generator.steps if cells else None,
            "seconds": _mean_of(cell.seconds for cell in cells),
        }


def _mean_of(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _is_complete(result: ScoredCell, metrics: Collection[str], repeats: int) -> bool:
    return set(metrics) <= set(result.values) and repeats in (1, len(result.repeats))


def run_score(
    plan: ComparisonPlan, cell: Cell, out: Path, progress: Progress, metrics: Sequence[str], repeats: int = 1
) -> None:
    """Train, draw and score; write the result, as `finish_cell`. The generator goes on where an attempt stopped."""
    run = functools.partial(score_cell, plan, cell, out, progress, metrics, repeats)
    finish_cell(cell, out, ScoredCell, run, functools.partial(_is_complete, metrics=metrics, repeats=repeats))


def score_cell(
    plan: ComparisonPlan, cell: Cell, out: Path, progress: Progress, metrics: Sequence[str], repeats: int = 1
) -> ScoredCell:
    """Metrics of the cell's samples; of `repeats` classifiers that CAS trains, the first gives the metric's figures."""
    began = time.monotonic()
    config, context = plan.config, prepare(plan.config.runtime)
    splits = splits_of(plan, cell)
    added = AddedImages(plan, cell, splits, context, work_of(out, cell), progress, exact=False)
    samples = added.of("generator")
    labels = added.records[config.arch].samples.labels
    listener = Phase(progress, GENERATOR_SHARE, 1 - GENERATOR_SHARE, "metrics")
    prepared = functools.partial(
        prepare_inputs,
        samples,
        splits,
        seed=cell.seed,
        context=context,
        classifier=config.classifier,
        cache=default_cache(),
        circular=is_circular(labels),
        reporter=listener,
    )
    inputs = prepared()
    found = {name: evaluate_metrics(inputs, [name], listener) for name in metrics}
    empty = [name for name, results in found.items() if not results]
    if empty:
        raise DataError(f"{empty[0]} cannot be measured of these samples; choose other metrics")
    values = {name: results[0] for name, results in found.items()}
    if len(splits.validation):
        # No class in common: the choice is then said to be on test images.
        with contextlib.suppress(DataError):
            [first, *_] = evaluate_metrics(prepared(reference="validation"), metrics[:1], listener)
            values[metrics[0] + ON_VALIDATION] = first
    again = [
        evaluate_metrics(prepared(repeat=number), [RETRAINED], listener)[0] for number in range(1, repeats)
    ]
    return ScoredCell(
        index=cell.index,
        seed=cell.seed,
        id=cell.id,
        fingerprint=splits.fingerprint,
        n_train=len(splits.train),
        generator=added.records[config.arch],
        values=values,
        metrics=tuple(metric for results in found.values() for metric in results),
        evaluations=tuple(read_evaluations(added.folder(config.arch) / "metrics.jsonl")),
        repeats=tuple(one.value for one in (*found[RETRAINED][:1], *again)) if again else (),
        seconds=time.monotonic() - began,
        versions=versions(added.context.device),
    )
