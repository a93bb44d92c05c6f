"""Run one cell: draw the subset, train its generators, evaluate every arm."""

import contextlib
import dataclasses
import itertools
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gangda.augmenting.selection import same_steps
from gangda.classifying.fit import FittedClassifier, fit_classifier
from gangda.comparing.added_images import AddedImages, Phase, Progress
from gangda.comparing.analyses import load_analyses, planned_analyses
from gangda.comparing.arm_evaluator import ArmEvaluator, kept_or_fitted
from gangda.comparing.arm_sets import wanted_by
from gangda.comparing.cell_result import CellResult, FailedCell, SplitRows
from gangda.comparing.pictures import pictures_of, read_curves
from gangda.comparing.plan import Cell, ComparisonPlan, digest
from gangda.comparing.policy_choice import PolicyChoice, choose_policy, policy_fits, search_config
from gangda.comparing.storage import FITS, C, read_cells, work_of, write_cell
from gangda.comparing.versions import versions
from gangda.config.arms import parse_arm
from gangda.config.policies import AUTO
from gangda.config.schema import TransformConfig
from gangda.data.images import LabelledImages, concatenate
from gangda.data.loading import load_splits
from gangda.data.splits import DataSplits
from gangda.errors import DataError, OutcomeError, RunError, UsageError
from gangda.runtime.device import DeviceContext, prepare
from gangda.runtime.locks import lock_folder
from gangda.runtime.seeding import seed_for

PICTURED_CELLS = 2  # the others keep numbers only
SEARCH_SHARE = 0.5  # of a cell's time, for the progress bar, where it chooses its transforms


def run_cell(plan: ComparisonPlan, cell: Cell, out: Path, progress: Progress) -> None:
    """Run a cell and write its result, as `finish_cell`; its trainings go on where an earlier attempt stopped."""
    finish_cell(cell, out, CellResult, lambda: _result(plan, cell, out, progress))


def finish_cell(
    cell: Cell,
    out: Path,
    kind: type[C],
    run: Callable[[], C],
    complete: Callable[[C], bool] = lambda _: True,
) -> None:
    """Write what `run` makes of a cell, or why it failed, and remove its checkpoints; other errors name the cell.

    One process at a time: where another is at this cell, wait for it, and leave the cell to it unless it was stopped.
    """
    work = work_of(out, cell)
    with lock_folder(work, wait=True):
        if not read_cells([cell], out, kind, complete).missing:
            return
        try:
            result = run()
        except OutcomeError as error:
            write_cell(out, cell, FailedCell(cell.index, cell.seed, cell.id, str(error)))
            return
        except (DataError, RunError, UsageError) as error:
            raise type(error)(f"cell {cell.index} (seed {cell.seed}): {error}") from error
        write_cell(out, cell, result)
        for folder in (work / FITS, *work.glob("gan*/checkpoints")):  # the generators stay
            shutil.rmtree(folder, ignore_errors=True)


def splits_of(plan: ComparisonPlan, cell: Cell) -> DataSplits:
    """The cell's subset of the plan's images; a DataError where they have changed since the plan was made."""
    # Where a run is shared, its seed draws all subsets.
    splits = load_splits(plan.config.data, plan.fixed["run"]["seed"] if plan.run else cell.seed)
    if splits.unlabelled_folder != plan.fixed.get("unlabelled", ""):
        where = plan.config.data.unlabelled
        raise DataError(f"--unlabelled {where} has changed since the plan; choose another --out")
    if splits.fingerprint != plan.fingerprint:
        raise DataError(f"{plan.config.data.source} has changed since the plan; choose another --out")
    return splits


def _result(plan: ComparisonPlan, cell: Cell, out: Path, progress: Progress) -> CellResult:
    began = time.monotonic()
    known, planned = load_analyses(), planned_analyses(plan.config)
    context = prepare(plan.config.runtime)
    splits = splits_of(plan, cell)
    policy = None
    if plan.config.transforms.policy == AUTO:
        policy = _policy_of(plan, cell, splits, context, work_of(out, cell), progress)
        transforms = plan.config.transforms.under(policy.policy, policy.mixup)
        plan = dataclasses.replace(plan, config=dataclasses.replace(plan.config, transforms=transforms))
        progress = _after_search(progress)
    config = plan.config
    added = AddedImages(plan, cell, splits, context, work_of(out, cell), progress)
    for name in config.compare.arms:
        arm, arch = parse_arm(name)
        if arm.sampled and wanted_by(config, splits.train, name).any():
            with _naming(name):
                added.of(arm.source, arch)  # the slowest part first, for an even progress bar
    planned = {name: one for name, one in planned.items() if one.cells is None or cell.index < one.cells}
    fits = sum(additions.fits for additions in planned.values())
    evaluator = ArmEvaluator(config, cell.seed, splits, added, context, progress, fits, policy)
    arms = {}
    for name in config.compare.arms:
        with _naming(name):
            arms[name] = evaluator.run(name)
    analyses = {name: known[name].run_in_cell(evaluator, config) for name in planned}
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    return CellResult(
        index=cell.index,
        seed=cell.seed,
        id=cell.id,
        fingerprint=splits.fingerprint,
        class_names=tuple(splits.train.class_names),
        image_shape=splits.train.image_shape,
        rows={
            name: SplitRows(len(part), tuple(part.counts().tolist()), digest(part.row_id.tolist()))
            for name, part in parts.items()
        }
        | _unlabelled_rows(splits),
        pool=splits.pool,
        test_labels=splits.test.labels.astype(np.uint16),
        runtime=config.runtime,
        generators={
            key: dataclasses.replace(record, curves=read_curves(added.folder(key) / "metrics.jsonl"))
            for key, record in added.records.items()
        },
        arms=arms,
        analyses={name: part for name, part in analyses.items() if part is not None},
        recognised=evaluator.recognised(),
        pictures=pictures_of(added) if cell.index < PICTURED_CELLS else None,
        seconds=time.monotonic() - began,
        versions=versions(context.device),
    )


def _policy_of(
    plan: ComparisonPlan,
    cell: Cell,
    splits: DataSplits,
    context: DeviceContext,
    work: Path,
    progress: Progress,
) -> PolicyChoice:
    """The traditional transforms of all arms that have them, chosen on the cell's real images."""
    config, share = plan.config, SEARCH_SHARE / policy_fits()
    searched, begun = search_config(same_steps(config.classifier, len(splits.train))), itertools.count()

    def fit(images: LabelledImages, transforms: TransformConfig) -> FittedClassifier:
        phase, seed = Phase(progress, next(begun) * share, share, "policy"), seed_for(cell.seed, "policy")
        how: dict[str, Any] = {"seed": seed, "transforms": transforms}
        return kept_or_fitted(
            work,
            [images.content_hash(), searched, how],
            context,
            lambda: fit_classifier(images, searched, context=context, reporter=phase, **how),
        )[0]

    real = concatenate(splits.train, splits.validation)
    return choose_policy(real, config.transforms, fit, config.compare.score_by, cell.seed)


def _after_search(progress: Progress) -> Progress:
    return lambda share, info: progress(SEARCH_SHARE + (1 - SEARCH_SHARE) * share, info)


def _unlabelled_rows(splits: DataSplits) -> dict[str, SplitRows]:
    if splits.unlabelled is None:
        return {}
    found = splits.unlabelled
    return {"unlabelled": SplitRows(len(found), (), digest(found.row_id.tolist()))}


@contextlib.contextmanager
def _naming(arm: str) -> Iterator[None]:
    try:
        yield
    except OutcomeError as error:
        raise type(error)(f"arm {arm}: {error}") from error
