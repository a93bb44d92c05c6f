"""From finished cells to a judged experiment: `comparison.json` and `report.html`."""

import dataclasses
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import gangda
from gangda.comparing.analyses.calibration import calibrate
from gangda.comparing.analyses.exchange_rate import exchange
from gangda.comparing.analyses.second_classifier import second_opinion
from gangda.comparing.analyses.tuned_steps import tuned_table
from gangda.comparing.arm_fits import unpack_correct
from gangda.comparing.cells import cell_path, read_cell
from gangda.comparing.failures import (
    Failure,
    failure_words,
    failures_of,
    refuse_none_left,
)
from gangda.comparing.notes import notes_of, varied
from gangda.comparing.plan import Plan
from gangda.comparing.rows import arm_row
from gangda.comparing.scores import FIGURES, weights_of, words_of
from gangda.config import resolve
from gangda.errors import DataError, IncompleteError
from gangda.runtime.files import FORMAT_VERSION, write_bytes, write_json
from gangda.statistics.families import family_of
from gangda.statistics.mcnemar import BoolArray
from gangda.statistics.values import Judgement
from gangda.statistics.verdicts import judge_arms

PACKAGES = ("torch", "torchvision", "numpy", "scipy")
APART = ("pictures", "test_labels")  # of a cell: shown, or said once for all


@dataclass(frozen=True, eq=False)
class CompareResult:
    """What `gangda compare` reports.

    Attributes:
        out: the experiment's folder.
        plan: as in `plan.json`.
        comparison: the judged arms; None for a dry run or where only one cell was asked for.
        finished: cells finished.
        cell: the one cell asked for, or None.
        dry_run: nothing was written.
        notes: what a reader must know: what the verdict is conditional on, extensions, alarms.
        arms: what each was and cost.
        failed: cells that are left out of everything, with the reason.
        exchange: what added images are worth in real ones; None where nothing was measured to say so.
        tuned: the arms with steps chosen on validation images; None where none were to choose from.
        filters: what the arms' filters rejected.
    """

    out: Path
    plan: dict[str, Any]
    comparison: Judgement | None
    finished: int
    cell: int | None = None
    dry_run: bool = False
    notes: tuple[str, ...] = ()
    arms: tuple[dict[str, Any], ...] = ()
    failed: tuple[Failure, ...] = ()
    exchange: dict[str, Any] | None = None
    tuned: dict[str, Any] | None = None
    filters: tuple[dict[str, Any], ...] = ()

    @property
    def report(self) -> Path | None:
        """The HTML report, once there is one."""
        return None if self.comparison is None else self.out / "report.html"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON and for the terminal's tables."""
        judged = None if self.comparison is None else self.comparison.as_dict()
        return {
            "out": str(self.out),
            "report": None if self.report is None else str(self.report),
            "dry_run": self.dry_run,
            "cell": self.cell,
            "cells": len(self.plan["cells"]),
            "finished": self.finished,
            "failed": [failure.as_dict() for failure in self.failed],
            "headline": None if judged is None else judged["headline"],
            "notes": list(self.notes),
            "arms": list(self.arms),
            "exchange": self.exchange,
            "tuned": self.tuned,
            "filters": list(self.filters),
            "comparison": judged,
            "plan": self.plan,
        }


def collect(plan: Plan, out: Path) -> CompareResult:
    """Judge the finished cells and write `comparison.json` and `report.html`.

    Raises:
        IncompleteError: cells are missing; they are named.
        OutcomeError: every cell failed.
        DataError: cells that do not belong together.
    """
    from gangda.comparing.report.comparison import render
    from gangda.comparing.report.filtering import filter_rows

    cells, failed = _all_cells(plan, out)
    found = _judged(plan, cells, failed)
    document = _document(plan, out, cells, failed, found)
    write_json(out / "comparison.json", document)
    pictures = [cell["pictures"] for cell in cells if cell["pictures"]]
    write_bytes(out / "report.html", render(document, pictures, resolve.dump(plan.config)).encode())
    return CompareResult(
        out,
        plan.as_dict(),
        found.comparison,
        len(cells),
        notes=found.notes,
        arms=found.arms,
        failed=failed,
        exchange=found.exchange,
        tuned=found.tuned,
        filters=tuple(filter_rows(cells)),
    )


