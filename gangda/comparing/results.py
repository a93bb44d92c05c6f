"""From finished cells to a comparison: `comparison.json` and `report.html`."""

import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import numpy as np

import gangda
from gangda.augmenting.selection import words_of
from gangda.comparing.analyses import load_analyses, planned_analyses
from gangda.comparing.cell_result import CellResult, FailedCell
from gangda.comparing.comparison import Comparison, arm_row, filter_rows
from gangda.comparing.notes import failure_words, notes_of, varied
from gangda.comparing.plan import ComparisonPlan
from gangda.comparing.storage import cell_path, read_cells, write_comparison
from gangda.errors import DataError, IncompleteError, OutcomeError
from gangda.runtime.files import write_bytes
from gangda.statistics.families import family_of
from gangda.statistics.values import Judgement
from gangda.statistics.verdicts import balancing, judge_arms

PACKAGES = ("torch", "torchvision", "numpy", "scipy")


def collect(plan: ComparisonPlan, out: Path) -> Comparison:
    """Judge the finished cells and write `comparison.json` and `report.html`.

    Raises:
        IncompleteError: cells are missing; they are named.
        OutcomeError: every cell failed.
        DataError: cells that do not belong together.
    """
    from gangda.comparing.report.page import render

    cells, failed = _all_cells(plan, out)
    comparison = _compare(plan, out, cells, failed)
    write_comparison(comparison, plan, out)
    write_bytes(out / "report.html", render(comparison, plan).encode())
    return comparison


def _compare(
    plan: ComparisonPlan, out: Path, cells: Sequence[CellResult], failed: Sequence[FailedCell]
) -> Comparison:
    arch = plan.config.arch
    judgement = _judge(plan, cells)
    arms = tuple(arm_row(cells, arm, arch) for arm in plan.config.compare.arms)
    known = load_analyses()
    judged = {
        name: known[name].judge([cell.analyses.get(name) for cell in cells], judgement, arms, plan.config)
        for name in planned_analyses(plan.config)
    }
    analyses = {name: result for name, result in judged.items() if result is not None}
    headline = [judgement.headline, *(found.headline for found in analyses.values() if found.headline)]
    notes = [note for found in analyses.values() for note in found.notes]
    shared = f" --run {plan.run}" if plan.run else ""
    return Comparison(
        headline=" ".join(headline) + failure_words(failed),
        notes=notes_of(plan, cells, notes, failed),
        varied=varied(plan),
        judgement=judgement,
        arms=arms,
        filters=filter_rows(cells, arch),
        analyses=analyses,
        failed=tuple(failed),
        test_labels=cells[0].test_labels,
        cells=tuple(cells),
        command=f"gangda compare --config {out / 'config.yaml'}{shared} --out NEW_FOLDER",
        versions=versions(),
    )


def _judge(plan: ComparisonPlan, cells: Sequence[CellResult]) -> Judgement:
    """Every arm's correctness on the test images, compared by the plan's protocol.

    Raises:
        DataError: the cells have different test images.
    """
    if len({cell.rows["test"].hash for cell in cells}) != 1:
        raise DataError("the cells were judged on different test images; choose another --out")
    compare, labels = plan.config.compare, cells[0].test_labels
    return judge_arms(
        {arm: np.stack([cell.arms[arm].test.correct for cell in cells]) for arm in compare.arms},
        alpha=compare.alpha,
        margin=None if compare.margin is None else compare.margin / 100,
        family=family_of(compare.arms, compare.contrast, compare.multiplicity),
        weights=balancing(labels.astype(np.int64)) if compare.score_by == "balanced" else None,
        score=words_of(compare.score_by),
    )


def _all_cells(plan: ComparisonPlan, out: Path) -> tuple[list[CellResult], tuple[FailedCell, ...]]:
    """The finished cells and the failed ones, which together are all."""
    found = read_cells(plan.cells, out, CellResult)
    missing, failed = found.missing, found.failed
    if missing:
        damaged = [str(path) for cell in missing if (path := cell_path(out, cell)).exists()]
        what = f" (damaged, or changed since: {', '.join(damaged)})" if damaged else ""
        numbers = _ranges([cell.index for cell in missing])
        raise IncompleteError(
            f"{out}: {len(missing)} of {len(plan.cells)} cells are missing, by number: {numbers}{what}; "
            f"run the same command without --jobs 0 and --cell"
        )
    if len(failed) == len(plan.cells):
        raise OutcomeError(
            f"{out}: all {len(failed)} cells failed, so that there is nothing to judge; {failed[0]} "
            f"(to try the same seeds again, remove {out / FailedCell.folder})"
        )
    return list(found.results.values()), failed


def _ranges(numbers: Sequence[int]) -> str:
    """0, 1, 2, 5 -> "0-2, 5"."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def versions() -> dict[str, str]:
    """Of what the numbers depend on."""
    found = {name: metadata.version(name) for name in PACKAGES}
    own = {"gangda": gangda.__version__, "python": platform.python_version()}
    return {**own, **found, "machine": platform.platform()}
