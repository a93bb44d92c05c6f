"""Scores and differences of every seed as dots, with their mean and interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gangda.report.svg import ACCENT, CALM, INK, drawing, figure, to_svg
from gangda.statistics.values import Interval

ROW = 0.42  # inches of a row of dots


@dataclass(frozen=True)
class Dots:
    """A row: a value of every seed, their mean and its interval; `accent` colours the last two."""

    name: str
    values: Sequence[float]
    mean: float
    interval: Interval | None
    accent: bool = True


def dots_figure(
    key: str, rows: Sequence[Dots], label: str, words: str, *, scale: int = 100, margin: float | None = None
) -> str:
    """A figure with these rows, all values times `scale`; with a margin also zero and a band of so much around it.

    `key` keeps the figure's ids apart from those of others, `label` names the axis, `words` say what is shown.
    """
    with drawing(key):
        fig, axes = figure(7.2, 0.9 + ROW * len(rows))
        axes.set_yticks(range(len(rows)), [row.name for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", alpha=0.15, color=INK)
        if margin is not None:
            if margin:
                axes.axvspan(-scale * margin, scale * margin, color=INK, alpha=0.08, lw=0)
            axes.axvline(0, color=INK, lw=1)
        for height, row in enumerate(rows):
            values = scale * np.asarray(row.values, dtype=np.float64)
            heights = (
                height + (np.arange(len(values)) % 5 - 2) * 0.06
            )  # so that equal values do not hide each other
            colour = ACCENT if row.accent else INK
            axes.plot(values, heights, "o", ms=5.5, alpha=0.75, color=CALM, mec="none")
            if row.interval is not None:
                ends = (scale * row.interval[0], scale * row.interval[1])
                axes.plot(ends, (height, height), "-", lw=2, color=colour, solid_capstyle="butt")
            axes.plot([scale * row.mean], [height], "D", ms=7, color=colour, mec="none")
        axes.set_xlabel(label)
        return to_svg(fig, f"{words}: one dot a seed, mean and interval. The table has the numbers.")
