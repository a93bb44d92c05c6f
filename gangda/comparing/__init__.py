"""`gangda compare`: plan the cells, run what is missing, judge. `storage.py` says what lies in the folder."""

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gangda.augmenting.plan import make_plan as plan_images
from gangda.classifying.fit import check_classifier
from gangda.classifying.self_training import SHARES
from gangda.comparing.analyses import first_contrast
from gangda.comparing.arm_sets import BY_VALIDATION, check, check_filters, train_config, uses_validation
from gangda.comparing.cell_result import CellResult, FailedCell
from gangda.comparing.cells import run_cell
from gangda.comparing.comparison import Comparison
from gangda.comparing.controls import CHECKS
from gangda.comparing.estimate import Cost, cost_of
from gangda.comparing.plan import Cell, ComparisonPlan, make_plan
from gangda.comparing.plan_file import agreeing, publish
from gangda.comparing.policy_choice import check_policy_images
from gangda.comparing.results import collect
from gangda.comparing.storage import read_cells
from gangda.comparing.suited import seen
from gangda.comparing.workers import Work, job_count, run_cells
from gangda.config.arms import parse_arm
from gangda.config.policies import AUTO
from gangda.config.schema import ComparisonConfig, Runtime
from gangda.data.images import concatenate
from gangda.data.loading import load_splits
from gangda.data.paths import located
from gangda.data.splits import DataSplits
from gangda.errors import UsageError
from gangda.runtime.device import is_here, pick_device
from gangda.runtime.part import JUDGE, PLAN, WHOLE, Part
from gangda.runtime.plain import to_plain
from gangda.runtime.plan_status import PLAN as PLAN_FILE
from gangda.runtime.progress import SILENT, Reporter, duration
from gangda.statistics.words import NO_VERDICT
from gangda.training import check as check_training
from gangda.training.leaks import check_run, refuse_synthetic
from gangda.training.saved_model import Model, load_model

__all__ = ["CompareResult", "collect", "compare", "job_count", "planned", "run_missing"]


