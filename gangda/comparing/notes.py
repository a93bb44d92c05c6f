"""What a reader of a verdict must know: what it is conditional on, extensions, alarms."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gangda.comparing.analyses.calibration import calibration_note
from gangda.comparing.analyses.exchange_rate import refusal
from gangda.comparing.failures import Failure, failure_note
from gangda.comparing.plan import Plan

ALARM_GAP = 0.2  # a healthy generator's samples are recognised about as often as real images


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
