"""From finished cells to a comparison: `comparison.json` and `report.html`."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from gangda.augmenting.selection import words_of
from gangda.comparing.advice import Situation, advise
from gangda.comparing.analyses import Judged, load_analyses, planned_analyses
from gangda.comparing.cell_result import CellResult, FailedCell
from gangda.comparing.comparison import Comparison, arm_row, filter_rows, objections_to
from gangda.comparing.plan import ComparisonPlan
from gangda.comparing.storage import cell_path, read_cells, write_comparison
from gangda.comparing.versions import joined
from gangda.errors import DataError, IncompleteError, OutcomeError
from gangda.runtime.files import write_bytes
from gangda.statistics.families import family_of
from gangda.statistics.verdicts import balancing, judge_arms

OVERLAP = 0.05  # of two seeds' training images, from which on it is told
ALARM_GAP = 0.2  # a healthy generator's samples are recognised about as often as real images


def collect(plan: ComparisonPlan, out: Path, *, write: bool = True) -> Comparison:
    """Judge the finished cells, `write` comparison.json and report.html; an IncompleteError if cells are missing."""
    from gangda.comparing.report.page import render

    comparison = _compare(plan, out, *_all_cells(plan, out))
    if write:
        write_comparison(comparison, plan, out)
        write_bytes(out / "report.html", render(comparison, plan).encode())
    return comparison


def _compare(
    plan: ComparisonPlan, out: Path, cells: Sequence[CellResult], failed: Sequence[FailedCell]
) -> Comparison:
    if len({cell.rows["test"].hash for cell in cells}) != 1:
        raise DataError("the cells were judged on different test images; choose another --out")
    arch, compare, labels = plan.config.arch, plan.config.compare, cells[0].test_labels
    judgement = judge_arms(
        {arm: np.stack([cell.arms[arm].test.correct for cell in cells]) for arm in compare.arms},
        alpha=compare.alpha,
        margin=None if compare.margin is None else compare.margin / 100,
        family=family_of(compare.arms, compare.contrast, compare.multiplicity),
        weights=balancing(labels.astype(np.int64)) if compare.score_by == "balanced" else None,
        score=words_of(compare.score_by),
        replaced=bool(compare.replace),
    )
    arms = tuple(arm_row(cells, arm, arch) for arm in compare.arms)
    known, about = load_analyses(), Judged(judgement, arms, plan.config)
    judged = {
        name: known[name].judge([cell.analyses.get(name) for cell in cells], about)
        for name in planned_analyses(plan.config)
    }
    analyses = {name: result for name, result in judged.items() if result is not None}
    main = next((one.verdict for one in judgement.contrasts if one.primary), "")
    objection = objections_to(main, analyses)
    plain = judgement.plain.removesuffix(".") + objection + "."
    situation = Situation(judgement, plan, out, cells)
    headline = [plain, judgement.headline, *(found.headline for found in analyses.values() if found.headline)]
    notes = [note for found in analyses.values() for note in found.notes]
    return Comparison(
        plain=plain,
        headline=" ".join(headline) + failure_words(failed),
        advice=advise(situation, poor=_collapse_alarm(plan, cells) is not None, objection=objection),
        notes=notes_of(plan, cells, notes, failed),
        varied=varied(plan),
        judgement=judgement,
        arms=arms,
        filters=filter_rows(cells, arch),
        analyses=analyses,
        failed=tuple(failed),
        test_labels=labels,
        cells=tuple(cells),
        command=situation.again(out="NEW_FOLDER"),
        day=last_day([out / CellResult.folder]),
        versions=joined(cell.versions for cell in cells),
    )


def last_day(folders: Iterable[Path]) -> str:
    """When the last cell in these folders was written; empty without any."""
    written = [path.stat().st_mtime for folder in folders for path in folder.glob("*.json")]
    return datetime.fromtimestamp(max(written)).astimezone().date().isoformat() if written else ""


def _all_cells(plan: ComparisonPlan, out: Path) -> tuple[list[CellResult], tuple[FailedCell, ...]]:
    found = read_cells(plan.cells, out, CellResult)
    missing, failed = found.missing, found.failed
    if missing:
        damaged = [str(path) for cell in missing if (path := cell_path(out, cell)).exists()]
        what = f" (damaged, or changed since: {', '.join(damaged)})" if damaged else ""
        numbers = _ranges([cell.index for cell in missing])
        lacks = f"{len(missing)} of {len(plan.cells)} cells are missing, by number: {numbers}{what}"
        raise IncompleteError(f"{out}: {lacks}; run the same command without --judge, --cell and --shard")
    if len(failed) == len(plan.cells):
        again = f"to try the same seeds again, remove {out / FailedCell.folder}"
        raise OutcomeError(f"{out}: all {len(failed)} cells failed; {failed[0]} ({again})")
    return list(found.results.values()), failed


def _ranges(numbers: Sequence[int]) -> str:
    """0, 1, 2, 5 -> "0-2,5", as `sbatch --array` takes it."""
    runs = np.split(np.array(numbers), np.flatnonzero(np.diff(numbers) > 1) + 1)
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def varied(plan: ComparisonPlan) -> str:
    """What differs from seed to seed."""
    classifier = "the classifier's initial weights and order"
    if plan.run is not None:
        return f"{classifier}, and the samples drawn; the data subset and the generator are shared"
    subset = "the validation images" if _whole(plan) else "the real subset"
    return f"{subset}, the generator, its samples, and {classifier}"


def notes_of(
    plan: ComparisonPlan,
    cells: Sequence[CellResult],
    found: Sequence[str] = (),
    failed: Sequence[FailedCell] = (),
) -> tuple[str, ...]:
    """Conditions and alarms, most important first; `found` are those of the analyses."""
    notes = [failure_note(failed, len(plan.cells)), *plan.alarms, _untested_note(cells[0])]
    if plan.run is not None:
        shared = f"Conditional on this generator: all seeds share that of {plan.run}"
        notes.append(f"{shared}, so the verdict is about it alone, not about training another like it.")
    later = "more were added later, so p is no longer exact"
    notes += [f"Extended: planned with {before} seeds; {later}." for before in plan.extensions]
    if plan.run is None and _whole(plan):
        same = "Every seed has the same real images (no --per-class)"
        notes.append(f"{same}: the verdict is about this training set.")
    elif plan.run is None:
        notes.append(_overlap_note(cells[0]))
    threads = sorted({str(cell.runtime.threads) for cell in cells})
    if len(threads) > 1:
        notes.append(
            f"Cells ran with {' and '.join(threads)} threads: the last bits of their numbers may differ."
        )
    notes += [_collapse_alarm(plan, cells), *found]
    return tuple(note for note in notes if note)


def failure_note(failed: Sequence[FailedCell], cells: int) -> str | None:
    """What a reader must know of the failed ones among `cells`; None where there are none."""
    if not failed:
        return None
    have, are = ("have", "are") if len(failed) > 1 else ("has", "is")
    return (
        f"FAILED: {len(failed)} of {cells} cells {have} no result and {are} left out of every arm: "
        f"{'; '.join(map(str, failed))}. The verdict is about the other seeds alone: "
        f"in use, this happens in about {len(failed) / cells:.0%} of trainings."
    )


def failure_words(failed: Sequence[FailedCell]) -> str:
    """The same for a verdict's end; empty where there are none."""
    numbers = ", ".join(str(one.index) for one in failed)
    return f" Without cell{'s' if len(failed) > 1 else ''} {numbers}, which failed." if failed else ""