@dataclass(frozen=True, eq=False)
class CompareResult:
    """What `gangda compare` reports."""

    out: Path
    plan: ComparisonPlan
    comparison: Comparison | None  # None for a dry run, or where `part` does not judge
    finished: int  # how many cells are
    part: Part = WHOLE
    dry_run: bool = False
    failed: tuple[FailedCell, ...] = ()  # cells that are left out of everything, with the reason
    cost: Cost | None = None  # what it takes on this machine; only where nothing was run

    @property
    def cell_seconds(self) -> float | None:
        """About so long one cell takes; None where cells have run."""
        return None if self.cost is None else self.cost.cell_seconds

    @property
    def cell_memory(self) -> int | None:
        """About so many bytes the images and the training of one cell take; None where cells have run."""
        return None if self.cost is None else self.cost.memory_bytes // self.cost.at_once

    @property
    def planned(self) -> int:
        """How many cells there are."""
        return len(self.plan.cells)

    @property
    def runtime(self) -> Runtime:
        """What a cell runs on."""
        return self.plan.config.runtime

    @property
    def report(self) -> Path | None:
        """The HTML report, once there is one."""
        path = self.out / "report.html"
        return path if self.comparison is not None and path.exists() else None

    def _repr_html_(self) -> str:
        """The verdict and its tables, for a notebook."""
        from gangda.comparing.report.notebook import fragment  # it draws in templates

        return fragment(self.comparison, self.report) if self.comparison and self.report else f"{self.out}"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the comparison without its cells."""
        found = {} if self.comparison is None else to_plain(dataclasses.replace(self.comparison, cells=()))
        return {
            **found,
            "out": str(self.out),
            "report": None if self.report is None else str(self.report),
            "dry_run": self.dry_run,
            "cell": self.part.cell,
            "shard": self.part.shard,
            "planned": self.planned,
            "finished": self.finished,
            "failed": to_plain(self.failed),
            "cell_seconds": self.cell_seconds,
            "cost": to_plain(self.cost),
            "data_alarms": list(self.plan.alarms),
            "plan": self.plan.as_dict(),
        }


def compare(
    config: ComparisonConfig,
    out: Path | None,
    *,
    jobs: int | None = None,
    run: Path | None = None,
    part: Part = WHOLE,
    dry_run: bool = False,
    announce: bool = True,
    chosen: str = "",
    reporter: Reporter = SILENT,
) -> CompareResult:
    """Run what is missing of a comparison and judge it.

    Args:
        config: the comparison. Cells use one thread each unless `config.runtime.threads` says otherwise.
        out: the comparison's folder; by default `experiments/<data>-<arch>-<hash>`.
        jobs: cells at a time; by default as many as the cores allow.
        run: a run folder whose generator all cells share, instead of training one each.
        part: which cells are run, and whether they are judged (for clusters).
        announce: say what is in the data and how long it will take, before it begins.
        chosen: what was chosen for these images (`suited`), to be said with that.

    Raises UsageError, DataError, RunError: what cannot be done; each one line; IncompleteError: `part` only judges, and
    cells are missing; OutcomeError: every cell failed; StoppedError, InterruptedByUserError: stopped by a signal;
    finished cells stay.
    """
    plan = planned(config, run)
    if out is None:  # adding seeds does not change it
        name = Path(config.data.source).name or Path(config.data.source).resolve().name or "data"
        out = Path("experiments") / f"{name}-{plan.config.arch}-{plan.hash[:8]}"
    # The folder's own plan, whose cells have other names where only --threads differs.
    plan = agreeing(plan, out) if part.only == JUDGE and not dry_run else publish(plan, out, dry_run=True)
    numbers = part.numbers(len(plan.cells))
    is_new = dry_run or not (out / PLAN_FILE).exists()
    for text in (chosen, *(plan.seen if is_new else ()), *plan.alarms) if announce else ():
        if text:
            reporter.line(text)
    if dry_run:
        finished = len(read_cells(plan.cells, out, CellResult).results)
        return CompareResult(
            out, plan, None, finished, part, dry_run=True, cost=cost_of(plan, finished, jobs)
        )
    missing = read_cells([plan.cells[number] for number in numbers], out, CellResult).missing
    if missing:
        pick_device(plan.config.runtime.device)  # it is here, before anything is written
    if part.only != JUDGE:
        plan = publish(plan, out)
    if missing and not plan.fixed["family"]["primary"]:
        reporter.line(NO_VERDICT)
    elif missing and plan.power[0]["one point"] is None:
        reporter.line(f"--seeds {len(plan.cells)} can never pass {plan.level:.3g}, whatever the data")
    if missing and part == WHOLE and announce and reporter.shown:
        expected = cost_of(plan, len(plan.cells) - len(missing), jobs)
        reporter.line(
            "; ".join((f"about {duration(expected.left_seconds)} on this machine", *expected.choices))
        )
    run_missing(plan, missing, out, jobs, reporter)
    comparison = None
    if part.judges:
        writable = os.access(out, os.W_OK)
        if not writable:
            reporter.line(f"{out}: cannot be written, so there will be no comparison.json and no report")
        comparison = collect(plan, out, write=writable)
    found = read_cells(plan.cells, out, CellResult)
    wanted = part.only == PLAN and is_here(plan.config.runtime.device)
    cost = cost_of(plan, len(found.results), jobs) if wanted else None
    return CompareResult(out, plan, comparison, len(found.results), part, False, found.failed, cost)


def run_missing(
    plan: ComparisonPlan,
    missing: Sequence[Cell],
    out: Path,
    jobs: int | None,
    reporter: Reporter,
    work: Work = run_cell,
) -> None:
    """Run these cells, as many at a time as `jobs` and the cores allow."""
    if missing:
        at_once, fewer = job_count(jobs, plan)
        reporter.line(f"{out}: {len(missing)} of {len(plan.cells)} cells to run, {at_once} at a time{fewer}")
        run_cells(plan, missing, out, at_once, reporter, work)


def planned(config: ComparisonConfig, run: Path | None) -> ComparisonPlan:
    """The plan, after all checks that need no work; a UsageError, DataError or RunError for what cannot run."""
    model = None if run is None else load_model(run, config.compare.checkpoint)
    if model is not None:
        # The run's own architecture: the sampler's options are its own, and plan and report name what was used.
        own: dict[str, Any] = {"arch": model.card.arch, "spec": model.card.options}
        if model.card.arch != config.arch:
            own["method"] = None  # that architecture's
        others = {name: origin for name, origin in config.origins.items() if name.partition(".")[0] != "arch"}
        options = ("name", *vars(model.card.options))
        own["origins"] = {**others, **{f"arch.{name}": "--run" for name in options}}
        config = dataclasses.replace(config, **own)
    config = dataclasses.replace(config, data=located(config.data))
    check(config)
    if getattr(config.spec, "reconstruct", False):
        raise UsageError("--reconstruct: such samples are not new images; leave it out to compare arms")
    splits = load_splits(config.data, config.runtime.seed if model is None else model.card.seed)
    card = None
    if run is not None and model is not None:
        check_run(run, model, splits)
        card = _card(run, model)
    plan = make_plan(config, splits.fingerprint, run, card, splits.unlabelled_folder)
    _check_splits(plan, splits)
    return dataclasses.replace(plan, alarms=splits.alarms, seen=tuple(seen(config, splits)))


def _check_splits(plan: ComparisonPlan, splits: DataSplits) -> None:
    config = plan.config
    refuse_synthetic(splits)
    if not splits.labelled or splits.train.num_classes < 2:
        needs = "a comparison of classifiers needs labelled images of two classes or more"
        raise UsageError(f"--data {config.data.source}: {'; '.join([needs, *splits.label_hints])}")
    if len(splits.test) == 0:
        needs = "a comparison needs test images, and there are none; give at least two images of a class"
        raise UsageError(f"--data {config.data.source}: {needs}")
    if uses_validation(config) and len(splits.validation) == 0:
        raise UsageError(f"{BY_VALIDATION}: too few images for validation, so nothing to choose by")
    for own in (config.compare, *map(config.compare.of_arm, config.compare.arms)):
        for ratio in own.candidates:
            plan_images(splits.train, own.at(ratio))
    check_filters(config, splits.train.num_classes, int(splits.train.counts().min()))
    if config.transforms.policy == AUTO:
        check_policy_images(concatenate(splits.train, splits.validation))
    else:
        config.transforms.ranges()
    trained: dict[str, Sequence[str]] = {config.classifier.classifier: config.compare.arms}
    if (second := config.compare.second_classifier) is not None:
        trained[second] = first_contrast(config, "--second-classifier")[1]
    for classifier, arms in trained.items():
        own_output = any(parse_arm(name)[0].rule.own_output for name in arms)
        check_classifier(
            classifier, splits.train.num_classes, splits.train.image_shape, own_output=own_output
        )
    for name in config.compare.arms:
        arm, arch = parse_arm(name)
        if arm.added in CHECKS:
            CHECKS[arm.added](config, splits)
        if arm.rule.pseudo_ratio is not None:
            _check_share(name, arm.rule.pseudo_ratio, splits)
        if arm.sampled and (arch is not None or plan.run is None):
            check_training(
                train_config(config, arch or config.arch, config.runtime.seed), splits.train, labelled=True
            )


def _check_share(name: str, ratio: float, splits: DataSplits) -> None:
    """Refuse a share of pseudo-labelled images that there are too few for."""
    unlabelled = 0 if splits.unlabelled is None else len(splits.unlabelled)
    wanted, most = round(ratio * len(splits.train)), round(SHARES[-1] * unlabelled)
    if wanted > most:
        takes = (
            f"takes {wanted:,} pseudo-labelled images in each pass over {len(splits.train):,} labelled ones"
        )
        few = f"{most:,} of {unlabelled:,} unlabelled ones get a label"
        raise UsageError(f"--arms {name}: {takes}, and {few}; give a smaller share, or more --unlabelled")


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
