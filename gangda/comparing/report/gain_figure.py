"""Figure of an experiment that varies the number of real images alone: what each tested difference gains over it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gangda.comparing.comparison import DECIDED
from gangda.report.page import INK, MARKS, PALETTE, drawing, to_svg
from gangda.statistics.values import Interval

VARIED = ["data.per_class"]  # and nothing else
LINE, LEAST = 0.17, 2.2  # inches: of a label, the lowest panel
# Shares of the way between two numbers of images: between two marks of one number, and that all of them spread over.
BESIDE, APART = 0.08, 0.35


@dataclass(frozen=True)
class Gain:
    """A tested difference with so many real images per class, in points."""

    images: int
    mean: float
    interval: Interval | None
    decided: bool  # better or worse was shown

    @property
    def ends(self) -> Interval:
        """Of the interval, or the mean itself."""
        return self.interval or (self.mean, self.mean)


def gain_figure(document: Mapping[str, Any]) -> str | None:
    """A line for each treated arm, a panel for each control; None where not only the number of images was varied."""
    panels = _gains(document["rows"]) if document["varied"] == VARIED else {}
    gains = [gain for lines in panels.values() for line in lines.values() for gain in line]
    sizes = sorted({gain.images for gain in gains})
    if len(sizes) < 2:
        return None
    heights = [max(LEAST, 0.8 + LINE * len(lines)) for lines in panels.values()]
    low, high = min(0.0, *(gain.ends[0] for gain in gains)), max(0.0, *(gain.ends[1] for gain in gains))
    limits = low - 0.05 * (high - low) - 0.01, high + 0.05 * (high - low) + 0.01
    with drawing("gains", sum(heights), len(panels), 1) as (fig, grid):
        grid[0, 0].get_gridspec().set_height_ratios(heights)
        for axes, (control, lines), height in zip(grid[:, 0], panels.items(), heights, strict=True):
            axes.set_xscale("log")
            axes.set_xticks(sizes, [f"{size:,}" for size in sizes], fontsize=8)
            axes.minorticks_off()
            axes.tick_params(labelsize=8)
            axes.set_xlim(*_x_limits(sizes))
            axes.set_ylim(*limits)
            axes.axhline(0, color=INK, lw=1)
            axes.grid(axis="y", alpha=0.15, color=INK)
            axes.set_title(f"against {control}", loc="left", fontsize=9, color=INK)
            axes.set_ylabel("gain, points", fontsize=8)
            gap = (
                (limits[1] - limits[0]) * LINE / (height - 0.6)
            )  # of labels: a panel's axes take what remains
            _draw_lines(axes, lines, sizes, gap)
        grid[-1, 0].set_xlabel("real images per class (log scale)", fontsize=8)
        return to_svg(
            fig, "Gain over the number of real images, a line for each arm. The table has the numbers."
        )


def _gains(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, list[Gain]]]:
    """By control and treated arm, in the order of the first variant; by number of images within."""
    panels: dict[str, dict[str, list[Gain]]] = {}
    for row in sorted((row for row in rows if row["per_class"]), key=lambda row: int(row["per_class"])):
        for one in row["contrasts"]:
            treated, _, control = one["name"].partition(" - ")
            interval = one["interval"] and (100 * one["interval"][0], 100 * one["interval"][1])
            shown = one["verdict"].startswith(DECIDED)
            gain = Gain(row["per_class"], 100 * one["mean"], interval, shown)
            panels.setdefault(control, {}).setdefault(treated, []).append(gain)
    return panels


def _x_limits(sizes: Sequence[int]) -> tuple[float, float]:
    """All numbers of images, with room for the marks beside them, also where a line has only some of them."""
    room = float(np.exp(0.6 * APART * np.min(np.diff(np.log(sizes)))))
    return sizes[0] / room, sizes[-1] * room


def _draw_lines(axes: Any, lines: Mapping[str, Sequence[Gain]], sizes: Sequence[int], gap: float) -> None:
    """Lines with marks beside each other, hollow where nothing was shown, and a label at the end of each."""
    nearest = float(np.min(np.diff(np.log(sizes))))
    beside = min(BESIDE, APART / max(1, len(lines) - 1))
    shifts = np.exp((np.arange(len(lines)) - (len(lines) - 1) / 2) * beside * nearest)
    labels = spread([line[-1].mean for line in lines.values()], gap)
    for number, ((name, line), shift, label) in enumerate(zip(lines.items(), shifts, labels, strict=True)):
        colour = PALETTE[number % len(PALETTE)]
        mark = MARKS[
            (number + number // len(PALETTE)) % len(MARKS)
        ]  # of another shape where a colour returns
        places = [gain.images * shift for gain in line]
        axes.plot(places, [gain.mean for gain in line], "-", lw=1.2, color=colour)
        for place, gain in zip(places, line, strict=True):
            axes.plot([place] * 2, gain.ends, "-", lw=1.6, color=colour, alpha=0.6, solid_capstyle="butt")
            fill = colour if gain.decided else "none"
            axes.plot([place], [gain.mean], mark, ms=5.5, color=colour, mfc=fill, mew=1.2)
        axes.annotate(
            name,
            (places[-1], line[-1].mean),
            (1.12, label),
            textcoords=("axes fraction", "data"),
            va="center",
            fontsize=8,
            color=INK,
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "lw": 0.8,
                "shrinkA": 1,
                "shrinkB": 4,
                "relpos": (0, 0.5),
            },
        )


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Places for labels in the order of these heights, at least `gap` apart, as near to them as can be (squares)."""
    from sklearn.isotonic import isotonic_regression

    order = np.argsort(heights, kind="stable")
    steps = gap * np.arange(len(heights))
    places = np.empty(len(heights))
    places[order] = isotonic_regression(np.asarray(heights, dtype=np.float64)[order] - steps) + steps
    return list(places.tolist())
