"""The figure of an exchange rate: learning curves of real images, and where on them the arms lie."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gangda.report.svg import ACCENT, CALM, INK, drawing, figure, to_svg

STYLES = ("-", "--", ":", "-.")  # of curves, one after the other


def exchange_figure(exchange: Mapping[str, Any], score: str) -> str:
    """Score over real training images: a line for each curve, a diamond with its interval for each arm."""
    curves = exchange["curves"]
    first, last = (pick([size for curve in curves for size in curve["sizes"]]) for pick in (min, max))
    with drawing("exchange"):
        fig, axes = figure(7.2, 3.6)
        for number, curve in enumerate(curves):
            _curve(axes, curve, STYLES[number % len(STYLES)])
        for worth in exchange["worth"]:
            _arm(axes, worth, curves, (first, last))
        axes.set_xscale("log")
        sizes = sorted({size for curve in curves for size in curve["sizes"]})
        axes.set_xticks(sizes, [f"{size:,.0f}" for size in sizes])
        axes.minorticks_off()
        axes.set_xlabel("real training images")
        axes.set_ylabel(f"{score}, per cent")
        axes.grid(axis="y", alpha=0.15, color=INK)
        return to_svg(
            fig,
            "Learning curves of real images and the place of each arm on them; the table has the numbers.",
        )


def _curve(axes: Any, curve: Mapping[str, Any], style: str) -> None:
    sizes = np.asarray(curve["sizes"])
    for size, scores in zip(sizes, curve["scores"], strict=True):
        axes.plot(
            [size] * len(scores), 100 * np.asarray(scores), "o", ms=3.5, alpha=0.4, color=CALM, mec="none"
        )
    axes.plot(sizes, 100 * np.asarray(curve["means"]), style, lw=1.5, color=CALM)
    _named(
        axes, curve["arms"][0], sizes[-1], 100 * curve["means"][-1], before=True
    )  # arms crowd at the first


def _arm(
    axes: Any, worth: Mapping[str, Any], curves: Sequence[Mapping[str, Any]], ends: tuple[float, float]
) -> None:
    """At the arm's mean score; what lies beyond the curve stands at its end."""
    height, size = 100 * worth["mean"], worth["real"]
    size_range = {"below": ends[0], "above": ends[1]}
    place = size_range.get(worth["beyond"]) or size + worth["extra"]
    if worth["interval"]:
        reach = zip(worth["interval"], worth["beyond_interval"], strict=True)
        axes.plot(
            [size_range.get(side) or size + value for value, side in reach],
            [height] * 2,
            "-",
            lw=2,
            color=ACCENT,
        )
    axes.plot([place], [height], "D", ms=7, color=ACCENT, mec="none")
    _named(axes, worth["name"], place, height)


def _named(axes: Any, name: str, x: float, y: float, *, before: bool = False) -> None:
    offset, side = ((-8, 3), "right") if before else ((6, 5), "left")
    axes.annotate(name, (x, y), offset, textcoords="offset points", color=INK, fontsize=8, ha=side)