def _whole(plan: ComparisonPlan) -> bool:
    return plan.config.data.per_class is None and plan.config.data.class_counts is None


def _untested_note(cell: CellResult) -> str:
    """Classes that no score speaks of; empty where there are none."""
    names, tested = cell.class_names, np.unique(cell.test_labels)
    missing = [name for label, name in enumerate(names) if label not in tested]
    if not missing:
        return ""
    listed = ", ".join(f"'{name}'" for name in missing[:5]) + (" and others" if len(missing) > 5 else "")
    return f"Without test images: {listed}. Scores are of the other {len(tested)} of {len(names)} classes."


def _overlap_note(cell: CellResult) -> str | None:
    """That subsets of one pool share images; None where few do. Of k of a class of N, two share k/N in the mean."""
    train, pool = np.array(cell.rows["train"].per_class), np.array(cell.pool)
    shared = float((train * (train / pool)).sum() / train.sum())
    if shared <= OVERLAP:
        return None
    apart = int((pool // np.maximum(1, train + np.array(cell.rows["validation"].per_class))).min())
    enough = (
        f"for {apart} seeds without a shared image"
        if apart > 1
        else "for no second seed without shared images"
    )
    return (
        f"Seeds overlap: two of them share {shared:.0%} of their training images in the mean, all drawn from "
        f"{pool.sum():,} images, which would be enough {enough}. So p and the intervals are about these {pool.sum():,} "
        "images, and too sure where others like them are meant (Nadeau and Bengio 2003)."
    )


def _collapse_alarm(plan: ComparisonPlan, cells: Sequence[CellResult]) -> str | None:
    pairs = [(one.generated, one.real) for cell in cells if (one := cell.recognised)]
    generated, real = np.mean(pairs, axis=0).tolist() if pairs else (0.0, 0.0)
    if generated >= real - ALARM_GAP:
        return None
    causes = "Most likely the generator has had too few steps: train longer. Else it has collapsed, or labels"
    if not plan.config.images_per_step:  # fitted in closed form
        causes = "The generator is too simple for these images, or labels"
    return (
        f"ALARM: the real-only classifier recognises {generated:.0%} of the generated images but {real:.0%} "
        f"of real test images. {causes} of the data are wrong."
    )
