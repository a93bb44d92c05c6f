"""`gangda compare`: plan the cells, run what is missing, judge.

plan.json          what will be done, fixed before the first cell runs (see plan.py)
config.yaml        fully resolved; valid as --config
cells/<id>.json    one per seed, published whole; a finished cell is not run again
failed/<id>.json   one whose training gave nothing that can be used, with the reason: left out, and named
work/<id>/         a cell's own generator, where it goes on after a stop
comparison.json    everything judged, with the raw scores
report.html        the same for people
"""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from gangda.comparing.arm_sets import check_filters, chooses, plan_of, train_config
from gangda.comparing.cells import read_cell, run_cell
from gangda.comparing.controls import NEEDS
from gangda.comparing.failures import failures_of, missing_of, tell_failures
from gangda.comparing.plan import Plan, make_plan, publish
from gangda.comparing.preflight import check
from gangda.comparing.results import CompareResult, collect
from gangda.comparing.workers import run_cells
from gangda.config import architectures
from gangda.config.arms import find
from gangda.config.fields import from_plain
from gangda.config.schema import ComparisonConfig
from gangda.data.loading import load_splits
from gangda.data.splits import DataSplits
from gangda.errors import UsageError
from gangda.runtime.device import available_cores
from gangda.runtime.progress import SILENT, Reporter
from gangda.training import check as check_training
from gangda.training.leaks import check_run, refuse_synthetic
from gangda.training.saved_model import Model, load_model

__all__ = ["CompareResult", "collect", "compare", "job_count", "planned"]


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
    """Run what is missing of an experiment and judge it.

    Args:
        config: the experiment. Cells use one thread each unless `config.runtime.threads` says otherwise.
        out: the experiment's folder; by default `experiments/<data>-<arch>-<hash>`.
        jobs: cells at a time; by default as many as the cores allow. 0 only judges what is there.
        run: a run folder whose generator all cells share, instead of training one each.
        cell: run this one only, and do not judge (for clusters).
        dry_run: say what would be done; write nothing.
        reporter: hears of progress.

    Raises:
        UsageError, DataError, RunError: what cannot be done; each one line.
        IncompleteError: `jobs` is 0 and cells are missing.
        StoppedError, InterruptedByUserError: stopped by a signal; finished cells stay.
    """
    plan = planned(config, run)
    out = default_out(plan) if out is None else out
    wanted = plan.cells if cell is None else (plan.cells[_index(cell, plan)],)
    if dry_run:
        return CompareResult(out, plan.as_dict(), None, _finished(plan, out), cell, dry_run=True)
    plan = publish(plan, out)
    missing = missing_of(wanted, out)
    at_once = job_count(jobs, plan)
    if missing and jobs != 0:
        reporter.line(
            f"{out}: {len(missing)} of {len(plan.cells)} cells to run, {at_once} at a time{_fewer(jobs, at_once, plan)}"
        )
        run_cells(plan, missing, out, at_once, reporter, run_cell)
        tell_failures(missing, out, reporter)
    if cell is not None:
        failed = failures_of(plan.cells, out)
        return CompareResult(out, plan.as_dict(), None, _finished(plan, out), cell, failed=failed)
    return collect(plan, out)


def job_count(jobs: int | None, plan: Plan) -> int:
    """Cells at a time: what was asked for, but jobs x threads never above the cores; on an accelerator, one."""
    runtime = plan.config.runtime
    most = max(1, available_cores() // (runtime.threads or 1)) if runtime.device == "cpu" else 1
    return most if jobs is None else min(jobs, most)


def _fewer(jobs: int | None, at_once: int, plan: Plan) -> str:
    """Why not all jobs asked for are used; empty where they are."""
    if jobs is None or jobs <= at_once:
        return ""
    runtime = plan.config.runtime
    room = (
        f"{available_cores()} cores, {runtime.threads or 1} for each cell"
        if runtime.device == "cpu"
        else f"one {runtime.device} device"
    )
    return f" (--jobs {jobs} is more than fits: {room})"


def default_out(plan: Plan) -> Path:
    """The folder of this very experiment; adding seeds does not change it."""
    name = Path(plan.config.data.source).name or "data"
    return Path("experiments") / f"{name}-{plan.config.arch}-{plan.hash[:8]}"


def planned(config: ComparisonConfig, run: Path | None) -> Plan:
    """The plan, after everything was checked that can be checked before hours of work.

    Raises:
        UsageError, DataError, RunError: what cannot run.
    """
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
        plan = make_plan(_with_generator_of(config, model), splits.fingerprint, run, _card(run, model))
    _check_splits(plan, splits)
    return plan


def _check_splits(plan: Plan, splits: DataSplits) -> None:
    config = plan.config
    refuse_synthetic(splits)
    if not splits.labelled or splits.train.num_classes < 2:
        raise UsageError(
            f"--data {config.data.source}: a comparison of classifiers needs labelled images of two classes or more"
        )
    if chooses(config.compare) and len(splits.validation) == 0:
        raise UsageError(
            "several --ratios, --filter auto, --tune-steps and arms by recall: "
            "too few images for validation, so nothing to choose by"
        )
    for ratio in config.compare.ratios:
        plan_of(config.compare.mode, ratio, splits.train, config.compare.ratio_for)
    check_filters(config, splits.train.num_classes, int(splits.train.counts().min()))
    for arm, arch in (find(name) for name in config.compare.arms):
        if arm.added in NEEDS:
            NEEDS[arm.added](config, splits)
        if arch is not None:
            check_training(train_config(config, arch, config.runtime.seed), splits.train, labelled=True)


def _with_generator_of(config: ComparisonConfig, model: Model) -> ComparisonConfig:
    """The same with the run's own architecture, so that plan and report name what was used."""
    spec = from_plain(architectures.spec_class(model.card.arch), model.card.spec)
    return dataclasses.replace(config, arch=model.card.arch, spec=spec)


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


def _index(cell: int, plan: Plan) -> int:
    if not 0 <= cell < len(plan.cells):
        raise UsageError(f"--cell {cell}: the plan has cells 0 to {len(plan.cells) - 1}")
    return cell


def _finished(plan: Plan, out: Path) -> int:
    return sum(read_cell(out, one) is not None for one in plan.cells)
