"""From finished cells to a judged experiment: `comparison.json` and `report.html`."""

import dataclasses
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import gangda
from gangda import settings
from gangda.arms import find
from gangda.engines.comparing.calibration import calibrate, calibration_note
from gangda.engines.comparing.cells import read_cell
from gangda.engines.comparing.exchange import exchange, refusal
from gangda.engines.comparing.failures import (
    Failure,
    failure_note,
    failure_words,
    failures_of,
    refuse_none_left,
)
from gangda.engines.comparing.fits import unpack_correct
from gangda.engines.comparing.plan import Plan
from gangda.engines.comparing.pools import LEAKY
from gangda.engines.comparing.scores import FIGURES, weights_of, words_of
from gangda.engines.comparing.second import second_opinion
from gangda.engines.comparing.tuning import tuned_table
from gangda.errors import DataError, IncompleteError
from gangda.runtime.files import FORMAT_VERSION, write_bytes, write_json
from gangda.statistics.families import family_of
from gangda.statistics.mcnemar import BoolArray
from gangda.statistics.values import Comparison
from gangda.statistics.verdicts import judge_arms

PACKAGES = ("torch", "torchvision", "numpy", "scipy")
APART = ("pictures", "test_labels")  # of a cell: shown, or said once for all
ALARM_GAP = 0.2  # a healthy generator's samples are recognised about as often as real images


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
    comparison: Comparison | None
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
    from gangda.report.comparison import render
    from gangda.report.filtering import filter_rows

    cells, failed = _all_cells(plan, out)
    arms = plan.config.compare.arms
    correct = {arm: _correct(cells, arm) for arm in arms}
    margin = plan.config.compare.margin
    compare = plan.config.compare
    comparison = judge_arms(
        correct,
        alpha=compare.alpha,
        margin=None if margin is None else margin / 100,
        family=family_of(arms, compare.contrast, compare.procedure),
        weights=weights_of(compare.score_by, cells),
        score=words_of(compare.score_by),
    )
    second = second_opinion(cells, comparison, compare.alpha, FIGURES[compare.score_by])
    if second is not None:
        comparison = dataclasses.replace(comparison, headline=f"{comparison.headline} {second['sentence']}")
    comparison = dataclasses.replace(comparison, headline=comparison.headline + failure_words(failed))
    tuned = tuned_table(cells, compare, FIGURES[compare.score_by])
    calibration = calibrate(arms, comparison, compare.alpha)
    notes = notes_of(plan, cells, calibration, failed)
    table = tuple(arm_row(cells, arm) for arm in arms)
    worth = exchange(compare, comparison, table, compare.alpha)
    document = {
        "format_version": FORMAT_VERSION,
        "kind": "comparison",
        "headline": comparison.headline,
        "notes": list(notes),
        "varied": varied(plan),
        "arms": list(table),
        "second": second,
        "tuned": tuned,
        "calibration": calibration,
        "exchange": worth,
        "comparison": comparison.as_dict(),
        "failed": [failure.as_dict() for failure in failed],
        "plan": plan.as_dict(),
        "command": command_of(plan, out),
        "versions": versions(),
        "test_labels": cells[0]["test_labels"],
        "cells": [{key: value for key, value in cell.items() if key not in APART} for cell in cells],
    }
    write_json(out / "comparison.json", document)
    pictures = [cell["pictures"] for cell in cells if cell["pictures"]]
    write_bytes(out / "report.html", render(document, pictures, settings.dump(plan.config)).encode())
    result = CompareResult(out, plan.as_dict(), comparison, len(cells), notes=notes, arms=table)
    return dataclasses.replace(
        result, failed=failed, exchange=worth, tuned=tuned, filters=tuple(filter_rows(cells))
    )


