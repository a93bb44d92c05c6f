"""`gangda compare --experiment`: one question under several settings, each variant in its own folder."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gangda.comparing.estimate import Cost
from gangda.comparing.plan import digest
from gangda.comparing.plan_file import refuse_missing
from gangda.comparing.storage import StoredCells
from gangda.comparing.sweeps.advice import Sweep, advise
from gangda.comparing.sweeps.experiment_plan import as_run, claim, fixed_values, with_threads_of
from gangda.comparing.sweeps.findings import Findings, compare_variants, publish
from gangda.comparing.sweeps.scored import Scored
from gangda.comparing.sweeps.settings import Compared, Setting, data_alarms
from gangda.comparing.versions import joined
from gangda.comparing.workers import job_count
from gangda.config.schema import ComparisonConfig, Runtime
from gangda.errors import DataError, IncompleteError, OutcomeError, UsageError
from gangda.experiments import Experiment
from gangda.runtime.device import is_here, pick_device
from gangda.runtime.part import JUDGE, PLAN, WHOLE, Part
from gangda.runtime.plain import to_plain
from gangda.runtime.plan_status import PLAN as PLAN_FILE
from gangda.runtime.progress import SILENT, Reporter, duration

__all__ = ["SweepResult", "sweep"]

MEASURES: Mapping[str, type[Setting]] = {"compare": Compared, "score": Scored}
NAMED = ("name", "title", "question", "origin", "measure", "varied")  # of the experiment, what results repeat


@dataclass(frozen=True)
class SweepResult:
    """What `gangda compare --experiment` reports; `findings` is None for a dry run or a single cell."""

    out: Path
    about: Mapping[str, Any]
    findings: Findings | None
    planned: int  # cells of all variants
    finished: int
    runtime: Runtime  # what a cell runs on
    dry_run: bool = False
    costs: Mapping[str, Cost] | None = None  # of each variant; only for a dry run and a plan

    @property
    def cell_seconds(self) -> float | None:
        """Of a cell of the variant that takes longest, where that is known."""
        return None if self.costs is None else max(cost.cell_seconds for cost in self.costs.values())

    @property
    def cell_memory(self) -> int | None:
        """Bytes of a cell of the variant that takes most, where that is known."""
        costs = None if self.costs is None else self.costs.values()
        return None if costs is None else max(cost.memory_bytes // cost.at_once for cost in costs)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON and for the terminal's tables."""
        return {
            **self.about,
            "out": str(self.out),
            "report": None if self.findings is None else str(self.out / "report.html"),
            "dry_run": self.dry_run,
            "cells": self.planned,
            "finished": self.finished,
            **({} if self.costs is None else {"costs": to_plain(self.costs)}),
            **({} if self.findings is None else to_plain(self.findings)),
        }


