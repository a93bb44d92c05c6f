"""Run one cell: draw the subset, train its generators, evaluate every arm."""

import contextlib
import dataclasses
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from gangda.comparing.added_images import AddedImages
from gangda.comparing.analyses import load_analyses, planned_analyses
from gangda.comparing.arm_evaluator import ArmEvaluator
from gangda.comparing.arm_sets import wanted_by
from gangda.comparing.cell_result import CellResult, FailedCell, SplitRows
from gangda.comparing.pictures import pictures_of
from gangda.comparing.plan import Cell, ComparisonPlan, digest
from gangda.comparing.progress import Progress
from gangda.comparing.storage import StoredCell, work_of, write_cell
from gangda.comparing.training_curves import read_curves
from gangda.config.arms import parse_arm
from gangda.data.images import LabelledImages
from gangda.data.loading import load_splits
from gangda.data.splits import DataSplits
from gangda.errors import DataError, OutcomeError, RunError, UsageError
from gangda.runtime.device import prepare

PICTURED_CELLS = 2  # the others keep numbers only


def run_cell(plan: ComparisonPlan, cell: Cell, out: Path, progress: Progress) -> None:
    """Run a cell and write its result; its generators go on where an earlier attempt stopped.

    Raises:
        GangdaError: as training, sampling and evaluation; the message names the cell.
    """
    finish_cell(cell, out, lambda: _result(plan, cell, out, progress))


def finish_cell(cell: Cell, out: Path, run: Callable[[], StoredCell]) -> None:
    """Write what `run` makes of the cell, and remove the checkpoints of its generators.

    A cell whose training gave nothing that can be used is written as failed, with the reason: the same seed would
    fail again, and the other cells may not.

    Raises:
        GangdaError: as `run`; the message names the cell.
    """
    try:
        result = run()
    except OutcomeError as error:
        write_cell(out, cell, FailedCell(cell.index, cell.seed, cell.id, str(error)))
        return
    except (DataError, RunError, UsageError) as error:
        raise type(error)(f"cell {cell.index} (seed {cell.seed}): {error}") from error
    write_cell(out, cell, result)
    for folder in work_of(out, cell).glob("gan*/checkpoints"):  # the models stay
        shutil.rmtree(folder, ignore_errors=True)


def splits_of(plan: ComparisonPlan, cell: Cell) -> DataSplits:
    """The cell's subset of the plan's images.

    Raises:
        DataError: they are no longer the images that were planned with.
    """
    splits = load_splits(plan.config.data, cell.seed if plan.data_seed is None else plan.data_seed)
    if splits.fingerprint != plan.fingerprint:
        raise DataError(
            f"{plan.config.data.source} has changed since the plan was made; choose another --out"
        )
    return splits


def _result(plan: ComparisonPlan, cell: Cell, out: Path, progress: Progress) -> CellResult:
    began = time.monotonic()
    config = plan.config
    context = prepare(config.runtime)
    splits = splits_of(plan, cell)
    added = AddedImages(plan, cell, splits, context, work_of(out, cell), progress)
    for name in config.compare.arms:
        arm, arch = parse_arm(name)
        if arm.sampled and wanted_by(config, splits.train, name).any():
            with _naming(name):
                added.of(arm.source, arch)  # the slowest part first, for an even progress bar
    planned = planned_analyses(config)
    fits = sum(additions.fits for additions in planned.values())
    evaluator = ArmEvaluator(config, cell.seed, splits, added, context, progress, fits)
    arms = {}
    for name in config.compare.arms:
        with _naming(name):
            arms[name] = evaluator.run(name)
    known = load_analyses()
    analyses = {name: known[name].run_in_cell(evaluator, config) for name in planned}
    return CellResult(
        index=cell.index,
        seed=cell.seed,
        id=cell.id,
        fingerprint=splits.fingerprint,
        class_names=tuple(splits.train.class_names),
        image_shape=splits.train.image_shape,
        rows={name: _rows(getattr(splits, name)) for name in ("train", "validation", "test")},
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
    )


@contextlib.contextmanager
def _naming(arm: str) -> Iterator[None]:
    """Name the arm in what fails inside."""
    try:
        yield
    except OutcomeError as error:
        raise type(error)(f"arm {arm}: {error}") from error


def _rows(images: LabelledImages) -> SplitRows:
    return SplitRows(len(images), tuple(images.counts().tolist()), digest(images.row_id.tolist()))
