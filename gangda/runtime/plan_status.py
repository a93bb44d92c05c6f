"""How far the cells of a plan are, from the files of its folder alone: no torch is loaded, nothing written."""

import contextlib
import json
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gangda.errors import DataError, IncompleteError
from gangda.runtime.files import read_json
from gangda.runtime.hashed_file import read_hashed_json
from gangda.runtime.locks import holder, is_locked

PLAN, WORK = "plan.json", "work"
CELLS, SCORES, FAILED = "cells", "scores", "failed"  # folders of the cells' results


@dataclass(frozen=True)
class CellStatus:
    """One cell of a plan.

    `state`: finished, failed, running, stopped (begun, and nobody is at it) or missing. `host`, `job`, `processor` and
    `versions` are those of the process that was last at it ("" if not known), `step` the last logged one of its
    generator, `age` the seconds since it last wrote anything.
    """

    index: int
    seed: int
    state: str
    variant: str = ""  # of an experiment
    host: str = ""
    job: str = ""
    processor: str = ""
    versions: str = ""
    step: int | None = None
    age: float | None = None


def plan_status(out: Path) -> tuple[CellStatus, ...]:
    """All cells of a comparison, or of all variants of an experiment, as they are counted by `--cell`.

    Raises IncompleteError: no plan there; DataError: a damaged one.
    """
    return tuple(_status(place) for place in planned_cells(out))


@dataclass(frozen=True)
class PlannedCell:
    """A cell as the plan has it: `folder` is the comparison's, or the variant's; `id` is "" if it is not known.

    `metrics` are those that a scored cell must have to be finished.
    """

    folder: Path
    id: str
    index: int
    seed: int
    variant: str = ""
    metrics: tuple[str, ...] = ()

    def result(self) -> dict[str, Any] | None:
        """What it has found, as plain values; None where there is nothing, or it is damaged."""
        for kind in (CELLS, SCORES):
            with contextlib.suppress(DataError):
                found = read_hashed_json(self.folder / kind / f"{self.id}.json")
                return found if found.get("id") == self.id else None
        return None


def planned_cells(out: Path) -> list[PlannedCell]:
    """The cells in their order; raises as `plan_status`."""
    if not (out / PLAN).exists():
        raise IncompleteError(f"{out}: no plan there; check --out, or plan it with --plan")
    plan = read_json(out / PLAN)
    try:
        if "cells" in plan:
            return [PlannedCell(out, cell["id"], cell["index"], cell["seed"]) for cell in plan["cells"]]
        names = {out / "variants" / name: about["name"] for name, about in plan["fixed"]["variants"].items()}
        plans = {inside: read_json(inside / PLAN)["cells"] for inside in names if (inside / PLAN).exists()}
        # As many in every variant, also in those that nobody has begun.
        seeds, metrics = next(iter(plans.values()), ()), tuple(plan.get("metrics", ()))
        found: list[PlannedCell] = []
        for inside, name in names.items():
            for cell in plans.get(inside, [{**one, "id": ""} for one in seeds]):
                found.append(PlannedCell(inside, cell["id"], len(found), cell["seed"], name, metrics))
        return found
    except (KeyError, TypeError, AttributeError):
        raise DataError(f"{out / PLAN}: damaged; put it back, or choose another --out") from None


def _status(cell: PlannedCell) -> CellStatus:
    work, file = cell.folder / WORK / cell.id, f"{cell.id}.json"
    results = [path for kind in (CELLS, SCORES) if (path := cell.folder / kind / file).exists()]
    failed = cell.folder / FAILED / file
    # Looked at before the result: a cell that ends meanwhile is running or finished, never stopped.
    running = is_locked(work)
    # A damaged result is none, as when the cells are judged.
    result = cell.result()
    if result is not None and set(cell.metrics) <= set(result.get("values", ())):
        state = "finished"
    elif result is None and failed.exists():
        state = "failed"
    elif running:
        state = "running"
    else:
        state = "stopped" if work.is_dir() else "missing"
    files = [Path(place, name) for place, _, names in os.walk(work) for name in names]
    logs = (path for path in files if path.name == "metrics.jsonl" and path.parent.parent == work)
    log = max(logs, key=_changed, default=None)
    age = time.time() - max(map(_changed, (*results, *files)), default=-math.inf)
    told = holder(work)
    return CellStatus(
        cell.index,
        cell.seed,
        state,
        cell.variant,
        **{name: str(told.get(name, "")) for name in ("host", "job", "processor", "versions")},
        step=None if log is None else _last_step(log),
        age=max(0.0, age) if math.isfinite(age) else None,
    )


def _changed(path: Path) -> float:
    """Time of the last change, in seconds since 1970; minus infinity where the file has gone meanwhile."""
    try:
        return path.stat().st_mtime
    except OSError:
        return -math.inf


def _last_step(log: Path) -> int | None:
    text = ""
    with contextlib.suppress(OSError):  # gone meanwhile
        text = log.read_text(encoding="utf-8", errors="replace")
    for line in reversed(text.splitlines()):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return int(json.loads(line)["step"])
    return None
