"""`gangda compare`: plan the cells, run what is missing, judge. `storage.py` says what lies in the folder."""

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gangda.augmenting.plan import make_plan as plan_images
from gangda.comparing.arm_sets import BY_VALIDATION, check, check_filters, train_config, uses_validation
from gangda.comparing.cell_result import CellResult, FailedCell
from gangda.comparing.cells import run_cell
from gangda.comparing.comparison import Comparison
from gangda.comparing.controls import CHECKS
from gangda.comparing.plan import Cell, ComparisonPlan, make_plan, publish
from gangda.comparing.results import collect
from gangda.comparing.storage import read_cells
from gangda.comparing.workers import Work, run_cells
from gangda.config import architectures
from gangda.config.arms import parse_arm
from gangda.config.fields import from_plain
from gangda.config.schema import ComparisonConfig
from gangda.data.loading import load_splits
from gangda.data.splits import DataSplits
from gangda.errors import UsageError
from gangda.runtime.machine import available_cores
from gangda.runtime.plain import to_plain
from gangda.runtime.progress import SILENT, Reporter
from gangda.training import check as check_training
from gangda.training.leaks import check_run, refuse_synthetic
from gangda.training.saved_model import Model, load_model

__all__ = ["CompareResult", "collect", "compare", "job_count", "planned", "run_missing"]


