"""The course of a generator's training, thinned to what a report can draw: from the log of its run."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

POINTS = 200  # at most so many logged steps (and looks) are kept
ASIDE = (
    "step",
    "pretraining_step",
    "epoch",
    "epoch_seconds",
    "seconds",
)  # of a line, what is no figure of the step


def course_of(log: Path) -> dict[str, Any] | None:
    """What a `metrics.jsonl` tells; None where there is no log (nothing was trained step by step).

    `steps` and `terms` (loss terms, accuracies and gradient norms by name, None before a lazy one's first time) have
    the same length; `looks` are what was seen of the samples; `alarms` those looks that raised some.
    """
    if not log.is_file():
        return None
    lines = _lines(log)
    steps = thinned([line for line in lines if "epoch" in line])
    names = sorted({name for line in steps for name in line if name not in ASIDE})
    return {
        "steps": [line["step"] for line in steps],
        "terms": {name: [_rounded(line.get(name)) for line in steps] for name in names},
        "looks": thinned(_looks(lines)),
        "alarms": [{"step": line["step"], "texts": line["alarms"]} for line in lines if _listed(line)],
    }


def looks_of(log: Path) -> list[dict[str, Any]]:
    """What was seen of the samples in the course of training, with the step; empty where there is no log."""
    return _looks(_lines(log)) if log.is_file() else []


def _looks(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"step": line["step"], **line["evaluation"]}
        for line in lines
        if isinstance(line.get("evaluation"), dict)
    ]


def _listed(line: Mapping[str, Any]) -> bool:
    """Whether a line holds alarms."""
    return isinstance(line.get("alarms"), list) and bool(line["alarms"])


def _lines(log: Path) -> list[dict[str, Any]]:
    """What can be read of a log: a course is shown, not judged, so a damaged line costs no more than itself."""
    found = []
    for text in log.read_bytes().splitlines():
        with contextlib.suppress(ValueError):  # no JSON, or no UTF-8
            line = json.loads(text)
            if isinstance(line, dict) and isinstance(line.get("step"), int):
                found.append(line)
    return found


def thinned(lines: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Every so many of the lines, the last one always: at most `POINTS`."""
    if len(lines) <= POINTS:
        return list(lines)
    every = -(-len(lines) // (POINTS - 1))
    kept = list(lines[::every])
    return kept if (len(lines) - 1) % every == 0 else [*kept, lines[-1]]


def _rounded(value: Any) -> float | None:
    return float(f"{value:.4g}") if isinstance(value, int | float) else None