@dataclass(frozen=True, eq=False)
class _Judged:
    """What the finished cells say; each but the first two is as its module makes it."""

    comparison: Judgement
    arms: tuple[dict[str, Any], ...]
    second: dict[str, Any] | None
    tuned: dict[str, Any] | None
    calibration: list[dict[str, Any]]
    exchange: dict[str, Any] | None
    notes: tuple[str, ...]


def _judged(plan: Plan, cells: Sequence[dict[str, Any]], failed: Sequence[Failure]) -> _Judged:
    compare = plan.config.compare
    comparison = judge_arms(
        {arm: _correct(cells, arm) for arm in compare.arms},
        alpha=compare.alpha,
        margin=None if compare.margin is None else compare.margin / 100,
        family=family_of(compare.arms, compare.contrast, compare.multiplicity),
        weights=weights_of(compare.score_by, cells),
        score=words_of(compare.score_by),
    )
    second = second_opinion(cells, comparison, compare.alpha, FIGURES[compare.score_by])
    said = (comparison.headline, second["sentence"]) if second else (comparison.headline,)
    comparison = dataclasses.replace(comparison, headline=" ".join(said) + failure_words(failed))
    calibration = calibrate(compare.arms, comparison, compare.alpha)
    arms = tuple(arm_row(cells, arm) for arm in compare.arms)
    return _Judged(
        comparison,
        arms,
        second,
        tuned_table(cells, compare, FIGURES[compare.score_by]),
        calibration,
        exchange(compare, comparison, arms, compare.alpha),
        notes_of(plan, cells, calibration, failed),
    )


def _document(
    plan: Plan, out: Path, cells: Sequence[dict[str, Any]], failed: Sequence[Failure], found: _Judged
) -> dict[str, Any]:
    """The content of `comparison.json`."""
    return {
        "format_version": FORMAT_VERSION,
        "kind": "comparison",
        "headline": found.comparison.headline,
        "notes": list(found.notes),
        "varied": varied(plan),
        "arms": list(found.arms),
        "second": found.second,
        "tuned": found.tuned,
        "calibration": found.calibration,
        "exchange": found.exchange,
        "comparison": found.comparison.as_dict(),
        "failed": [failure.as_dict() for failure in failed],
        "plan": plan.as_dict(),
        "command": command_of(plan, out),
        "versions": versions(),
        "test_labels": cells[0]["test_labels"],
        "cells": [{key: value for key, value in cell.items() if key not in APART} for cell in cells],
    }


def _all_cells(plan: Plan, out: Path) -> tuple[list[dict[str, Any]], tuple[Failure, ...]]:
    """The finished cells and the failed ones, which together are all."""
    found = [(cell, read_cell(out, cell)) for cell in plan.cells]
    failed = failures_of(plan.cells, out)
    known = {failure.index for failure in failed}
    missing = [cell.index for cell, values in found if values is None and cell.index not in known]
    if missing:
        damaged = [
            str(path)
            for cell, _ in found
            if cell.index in missing and (path := cell_path(out, cell)).exists()
        ]
        what = f" (damaged, or changed since: {', '.join(damaged)})" if damaged else ""
        raise IncompleteError(
            f"{out}: {len(missing)} of {len(found)} cells are missing, by number: {_ranges(missing)}{what}; "
            f"run the same command without --jobs 0 and --cell"
        )
    refuse_none_left(plan, out, failed)
    return [values for _, values in found if values is not None], failed


def _correct(cells: Sequence[dict[str, Any]], arm: str) -> BoolArray:
    """bool (n, m) of one arm."""
    tests = [cell["arms"][arm]["test"] for cell in cells]
    if len({cell["rows"]["test"]["hash"] for cell in cells}) != 1:
        raise DataError("the cells were judged on different test images; choose another --out")
    return np.stack([unpack_correct(test["correct"], test["n_test"]) for test in tests])


def _ranges(numbers: Sequence[int]) -> str:
    """0, 1, 2, 5 -> "0-2, 5"."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def command_of(plan: Plan, out: Path) -> str:
    """The command that makes this experiment again from the configuration beside it."""
    shared = f" --run {plan.run}" if plan.run else ""
    return f"gangda compare --config {out / 'config.yaml'}{shared} --out NEW_FOLDER"


def versions() -> dict[str, str]:
    """Of what the numbers depend on."""
    found = {name: metadata.version(name) for name in PACKAGES}
    own = {"gangda": gangda.__version__, "python": platform.python_version()}
    return {**own, **found, "machine": platform.platform()}
