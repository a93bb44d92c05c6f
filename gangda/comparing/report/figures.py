"""Figures of a comparison: dots of every seed, validation scores over ratios, distances to training images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gangda.comparing.cell_result import CellResult
from gangda.report.page import ACCENT, CALM, INK, MARKS, PALETTE, drawing, to_svg
from gangda.statistics.values import Interval

ROW = 0.52  # inches of a row of dots below its name


@dataclass(frozen=True)
class Dots:
    """A row: a value of every seed, their mean and its interval; `accent` colours the last two, `margin` is a band."""

    name: str
    values: Sequence[float]
    mean: float
    interval: Interval | None
    accent: bool = True
    margin: float = 0.0


def dots_figure(
    key: str, rows: Sequence[Dots], label: str, words: str, *, scale: int = 100, zero: bool = False
) -> str:
    """A figure of rows, all values times `scale`, with a line at `zero` or without; `words` say what it is.

    Empty without rows.
    """
    if not rows:
        return ""
    with drawing(key, 0.7 + ROW * len(rows)) as (fig, axes):
        axes.set_yticks([])
        axes.set_ylim(len(rows) - 0.6, -0.7)
        axes.grid(axis="x", alpha=0.15, color=INK)
        band = -0.22, 0.3  # of a row, below its name
        for height, row in enumerate(rows):
            if zero:
                axes.plot([0, 0], [height + end for end in band], "-", color=INK, lw=1)
            if row.margin:
                edges = [-scale * row.margin, scale * row.margin]
                axes.fill_between(edges, *(height + end for end in band), color=INK, alpha=0.1, lw=0)
            values = scale * np.asarray(row.values, dtype=np.float64)
            shifts = (np.arange(len(values)) % 5 - 2) * 0.06  # so that equal values do not hide each other
            colour = ACCENT if row.accent else INK
            axes.plot(values, height + shifts, "o", ms=5.5, alpha=0.75, color=CALM, mec="none")
            if row.interval is not None:
                ends = (scale * row.interval[0], scale * row.interval[1])
                axes.plot(ends, (height, height), "-", lw=2, color=colour, solid_capstyle="butt")
            axes.plot([scale * row.mean], [height], "D", ms=7, color=colour, mec="none")
            place = {"transform": axes.get_yaxis_transform(), "va": "bottom", "parse_math": False}
            axes.text(0, height - 0.27, row.name, **place)
        axes.set_xlabel(label)
        return to_svg(fig, f"{words}: one dot a seed, mean and interval. The table has the numbers.")


def distances_figure(key: str, of_samples: Sequence[float], of_held_out: Sequence[float], seed: int) -> str:
    """Share of images with a training image within a distance: samples beside held-out images."""
    with drawing(f"nearest-{key}-{seed}", 2.4) as (fig, axes):
        for distances, colour, style, words in (
            (of_held_out, INK, "--", "held-out real images"),
            (of_samples, ACCENT, "-", "samples"),
        ):
            share = 100 * np.arange(1, len(distances) + 1) / max(1, len(distances))
            axes.step(distances, share, style, where="post", lw=1.8, color=colour, label=words)
        axes.set(xlabel="distance to the nearest training image, grey levels", ylabel="images, per cent")
        axes.set_xlim(left=0)
        axes.grid(axis="y", alpha=0.15, color=INK)
        fig.legend(loc="outside upper left", ncols=2, frameon=False)
        what = f"Distances of samples of {key}, and of held-out images, to their nearest training images"
        return to_svg(fig, f"{what}, seed {seed}. Samples to the left of the held-out line may be copies.")


def ratio_figure(cells: Sequence[CellResult], arms: Sequence[str], score: str = "accuracy") -> str | None:
    """Validation score over the candidate ratios, a line for each arm and filter; None where no arm had a choice."""
    curves = {label: points for arm in arms for label, points in _candidates(cells, arm).items()}
    curves = {label: points for label, points in curves.items() if len(points) > 1}
    if not curves:
        return None
    with drawing("ratios", 3.4) as (fig, axes):
        shift = 0.012 * max(max(points) for points in curves.values())
        for number, (arm, points) in enumerate(curves.items()):
            colour, mark = PALETTE[number % len(PALETTE)], MARKS[number % len(MARKS)]
            ratios = sorted(points)
            aside = (number - (len(curves) - 1) / 2) * shift
            for ratio in ratios:
                places = [ratio + aside] * len(points[ratio])
                axes.plot(places, points[ratio], mark, ms=4, alpha=0.55, color=colour, mec="none")
            means = [float(np.mean(points[ratio])) for ratio in ratios]
            axes.plot(ratios, means, f"{mark}-", ms=6, lw=2, color=colour, mec="none", label=arm)
        axes.set_xticks(sorted({ratio for points in curves.values() for ratio in points}))
        axes.set(xlabel="candidate ratio", ylabel=f"validation {score}, per cent")
        axes.grid(axis="y", alpha=0.15, color=INK)
        columns = 2 if max(map(len, curves)) <= 24 else 1  # what fits beside each other
        fig.legend(loc="outside upper left", ncols=columns, frameon=False)
        return to_svg(fig, f"Validation {score} over candidate ratios: a line for each arm, dots are seeds.")


def _candidates(cells: Sequence[CellResult], arm: str) -> dict[str, dict[float, list[float]]]:
    """For the arm with each filter that it could choose: ratio -> validation score of each seed, in per cent."""
    found: dict[str, dict[float, list[float]]] = {arm: {}}
    for cell in cells:
        for trial in cell.arms[arm].candidates:
            if trial.validation is not None and trial.ratio is not None:
                points = found.setdefault(", ".join([arm, *trial.filters]), {})
                points.setdefault(trial.ratio, []).append(100 * trial.validation)
    for points in found.values():  # without added images no filter differs
        points.update({0.0: found[arm][0.0]} if 0.0 in found[arm] else {})
    return found
