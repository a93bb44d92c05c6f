"""Scores and differences of every seed as dots, with their mean and interval."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gangda.report.svg import ACCENT, CALM, INK, drawing, figure, to_svg
from gangda.statistics.values import ArmSummary, Contrast, Interval

ROW = 0.42  # inches of a row of dots
DECIDED = ("better", "worse")
NUMBERS_BELOW = "one dot a seed, mean and interval. The table has the numbers."


def arms_figure(arms: Sequence[ArmSummary], score: str = "accuracy") -> str:
    """Score of every seed, mean and interval of each arm, in per cent."""
    with drawing("arms"):
        fig, axes = _axes([arm.name for arm in arms])
        for row, arm in enumerate(arms):
            _row(axes, row, arm.scores, arm.mean, arm.interval, ACCENT, scale=100)
        axes.set_xlabel(f"{score} on the test set, per cent")
        return to_svg(fig, f"{score.capitalize()} of each arm: {NUMBERS_BELOW}")


def contrasts_figure(contrasts: Sequence[Contrast], margin: float, score: str = "accuracy") -> str:
    """Paired difference of every seed, mean and interval, the equivalence margin (band), in points."""
    with drawing("contrasts"):
        fig, axes = _axes([contrast.name for contrast in contrasts])
        axes.axvspan(-100 * margin, 100 * margin, color=INK, alpha=0.08, lw=0)
        axes.axvline(0, color=INK, lw=1)
        for row, one in enumerate(contrasts):
            colour = ACCENT if one.verdict.startswith(DECIDED) else INK
            _row(axes, row, one.deltas, one.mean, one.interval, colour, scale=100)
        axes.set_xlabel(f"difference in {score}, points; the band is the equivalence margin")
        return to_svg(fig, f"Differences between arms: {NUMBERS_BELOW}")


def settings_figure(rows: Sequence[Any], words: str, percent: bool, *, zero: bool = False) -> str:
    """Scores, mean and interval of each setting, mappings with these names; in per cent (or points) or as they are."""
    with drawing(f"settings-{words}"):
        fig, axes = _axes([setting["name"] for setting in rows])
        if zero:
            axes.axvline(0, color=INK, lw=1)
        for row, setting in enumerate(rows):
            scores, mean, interval = (setting[key] for key in ("scores", "mean", "interval"))
            _row(axes, row, scores, mean, interval, ACCENT, scale=100 if percent else 1)
        axes.set_xlabel(words + ((", points" if zero else ", per cent") if percent else ""))
        return to_svg(fig, f"{words} of each setting: {NUMBERS_BELOW}")


def _axes(names: Sequence[str]) -> tuple[Any, Any]:
    """A figure with a row for each name."""
    fig, axes = figure(7.2, 0.9 + ROW * len(names))
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.15, color=INK)
    return fig, axes


def _row(
    axes: Any,
    row: int,
    scores: Sequence[float],
    mean: float,
    interval: Interval | None,
    colour: str,
    *,
    scale: int,
) -> None:
    """Dots a little apart, so that equal scores do not hide each other; a bar and a diamond."""
    values = scale * np.asarray(scores, dtype=np.float64)
    heights = row + (np.arange(len(values)) % 5 - 2) * 0.06
    axes.plot(values, heights, "o", ms=5.5, alpha=0.75, color=CALM, mec="none")
    if interval is not None:
        ends = (scale * interval[0], scale * interval[1])
        axes.plot(ends, (row, row), "-", lw=2, color=colour, solid_capstyle="butt")
    axes.plot([scale * mean], [row], "D", ms=7, color=colour, mec="none")