@dataclass(frozen=True, eq=False)
class CompareResult:
    """What `gangda compare` reports."""

    out: Path
    plan: ComparisonPlan
    comparison: Comparison | None  # None for a dry run, or where one `cell` was asked for
    finished: int  # how many cells are
    cell: int | None = None
    dry_run: bool = False
    failed: tuple[FailedCell, ...] = ()  # cells that are left out of everything, with the reason

    @property
    def report(self) -> Path | None:
        """The HTML report, once there is one."""
        return None if self.comparison is None else self.out / "report.html"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the comparison without its cells."""
        found = {} if self.comparison is None else to_plain(dataclasses.replace(self.comparison, cells=()))
        return {
            **found,
            "out": str(self.out),
            "report": None if self.report is None else str(self.report),
            "dry_run": self.dry_run,
            "cell": self.cell,
            "planned": len(self.plan.cells),
            "finished": self.finished,
            "failed": to_plain(self.failed),
            "data_alarms": list(self.plan.alarms),
            "plan": self.plan.as_dict(),
        }


def compare(
    config: ComparisonConfig,
    out: Path | None,
    *,
    jobs: int | None = None,
    run: Path | None = None,
    cell: int | None = None,
    dry_run: bool = False,
    reporter: Reporter = SILENT,
) -> CompareResult:
    """Run what is missing of a comparison and judge it.

    Args:
        config: the comparison. Cells use one thread each unless `config.runtime.threads` says otherwise.
        out: the comparison's folder; by default `experiments/<data>-<arch>-<hash>`.
        jobs: cells at a time; by default as many as the cores allow. 0 only judges what is there.
        run: a run folder whose generator all cells share, instead of training one each.
        cell: run this one only, and do not judge (for clusters).

    Raises UsageError, DataError, RunError: what cannot be done; each one line; IncompleteError: `jobs` is 0 and cells
    are missing; OutcomeError: every cell failed; StoppedError, InterruptedByUserError: stopped by a signal; finished
    cells stay.
    """
    plan = planned(config, run)
    if out is None:  # adding seeds does not change it
        name = Path(config.data.source).name or "data"
        out = Path("experiments") / f"{name}-{plan.config.arch}-{plan.hash[:8]}"
    if cell is not None and not 0 <= cell < len(plan.cells):
        raise UsageError(f"--cell {cell}: the plan has cells 0 to {len(plan.cells) - 1}")
    wanted = plan.cells if cell is None else (plan.cells[cell],)
    for alarm in plan.alarms:
        reporter.line(alarm)
    if dry_run:
        finished = len(read_cells(plan.cells, out, CellResult).results)
        return CompareResult(out, plan, None, finished, cell, dry_run=True)
    plan = publish(plan, out)
    missing = read_cells(wanted, out, CellResult).missing
    if missing and plan.power[0]["one point"] is None:
        reporter.line(f"--seeds {len(plan.cells)} can never pass {config.compare.alpha:g}, whatever the data")
    run_missing(plan, missing, out, jobs, reporter)
    comparison = None if cell is not None else collect(plan, out)
    found = read_cells(plan.cells, out, CellResult)
    return CompareResult(out, plan, comparison, len(found.results), cell, failed=found.failed)


def run_missing(
    plan: ComparisonPlan,
    missing: Sequence[Cell],
    out: Path,
    jobs: int | None,
    reporter: Reporter,
    work: Work = run_cell,
) -> None:
    """Run these cells, as many at a time as `jobs` and the cores allow; none with `jobs` 0."""
    if missing and jobs != 0:
        at_once, fewer = job_count(jobs, plan)
        reporter.line(f"{out}: {len(missing)} of {len(plan.cells)} cells to run, {at_once} at a time{fewer}")
        run_cells(plan, missing, out, at_once, reporter, work)


def job_count(jobs: int | None, plan: ComparisonPlan) -> tuple[int, str]:
    """Cells at a time, jobs x threads never above the cores and one on an accelerator; and why fewer than asked."""
    runtime, cores = plan.config.runtime, available_cores()
    most, room = 1, f"one {runtime.device} device"
    if runtime.device == "cpu":
        threads = runtime.threads or 1
        most, room = max(1, cores // threads), f"{cores} cores, {threads} for each cell"
    if jobs is None or jobs <= most:
        return most if jobs is None else jobs, ""
    return most, f" (--jobs {jobs} is more than fits: {room})"


def planned(config: ComparisonConfig, run: Path | None) -> ComparisonPlan:
    """The plan, after all checks that need no work; a UsageError, DataError or RunError for what cannot run."""
    check(config)
    if getattr(config.spec, "reconstruct", False):
        raise UsageError("--reconstruct: such samples are not new images; leave it out to compare arms")
    if run is None:
        splits = load_splits(config.data, config.runtime.seed)
        plan = make_plan(config, splits.fingerprint, None, None)
    else:
        model = load_model(run, config.compare.checkpoint)
        splits = load_splits(config.data, model.card.seed)
        check_run(run, model, splits)
        # The run's own architecture, so that plan and report name what was used.
        spec = from_plain(architectures.spec_class(model.card.arch), model.card.spec)
        config = dataclasses.replace(config, arch=model.card.arch, spec=spec)
        plan = make_plan(config, splits.fingerprint, run, _card(run, model))
    _check_splits(plan, splits)
    return dataclasses.replace(plan, alarms=splits.alarms)


def _check_splits(plan: ComparisonPlan, splits: DataSplits) -> None:
    config = plan.config
    refuse_synthetic(splits)
    if not splits.labelled or splits.train.num_classes < 2:
        needs = "a comparison of classifiers needs labelled images of two classes or more"
        raise UsageError(f"--data {config.data.source}: {needs}")
    if uses_validation(config) and len(splits.validation) == 0:
        raise UsageError(f"{BY_VALIDATION}: too few images for validation, so nothing to choose by")
    for ratio in config.compare.candidates:
        plan_images(splits.train, config.compare.at(ratio))
    check_filters(config, splits.train.num_classes, int(splits.train.counts().min()))
    for arm, arch in (parse_arm(name) for name in config.compare.arms):
        if arm.added in CHECKS:
            CHECKS[arm.added](config, splits)
        if arch is not None:
            check_training(train_config(config, arch, config.runtime.seed), splits.train, labelled=True)


def _card(run: Path, model: Model) -> dict[str, Any]:
    weights = model.generator.state_dict()
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode() + weights[name].contiguous().numpy().tobytes())
    return {
        "name": run.name,
        "arch": model.card.arch,
        "seed": model.card.seed,
        "checkpoint": model.checkpoint,
        "steps": model.steps,
        "weights": digest.hexdigest()[:16],
    }
