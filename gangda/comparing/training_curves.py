"""Training curves of a generator from the log of its run, thinned to what a report can draw."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gangda.comparing.cell_result import CurveAlarm, TrainingCurves

POINTS = 200  # at most so many logged steps (and evaluations of samples) are kept
NOT_TERMS = ("step", "pretraining_step", "epoch", "epoch_seconds", "seconds")  # of a logged line


def read_curves(log: Path) -> TrainingCurves | None:
    """The curves of a `metrics.jsonl`; None where there is no log (nothing was trained step by step)."""
    if not log.is_file():
        return None
    lines = _lines(log)
    steps = thinned([line for line in lines if "epoch" in line])
    names = sorted({name for line in steps for name in line if name not in NOT_TERMS})
    alarms = [line for line in lines if isinstance(line.get("alarms"), list) and line["alarms"]]
    return TrainingCurves(
        steps=tuple(line["step"] for line in steps),
        terms={name: tuple(_rounded(line.get(name)) for line in steps) for name in names},
        evaluations=tuple(thinned(_evaluations(lines))),
        alarms=tuple(CurveAlarm(line["step"], tuple(map(str, line["alarms"]))) for line in alarms),
    )


def read_evaluations(log: Path) -> list[dict[str, Any]]:
    """Figures of the samples during training, each with its step; empty where there is no log."""
    return _evaluations(_lines(log)) if log.is_file() else []


def _evaluations(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"step": line["step"], **line["evaluation"]}
        for line in lines
        if isinstance(line.get("evaluation"), dict)
    ]


def _lines(log: Path) -> list[dict[str, Any]]:
    """What can be read of a log: curves are shown, not judged, so a damaged line is left out."""
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