def sweep(
    experiment: Experiment,
    configs: Mapping[str, ComparisonConfig],
    out: Path | None,
    *,
    jobs: int | None = None,
    part: Part = WHOLE,
    typed: Sequence[str] = (),
    dry_run: bool = False,
    reporter: Reporter = SILENT,
) -> SweepResult:
    """Run what is missing of every variant, and judge how they differ.

    Args:
        configs: each variant's configuration, by name, fully resolved; the first is the reference.
        out: its folder; by default `experiments/<name>-<hash>`. Adding seeds does not change it.
        typed: the words after `gangda compare`, for advice; by default the experiment's name.
        jobs, part, dry_run: as for `gangda compare`, whose errors it raises too; cells count through all variants.

    Raises UsageError, DataError: a variant that cannot run; every one is planned before the first begins.
    """
    if out is not None:
        configs = with_threads_of(configs, out, reporter)
    judged = out if part.only == JUDGE and not dry_run else None
    settings = _settings(experiment, configs, judged)
    fixed = fixed_values(experiment, settings)
    out = Path("experiments") / f"{experiment.name}-{digest(fixed)[:8]}" if out is None else out
    settings = [replace(one, folder=out / one.folder) for one in settings]
    if part.only == JUDGE and not dry_run:
        refuse_missing(out)
    alarms = data_alarms(settings)
    is_new = not dry_run and not (out / PLAN_FILE).exists()
    seen = dict.fromkeys(text for one in settings for text in one.plan.seen)
    for text in (*(seen if is_new else ()), *alarms):
        reporter.line(text)
    about = {
        **to_plain({key: getattr(experiment, key) for key in NAMED}),
        "variants": [one.name for one in settings],
        "data_alarms": alarms,
        "seeds": len(settings[0].plan.cells),
    }
    cells = [(setting, index) for setting in settings for index in range(len(setting.plan.cells))]
    wanted = [cells[number] for number in part.numbers(len(cells))]
    if not part.judges and (jobs or 1) > 1:
        raise UsageError("--jobs: a part of an experiment's cells runs one after the other; leave it out")
    # The device is here, before anything is written; for cells that are finished none is needed.
    for one in settings if not dry_run else ():
        numbers = {index for setting, index in wanted if setting is one}
        if numbers and any(cell.index in numbers for cell in one.cells().missing):
            pick_device(one.plan.config.runtime.device)
    claim(fixed, settings, out, dry_run=dry_run or part.only == JUDGE)
    if not dry_run:
        if part.judges:
            _run(settings, jobs, part, reporter)
        else:
            for setting, index in wanted:
                setting.run(1, Part(cell=index), reporter)
    found, findings = [setting.cells() for setting in settings], None
    if not dry_run and part.judges:
        _refuse_incomplete(settings, found, out, len(cells))
        findings = compare_variants(experiment, settings, found)
        words, first = typed or ("--experiment", experiment.name), settings[0].plan
        at_once = job_count(None, first)[0]
        advice = advise(Sweep(findings, out, words, len(first.cells), first.cells[0].seed, at_once))
        findings = replace(findings, advice=advice)
        ran_on = joined(result.versions for one in found for result in one.results.values())
        publish(out, {**about, "versions": ran_on}, findings)
    finished = sum(len(one.results) for one in found)
    runtime = settings[0].plan.config.runtime
    timed = dry_run or (part.only == PLAN and is_here(runtime.device))
    costs = _costs(settings, jobs, reporter) if timed else None
    return SweepResult(out, about, findings, len(cells), finished, runtime, dry_run, costs)


def _costs(settings: Sequence[Setting], jobs: int | None, reporter: Reporter) -> dict[str, Cost]:
    """What each variant takes on this machine, by its name."""
    found: dict[str, Cost] = {}
    for setting in settings:
        reporter.step("timing variants", len(found), len(settings), setting.name)
        found[setting.name] = setting.cost(jobs)
    return found


def _settings(
    experiment: Experiment, configs: Mapping[str, ComparisonConfig], judged: Path | None
) -> list[Setting]:
    """Every variant planned and checked, before any work; folders are relative to the experiment's.

    `judged`: the experiment's folder, where its cells are only read.
    """
    if len({config.compare.seeds for config in configs.values()}) > 1:
        raise UsageError("the variants have different numbers of seeds, so that they cannot be paired")
    kind, settings = MEASURES[experiment.measure], []
    for index, (name, config) in enumerate(configs.items()):
        slug = re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")[:60] or "variant"
        folder = Path("variants") / f"{index:02d}-{slug}"
        try:
            plan = kind.plan_of(experiment, config if judged is None else as_run(config, judged / folder))
        except (UsageError, DataError) as error:
            raise type(error)(f"variant '{name}': {error}") from error
        settings.append(kind(experiment, name, folder, plan))
    return settings


def _run(settings: Sequence[Setting], jobs: int | None, part: Part, reporter: Reporter) -> None:
    """One variant after the other; complete ones too: they may not be judged yet."""
    open_ones = [one for one in settings if one.cells().missing]
    if open_ones and part == WHOLE and reporter.shown:
        left = sum(cost.left_seconds for cost in _costs(open_ones, jobs, reporter).values())
        reporter.line(f"all variants, one after the other: about {duration(left)} on this machine")
    for number, setting in enumerate(settings, start=1):
        missing = bool(setting.cells().missing)
        if missing and part.only == JUDGE:
            continue  # what is missing is reported of all variants together
        if missing:
            reporter.line(f"variant {number} of {len(settings)}: {setting.name}")
        setting.run(jobs, part, reporter)


def _refuse_incomplete(
    settings: Sequence[Setting], found: Sequence[StoredCells[Any]], out: Path, cells: int
) -> None:
    parts, before = [], 0
    for setting, one in zip(settings, found, strict=True):
        if one.missing:
            numbers = ", ".join(str(before + cell.index) for cell in one.missing)
            parts.append(f"'{setting.name}' lacks cells {numbers}")
        before += len(setting.plan.cells)
    failed = [failure for one in found for failure in one.failed]
    if len(failed) == cells:
        raise OutcomeError(f"{out}: all {cells} cells failed; {failed[0]}")
    if parts:
        raise IncompleteError(f"{out}: {'; '.join(parts)}; run the same command without --judge")
