"""What a reader of a verdict must know: what it is conditional on, failed cells, extensions, alarms."""

from collections.abc import Sequence

import numpy as np

from gangda.comparing.cell_result import CellResult, FailedCell
from gangda.comparing.plan import ComparisonPlan

ALARM_GAP = 0.2  # a healthy generator's samples are recognised about as often as real images


def varied(plan: ComparisonPlan) -> str:
    """What differs from seed to seed."""
    if plan.run is not None:
        return (
            "the classifier's initial weights and order, and the samples drawn; "
            "the data subset and the generator are shared"
        )
    subset = "the validation images" if _whole(plan) else "the real subset"
    return f"{subset}, the generator, its samples, and the classifier's initial weights and order"


def notes_of(
    plan: ComparisonPlan,
    cells: Sequence[CellResult],
    found: Sequence[str] = (),
    failed: Sequence[FailedCell] = (),
) -> tuple[str, ...]:
    """Conditions and alarms, most important first; `found` are those of the analyses."""
    notes = [failure_note(failed, len(plan.cells))]
    if plan.run is not None:
        notes.append(
            f"Conditional on this generator: all seeds share that of {plan.run}, "
            f"so the verdict is about it alone, not about training such a generator again."
        )
    for before in plan.extensions:
        notes.append(
            f"Extended: planned with {before} seeds; more were added later, so p is no longer exact."
        )
    if plan.run is None and _whole(plan):
        notes.append(
            "Every seed has the same real images (no --per-class): the verdict is about this training set."
        )
    notes += [_collapse_alarm(cells), *found]
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
    if not failed:
        return ""
    plural = "s" if len(failed) > 1 else ""
    return f" Without cell{plural} {', '.join(str(one.index) for one in failed)}, which failed."


def _whole(plan: ComparisonPlan) -> bool:
    """Whether every seed trains on all of the source's training images."""
    return plan.config.data.per_class is None and plan.config.data.class_counts is None


def _collapse_alarm(cells: Sequence[CellResult]) -> str | None:
    pairs = [cell.recognised for cell in cells if cell.recognised]
    if not pairs:
        return None
    generated = float(np.mean([pair.generated for pair in pairs]))
    real = float(np.mean([pair.real for pair in pairs]))
    if generated >= real - ALARM_GAP:
        return None
    return (
        f"ALARM: the real-only classifier recognises {generated:.0%} of the generated images but {real:.0%} "
        f"of real test images: the generator's labels or images are poor (undertrained, or collapsed)."
    )
