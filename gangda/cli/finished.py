"""What `gangda compare --cell I` says of cells that are finished, from files alone: torch takes seconds to load."""

from pathlib import Path
from typing import Any

from gangda.cli.options import Call
from gangda.config import resolve
from gangda.config.schema import ComparisonConfig
from gangda.experiments import Experiment
from gangda.runtime.files import read_json
from gangda.runtime.part import Part
from gangda.runtime.plan_status import PLAN, PlannedCell, plan_status, planned_cells


def finished_cells(
    call: Call, settings: resolve.Settings, out: Path | None, part: Part, run: Path | None
) -> dict[str, Any] | None:
    """The result of a comparison's part that is finished; None where it is not, or the files alone do not tell."""
    if out is None or not _is_part(call, out, part) or not (out / "config.yaml").is_file():
        return None
    plan, own = read_json(out / PLAN), resolve.resolve({}, {}, out / "config.yaml")
    generator = (plan.get("fixed") or {}).get("run")
    if settings.pick(ComparisonConfig) != own.pick(ComparisonConfig):
        return None
    if (generator or {}).get("name") != (None if run is None else run.name):
        return None
    cells = planned_cells(out)
    if not all(cells[number].result() is not None for number in part.numbers(len(cells))):
        return None
    return {
        **_counts(out, "planned", cells),
        "cell": part.cell,
        "shard": part.shard,
        "failed": [],
        "cell_seconds": None,
        "cost": None,
        "data_alarms": [],
        "plan": {name: value for name, value in plan.items() if name != "format_version"},
    }


def finished_of_experiment(
    call: Call, asked: Experiment, out: Path | None, part: Part
) -> dict[str, Any] | None:
    """The same of an experiment that is asked for without options of one's own."""
    own = call.words or call.config or "environment" in call.settings.origins.values()
    if out is None or own or not _is_part(call, out, part):
        return None
    cells = planned_cells(out)
    names = list(dict.fromkeys(cell.variant for cell in cells))
    if names != list(asked.variants) or not all(
        _has_all(asked, cells[number]) for number in part.numbers(len(cells))
    ):
        return None
    about = {name: getattr(asked, name) for name in ("name", "title", "question", "origin", "measure")}
    more = {"varied": list(asked.varied), "variants": names, "seeds": len(cells) // len(names)}
    return {**about, **more, "data_alarms": [], **_counts(out, "cells", cells)}


def _is_part(call: Call, out: Path, part: Part) -> bool:
    some = part.cell is not None or part.shard is not None
    return some and not call.dry_run and (out / PLAN).is_file()


def _has_all(asked: Experiment, cell: PlannedCell) -> bool:
    """Whether a cell is finished, with all metrics and repeats of the experiment."""
    found = cell.result()
    if found is None or asked.measure == "compare":
        return found is not None
    return set(asked.metrics) <= set(found["values"]) and asked.repeats in (1, len(found["repeats"]))


def _counts(out: Path, planned: str, cells: list[PlannedCell]) -> dict[str, Any]:
    finished = sum(cell.state == "finished" for cell in plan_status(out))
    return {"out": str(out), "report": None, "dry_run": False, planned: len(cells), "finished": finished}
