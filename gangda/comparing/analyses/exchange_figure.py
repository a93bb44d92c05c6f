"""The figure of exchange rates: learning curves of real images, and where on them the arms lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gangda.report.svg import ACCENT, CALM, INK, drawing, figure, to_svg
from gangda.statistics.exchange_rate import ExchangeRate

STYLES = ("-", "--", ":", "-.")  # of curves, one after the other


@dataclass(frozen=True)
class CurvePoints:
    """A learning curve of real images: the arms that measured it, their sizes, and scores (sizes, seeds)."""

    arms: tuple[str, ...]
    sizes: tuple[float, ...]
    scores: tuple[tuple[float, ...], ...]
    means: tuple[float, ...]


@dataclass(frozen=True)
class ArmExchange:
    """What an arm's added images are worth, with its mean score and the real images it was trained on."""

    rate: ExchangeRate
    mean: float
    real: float


def exchange_figure(curves: Sequence[CurvePoints], arms: Sequence[ArmExchange], score: str) -> str:
    """Score over real training images: a line for each curve, a diamond with its interval for each arm."""
    sizes = sorted({size for curve in curves for size in curve.sizes})
    with drawing("exchange"):
        fig, axes = figure(7.2, 3.6)
        for number, curve in enumerate(curves):
            _draw_curve(axes, curve, STYLES[number % len(STYLES)])
        for arm in arms:
            _draw_arm(axes, arm, sizes[0], sizes[-1])
        axes.set_xscale("log")
        axes.set_xticks(sizes, [f"{size:,.0f}" for size in sizes])
        axes.minorticks_off()
        axes.set_xlabel("real training images")
        axes.set_ylabel(f"{score}, per cent")
        axes.grid(axis="y", alpha=0.15, color=INK)
        return to_svg(
            fig,
            "Learning curves of real images and the place of each arm on them; the table has the numbers.",
        )


def _draw_curve(axes: Any, curve: CurvePoints, style: str) -> None:
    for size, scores in zip(curve.sizes, curve.scores, strict=True):
        values = 100 * np.asarray(scores)
        axes.plot([size] * len(scores), values, "o", ms=3.5, alpha=0.4, color=CALM, mec="none")
    means = 100 * np.asarray(curve.means)
    axes.plot(curve.sizes, means, style, lw=1.5, color=CALM)
    _annotate(axes, curve.arms[0], curve.sizes[-1], means[-1], before=True)  # arms crowd at the first


def _draw_arm(axes: Any, arm: ArmExchange, least: float, most: float) -> None:
    """At the arm's mean score; what lies beyond the curve (infinite) is drawn at its end."""
    height, rate = 100 * arm.mean, arm.rate
    place, *ends = np.clip([arm.real + extra for extra in (rate.extra, *(rate.interval or ()))], least, most)
    if ends:
        axes.plot(ends, [height] * 2, "-", lw=2, color=ACCENT)
    axes.plot([place], [height], "D", ms=7, color=ACCENT, mec="none")
    _annotate(axes, rate.name, place, height)


def _annotate(axes: Any, name: str, x: float, y: float, *, before: bool = False) -> None:
    offset, side = ((-8, 3), "right") if before else ((6, 5), "left")
    axes.annotate(name, (x, y), offset, textcoords="offset points", color=INK, fontsize=8, ha=side)