def _all_cells(plan: Plan, out: Path) -> tuple[list[dict[str, Any]], tuple[Failure, ...]]:
    """The finished cells and the failed ones, which together are all."""
    found = [(cell, read_cell(out, cell)) for cell in plan.cells]
    failed = failures_of(plan.cells, out)
    known = {failure.index for failure in failed}
    missing = [cell.index for cell, values in found if values is None and cell.index not in known]
    if missing:
        raise IncompleteError(
            f"{out}: {len(missing)} of {len(found)} cells are missing: {_ranges(missing)}; "
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


def arm_row(cells: Sequence[dict[str, Any]], arm: str) -> dict[str, Any]:
    """What the arm was and cost, over the seeds: mean sizes, ratios chosen, seconds."""
    results = [cell["arms"][arm] for cell in cells]
    made = [one for one in (_generator_of(cell, arm) for cell in cells) if one]
    return {
        "name": arm,
        "accuracy": float(np.mean([r["test"]["accuracy"] for r in results])),
        "balanced_accuracy": float(np.mean([r["test"]["balanced_accuracy"] for r in results])),
        "macro_f1": float(np.mean([r["test"]["macro_f1"] for r in results])),
        "train_accuracy": float(np.mean([r["test"]["train_accuracy"] for r in results])),
        "n_train": float(np.mean([r["n_train"] for r in results])),
        "n_generated": float(np.mean([r["n_generated"] for r in results])),
        "ratios": [r["ratio"] for r in results] if results[0]["ratio"] is not None else None,
        "filters": [",".join(r["filter"]) or "none" for r in results] if _chose_filter(results) else None,
        "added_per_class": _mean_added(results),
        "classifier_steps": results[0]["steps"],
        "classifier_seconds": float(np.mean([r["seconds"] for r in results])),
        "generator_seconds": float(np.mean([g["train_seconds"] + g["draw_seconds"] for g in made]))
        if made
        else 0.0,
        "draw_rate": float(np.mean([sum(g["made"]) / max(g["draw_seconds"], 1e-9) for g in made]))
        if made
        else None,
    }


def _generator_of(cell: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """What made the images that this arm adds; None where no generator did."""
    arm, arch = find(name)
    if not arm.generated and arm.added != "leaked":
        return None
    key = LEAKY if arm.added == "leaked" else arch
    made: Mapping[str, Any] | None = cell["generator"] if key is None else cell.get("generators", {}).get(key)
    return made


def _mean_added(results: Sequence[Mapping[str, Any]]) -> list[float] | None:
    """Added images of each class, mean over the seeds; None where a cell of earlier days does not say."""
    counts = [result.get("added_per_class") for result in results]
    known = [count for count in counts if count is not None]
    return np.mean(known, axis=0).tolist() if len(known) == len(counts) else None


def varied(plan: Plan) -> str:
    """What differs from seed to seed."""
    if plan.run is not None:
        return (
            "the classifier's initial weights and order, and the samples drawn; "
            "the data subset and the generator are shared"
        )
    data = plan.config.data
    whole = data.per_class is None and data.class_counts is None
    subset = "the validation images" if whole else "the real subset"
    return f"{subset}, the generator, its samples, and the classifier's initial weights and order"


def notes_of(
    plan: Plan,
    cells: Sequence[dict[str, Any]],
    calibration: Sequence[Mapping[str, Any]] = (),
    failed: Sequence[Failure] = (),
) -> tuple[str, ...]:
    """Conditions and alarms, most important first."""
    lost = failure_note(failed, len(plan.cells))
    notes = [] if lost is None else [lost]
    if plan.run is not None:
        notes.append(
            f"Conditional on this GAN: all seeds share the generator of {plan.run}, "
            f"so the verdict is about it alone, not about training such a generator again."
        )
    for before in plan.extensions:
        notes.append(
            f"Extended: planned with {before} seeds; more were added later, so p is no longer exact."
        )
    data = plan.config.data
    if plan.run is None and data.per_class is None and data.class_counts is None:
        notes.append(
            "Every seed has the same real images (no --per-class): the verdict is about this training set."
        )
    alarms = (calibration_note(calibration), _collapse_alarm(cells), refusal(plan.config.compare))
    return (*notes, *(alarm for alarm in alarms if alarm))


def _collapse_alarm(cells: Sequence[dict[str, Any]]) -> str | None:
    pairs = [cell["recognised"] for cell in cells if cell["recognised"]]
    if not pairs:
        return None
    generated, real = (float(np.mean([pair[key] for pair in pairs])) for key in ("generated", "real"))
    if generated >= real - ALARM_GAP:
        return None
    return (
        f"ALARM: the real-only classifier recognises {generated:.0%} of the generated images but {real:.0%} "
        f"of real test images: the generator's labels or images are poor (undertrained, or collapsed)."
    )


def command_of(plan: Plan, out: Path) -> str:
    """The command that makes this experiment again from the configuration beside it."""
    shared = f" --run {plan.run}" if plan.run else ""
    return f"gangda compare --config {out / 'config.yaml'}{shared} --out NEW_FOLDER"


def versions() -> dict[str, str]:
    """Of what the numbers depend on."""
    found = {name: metadata.version(name) for name in PACKAGES}
    own = {"gangda": gangda.__version__, "python": platform.python_version()}
    return {**own, **found, "machine": platform.platform()}


def _chose_filter(results: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an arm had filters to choose among."""
    return any(candidate.get("filter") for result in results for candidate in result["candidates"])
