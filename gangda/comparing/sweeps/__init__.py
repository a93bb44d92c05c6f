"""`gangda compare --experiment`: one question under several settings, each variant a folder of its own.

plan.json            which experiment this is, fixed before anything runs
experiment.json      everything found, and how settings differ
report.html          the same for people
variants/<n>-<name>/ of measure "compare": an experiment as `gangda compare` makes it, report and all;
                     of measure "score": plan.json, config.yaml and a file for each seed
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gangda.comparing.plan import ComparisonPlan
from gangda.comparing.sweeps.findings import Findings, find, publish
from gangda.comparing.sweeps.identity import Identity
from gangda.comparing.sweeps.measures import MEASURES, Measure, Setting
from gangda.config.schema import ComparisonConfig
from gangda.errors import DataError, IncompleteError, OutcomeError, UsageError
from gangda.experiments import Experiment
from gangda.runtime.progress import SILENT, Reporter

__all__ = ["ExperimentResult", "experiment"]


@dataclass(frozen=True)
class ExperimentResult:
    """What `gangda compare --experiment` reports; `findings` is None for a rehearsal or a single cell."""

    out: Path
    about: dict[str, Any]
    findings: Findings | None
    cells: int
    finished: int
    dry_run: bool = False

    @property
    def report(self) -> Path | None:
        """The HTML report, once there is one."""
        return None if self.findings is None else self.out / "report.html"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON and for the terminal's tables."""
        return {
            **self.about,
            "out": str(self.out),
            "report": None if self.report is None else str(self.report),
            "dry_run": self.dry_run,
            "cells": self.cells,
            "finished": self.finished,
            **({} if self.findings is None else self.findings.as_dict()),
        }


def experiment(
    asked: Experiment,
    configs: Mapping[str, ComparisonConfig],
    out: Path | None,
    *,
    jobs: int | None = None,
    cell: int | None = None,
    dry_run: bool = False,
    reporter: Reporter = SILENT,
) -> ExperimentResult:
    """Run what is missing of every variant, and judge how they differ.

    Args:
        asked: the experiment.
        configs: each variant's configuration, by name, fully resolved; the first is the reference.
        out: its folder; by default `experiments/<name>-<hash>`. Adding seeds does not change it.
        jobs, cell, dry_run: as for `gangda compare`; cells are counted through all variants.
        reporter: hears of progress.

    Raises:
        UsageError, DataError: a variant that cannot run; every one is planned before the first begins.
        RunError: `out` is another experiment's folder, or somebody else's.
        IncompleteError: `jobs` is 0 and cells are missing.
        OutcomeError: every cell of every variant failed.
        StoppedError, InterruptedByUserError: stopped by a signal; finished cells stay.
    """
    measure = MEASURES[asked.measure](asked)
    plans = _planned(configs, measure)
    identity = Identity.of(asked, plans, measure.figures[0])
    out = Path("experiments") / f"{asked.name}-{identity.hash[:8]}" if out is None else out
    settings = _settings(configs, plans, out)
    about = _about(asked, settings)
    if dry_run:
        return ExperimentResult(out, about, None, *_count(settings, measure), dry_run=True)
    if cell is not None:
        _refuse_beyond(cell, settings)
    identity.claim(out)
    _run(settings, measure, jobs, cell, reporter)
    cells, finished = _count(settings, measure)
    if cell is not None:
        return ExperimentResult(out, about, None, cells, finished)
    lost = sum(len(measure.failed(setting)) for setting in settings)
    if lost == cells:
        raise OutcomeError(f"{out}: all {cells} cells failed; {measure.failed(settings[0])[0]}")
    if finished + lost < cells:
        raise IncompleteError(f"{out}: {_missing(settings, measure)}; run the same command without --jobs 0")
    findings = find(asked, settings, measure)
    publish(out, about, findings)
    return ExperimentResult(out, about, findings, cells, finished)


def _settings(
    configs: Mapping[str, ComparisonConfig], plans: Mapping[str, ComparisonPlan], out: Path
) -> list[Setting]:
    """The variants in their order, each with its folder."""
    return [
        Setting(name, config, out / "variants" / f"{index:02d}-{_slug(name)}", plans[name])
        for index, (name, config) in enumerate(configs.items())
    ]


def _planned(configs: Mapping[str, ComparisonConfig], measure: Measure) -> dict[str, ComparisonPlan]:
    """Every variant planned and checked, before any work.

    Raises:
        UsageError, DataError: the first one that cannot run, named.
    """
    if len({config.compare.seeds for config in configs.values()}) > 1:
        raise UsageError("the variants have different numbers of seeds, so that they cannot be paired")
    plans = {}
    for name, config in configs.items():
        try:
            plans[name] = measure.plan(config)
        except (UsageError, DataError) as error:
            raise type(error)(f"variant '{name}': {error}") from error
    return plans


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")[:60] or "variant"


def _about(asked: Experiment, settings: Sequence[Setting]) -> dict[str, Any]:
    return {
        "name": asked.name,
        "title": asked.title,
        "question": asked.question,
        "origin": asked.origin,
        "measure": asked.measure,
        "varied": list(asked.varied),
        "variants": [setting.name for setting in settings],
        "seeds": settings[0].config.compare.seeds,
    }


def _count(settings: Sequence[Setting], measure: Measure) -> tuple[int, int]:
    """Cells in all, and finished ones."""
    done = [measure.finished(setting) for setting in settings]
    return sum(len(setting.plan.cells) for setting in settings), sum(map(len, done))


def _done(setting: Setting, measure: Measure) -> set[int]:
    """Indices of its cells that have a result, or a reason for having none."""
    return measure.finished(setting) | {failure.index for failure in measure.failed(setting)}


def _refuse_beyond(cell: int, settings: Sequence[Setting]) -> None:
    count = sum(len(setting.plan.cells) for setting in settings)
    if cell >= count:
        raise UsageError(f"--cell {cell}: the experiment has cells 0 to {count - 1}")


def _run(
    settings: Sequence[Setting], measure: Measure, jobs: int | None, cell: int | None, reporter: Reporter
) -> None:
    """One variant after the other; with `cell`, that one cell. Whole variants too: they may not be judged yet."""
    if cell is not None:
        each = len(settings[0].plan.cells)
        measure.run(settings[cell // each], 1, cell % each, reporter)
        return
    for number, setting in enumerate(settings, start=1):
        whole = len(_done(setting, measure)) == len(setting.plan.cells)
        if jobs == 0 and not whole:
            continue  # what is missing is said of all variants together
        if not whole:
            reporter.line(f"variant {number} of {len(settings)}: {setting.name}")
        measure.run(setting, jobs, None, reporter)


def _missing(settings: Sequence[Setting], measure: Measure) -> str:
    """The missing cells, by variant."""
    parts = []
    for number, setting in enumerate(settings):
        done = _done(setting, measure)
        missing = [cell.index for cell in setting.plan.cells if cell.index not in done]
        if missing:
            first = number * len(setting.plan.cells)
            parts.append(f"'{setting.name}' lacks cells {', '.join(str(first + index) for index in missing)}")
    return "; ".join(parts)
