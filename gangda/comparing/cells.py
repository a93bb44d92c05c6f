"""One cell: draw the subset, train its generator, evaluate every arm; its result is one JSON file."""

import contextlib
import dataclasses
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gangda.comparing.added_images import AddedImages
from gangda.comparing.analyses.second_classifier import fit_second
from gangda.comparing.analyses.tuned_steps import fit_tuned
from gangda.comparing.arm_fits import Fits
from gangda.comparing.arm_sets import wanted_by
from gangda.comparing.pictures import pictures_of
from gangda.comparing.plan import Cell, Plan, digest
from gangda.comparing.progress import Tell
from gangda.comparing.scores import pack_labels
from gangda.comparing.training_curves import course_of
from gangda.config.arms import find
from gangda.data.images import LabelledImages
from gangda.data.loading import load_splits
from gangda.data.splits import DataSplits
from gangda.errors import DataError, OutcomeError, RunError, UsageError
from gangda.runtime.device import prepare
from gangda.runtime.files import FORMAT_VERSION
from gangda.runtime.results import read_result, write_result

PICTURED_CELLS = 2  # the others keep numbers only
FAILED = "failed"  # the folder of cells whose training gave nothing that can be used


def cell_path(out: Path, cell: Cell, kind: str = "cells") -> Path:
    """Where a cell's result lies, by the folder of its kind."""
    return out / kind / f"{cell.id}.json"


def read_cell(out: Path, cell: Cell, kind: str = "cells") -> dict[str, Any] | None:
    """A cell's result; None where it is missing, damaged or another cell's."""
    try:
        values = read_result(cell_path(out, cell, kind), digest)
    except DataError:
        return None
    if values.get("id") != cell.id or values.get("finished") is not True:
        return None
    return {"format_version": FORMAT_VERSION, **values}  # as each cell stands in `comparison.json`


def write_cell(out: Path, cell: Cell, result: dict[str, Any], kind: str = "cells") -> None:
    """Publish a cell's result, with a hash of its content: of one flipped digit nobody would know."""
    write_result(cell_path(out, cell, kind), result, digest)


def failure_of(out: Path, cell: Cell) -> str | None:
    """Why a cell failed; None where it did not, as far as is known."""
    values = read_cell(out, cell, FAILED)
    return None if values is None else str(values["reason"])


def run_cell(plan: Plan, cell: Cell, out: Path, tell: Tell) -> None:
    """Do a cell and publish its result; its generator goes on where an earlier attempt stopped.

    Raises:
        GangdaError: as its moves; the message names the cell.
    """
    finish_cell(cell, out, lambda: _result(plan, cell, out, tell))


def finish_cell(cell: Cell, out: Path, do: Callable[[], dict[str, Any]], kind: str = "cells") -> None:
    """Publish what `do` makes of the cell; its generators then need their checkpoints no longer.

    A cell whose training gave nothing that can be used is published as failed, with the reason: the same seed would
    fail again, and the other cells may not.

    Raises:
        GangdaError: as `do`; the message names the cell.
    """
    known = {"finished": True, **dataclasses.asdict(cell)}
    try:
        result = do()
    except OutcomeError as error:
        write_cell(out, cell, {"kind": "failed cell", "reason": str(error), **known}, FAILED)
        return
    except (DataError, RunError, UsageError) as error:
        raise type(error)(f"cell {cell.index} (seed {cell.seed}): {error}") from error
    write_cell(out, cell, {**result, **known}, kind)
    for place in work_of(out, cell).glob("gan*/checkpoints"):  # finished: the models stay
        shutil.rmtree(place, ignore_errors=True)


def work_of(out: Path, cell: Cell) -> Path:
    """The cell's own folder, for what it trains."""
    return out / "work" / cell.id


def splits_of(plan: Plan, cell: Cell) -> DataSplits:
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


def _result(plan: Plan, cell: Cell, out: Path, tell: Tell) -> dict[str, Any]:
    began = time.monotonic()
    config = plan.config
    context = prepare(config.runtime)
    splits = splits_of(plan, cell)
    pools = AddedImages(plan, cell, splits, context, work_of(out, cell), tell)
    for name in config.compare.arms:
        arm, arch = find(name)
        if arm.sampled and wanted_by(config, splits.train, name).any():
            with _naming(name):
                pools.of(arm.added, arch)  # what takes longest first, so that the bar moves evenly
    arms = Fits(config, cell.seed, splits, pools, context, tell)
    results = {}
    for name in config.compare.arms:
        with _naming(name):
            results[name] = arms.run(name)
    return {
        "kind": "cell",
        "fingerprint": splits.fingerprint,
        "class_names": list(splits.train.class_names),
        "image_shape": list(splits.train.image_shape),
        "rows": {name: _rows(getattr(splits, name)) for name in ("train", "validation", "test")},
        "test_labels": pack_labels(splits.test.labels),
        "runtime": dataclasses.asdict(config.runtime),
        "generator": pools.made.get(config.arch),
        "generators": {
            key: {**made, "course": course_of(pools.folder(key) / "metrics.jsonl")}
            for key, made in pools.made.items()
        },
        "arms": results,
        "second": fit_second(arms, config.compare),
        "tuned": fit_tuned(arms, config.compare),
        "recognised": arms.recognised(),
        "pictures": pictures_of(pools) if cell.index < PICTURED_CELLS else None,
        "seconds": time.monotonic() - began,
    }


@contextlib.contextmanager
def _naming(arm: str) -> Iterator[None]:
    """What fails inside is told with the arm that needed it."""
    try:
        yield
    except OutcomeError as error:
        raise type(error)(f"arm {arm}: {error}") from error


def _rows(images: LabelledImages) -> dict[str, Any]:
    return {
        "count": len(images),
        "per_class": images.counts().tolist(),
        "hash": digest(images.row_id.tolist()),
    }
