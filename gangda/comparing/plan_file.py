"""`plan.json` in a folder: written, continued, or refused where it is of other work."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gangda.comparing.plan import OWNER, ComparisonPlan, digest, identity_of
from gangda.config import resolve
from gangda.config.files import SOURCES
from gangda.errors import DataError, IncompleteError, RunError
from gangda.runtime.files import foreign_names, read_json, write_bytes, write_json
from gangda.runtime.locks import LOCK, LOCK_FILE, lock_folder
from gangda.runtime.plan_status import PLAN


def agreeing(plan: ComparisonPlan, out: Path) -> ComparisonPlan:
    """The folder's own plan, to be judged: nothing is written; raises as `publish` and `refuse_missing`."""
    refuse_missing(out)
    return _extended(plan, _read_plan(out, OWNER), out)


def publish(plan: ComparisonPlan, out: Path, *, dry_run: bool = False) -> ComparisonPlan:
    """Write `plan.json` and `config.yaml`, or continue the folder's own plan; a RunError names what differs."""
    path = out / "config.yaml"
    with locked_plan(out, OWNER, dry_run=dry_run) as there:
        if there is not None:
            plan = _extended(plan, there, out)
        if dry_run:
            return plan
        # The plan first: it marks the folder as this comparison's. Files that are as they must be stay.
        if there is None or there["seeds"] != len(plan.cells):
            write_json(out / PLAN, plan.as_dict())
        if not path.exists() or _values(path) != resolve.dump(plan.config):
            write_bytes(path, resolve.record(plan.config, path).encode())
    return plan


def _values(path: Path) -> str:
    """A recorded configuration without the sources of its values, which stand at its end."""
    return (
        path.read_text(encoding="utf-8", errors="replace").partition(f"\n{SOURCES}:")[0].rstrip("\n") + "\n"
    )


def refuse_missing(out: Path) -> None:
    """Raise an IncompleteError where a folder that is only to be judged has no plan."""
    if not (out / PLAN).exists():
        raise IncompleteError(
            f"{out}: no plan there, so all cells are missing; check --out, or plan it with --plan"
        )


@contextlib.contextmanager
def locked_plan(out: Path, owner: str, *, dry_run: bool = False) -> Iterator[dict[str, Any] | None]:
    """The `plan.json` of a folder of `owner`, or None, under a lock; a RunError for another's or a damaged one.

    A dry run takes no lock, which would be a file.
    """
    path = out / PLAN
    # The names are read before looking for the plan: another start may write its plan in between.
    if foreign_names(out, (LOCK, LOCK_FILE), (PLAN,)) and not path.exists():
        raise RunError(f"{out}: not {owner}'s folder, and not empty; choose another --out")
    with contextlib.nullcontext() if dry_run else lock_folder(out, wait=True):
        yield _read_plan(out, owner) if path.exists() else None


def _read_plan(out: Path, owner: str) -> dict[str, Any]:
    path = out / PLAN
    try:
        there = read_json(path)
    except DataError:
        raise RunError(f"{path}: damaged; put it back, or choose another --out") from None
    kind, fixed = str(there.get("kind")), there.get("fixed")
    if kind != f"plan of {owner}":
        if not kind.startswith("plan of "):
            raise RunError(f"{path}: not the plan of {owner}; choose another --out")
        name = fixed.get("experiment") if isinstance(fixed, dict) else None
        options = "the options" if name is None else f"--experiment {name} and the other options"
        again = f"give {options} that it was made with, or choose another --out"
        raise RunError(f"{out}: holds the {kind}, not of {owner}; {again}")
    if not isinstance(fixed, dict):
        raise RunError(f"{path}: damaged; put it back, or choose another --out")
    return there


def _extended(plan: ComparisonPlan, there: Mapping[str, Any], out: Path) -> ComparisonPlan:
    """The plan with the extensions of the one on disk, which it must agree with."""
    extensions = there.get("extensions")
    numbers = [there.get("seeds"), *(extensions if isinstance(extensions, list) else [None])]
    if not all(type(number) is int for number in numbers):
        raise RunError(f"{out / PLAN}: damaged; put it back, or choose another --out")
    plan = _with_threads_of(plan, there["fixed"])
    refuse_change(there["fixed"], plan.fixed, out)
    earlier = int(there["seeds"])
    if len(plan.cells) < earlier:
        fewer = f"its plan has {earlier} seeds, this command {len(plan.cells)}"
        raise RunError(f"{out}: {fewer}; seeds can be added, not taken away: choose another --out")
    added = (earlier,) if len(plan.cells) > earlier else ()
    plan = dataclasses.replace(plan, extensions=(*there["extensions"], *added))
    now = plan.as_dict()
    refuse_change(_derived({**now, **there}, earlier), _derived(now, earlier), out)
    return plan


def _derived(content: Mapping[str, Any], seeds: int) -> dict[str, Any]:
    """What follows from `fixed` and so many seeds: where it differs, the file was edited."""
    cells = content["cells"]
    cells = (
        {str(place): cell for place, cell in enumerate(cells[:seeds])} if isinstance(cells, list) else cells
    )
    return {"judging": content["judging"], "judging_hash": content["judging_hash"], "cells": cells}


def _with_threads_of(plan: ComparisonPlan, before: Mapping[str, Any]) -> ComparisonPlan:
    """The plan that a folder has already, where only the threads differ: each cell records those that it ran with."""
    threads = before.get("runtime", {}).get("threads") if isinstance(before.get("runtime"), dict) else None
    fixed = {**plan.fixed, "runtime": {**plan.fixed["runtime"], "threads": threads}}
    if threads is None or fixed == plan.fixed:
        return plan
    identity = identity_of(fixed)
    cells = tuple(
        dataclasses.replace(cell, id=digest({**identity, "seed": cell.seed})) for cell in plan.cells
    )
    return dataclasses.replace(plan, fixed=fixed, cells=cells)


def refuse_change(before: Mapping[str, Any], after: Mapping[str, Any], out: Path) -> None:
    """Raise a RunError, with the first difference, where a folder's plan has other fixed values."""
    old, new = flatten(before), flatten(after)
    changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    if changed:
        key = changed[0]
        more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
        differ = f"its plan has {key} = {old.get(key)}, this command has {new.get(key)}{more}"
        raise RunError(f"{out}: {differ}; a plan is not changed once made: choose another --out")


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys; JSON's view of the values (tuples are lists)."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = list(value) if isinstance(value, tuple) else value
    return flat
