"""How many real images are the added ones worth? Read off learning curves of real images (`held-back` arms)."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gangda.comparing.analyses import Analysis, AnalysisResult, Judged, Section, rendered
from gangda.comparing.comparison import ArmRow, Comparison
from gangda.config.arms import Arm, FitRule, amount_of, parse_arm
from gangda.config.schema import CompareConfig
from gangda.data.images import FloatArray
from gangda.report.page import ACCENT, CALM, INK, drawing, to_svg
from gangda.statistics.exchange_rate import ExchangeRate, exchange_rate, learning_curve

# Options that change what other real images count too, so that these are no learning curve.
SETTINGS = (
    "balance", "fill", "replace", "ratio_for", "generated_weight",
    "anneal_synthetic_weight", "synthetic_passes", "recalibrate",
)  # fmt: skip
STYLES = ("-", "--", ":", "-.")  # of curves, one after the other

Points = dict[float, tuple[str, FloatArray]]  # of a curve: the arm and its scores, by size


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


@dataclass(frozen=True, kw_only=True)
class ExchangeRates(AnalysisResult):
    """Learning curves, and the arms read off them."""

    curves: tuple[CurvePoints, ...] = ()
    worth: tuple[ArmExchange, ...] = ()


class ExchangeRateAnalysis(Analysis):
    """What each arm's added images are worth, where arms measured more real images.

    An arm is read off the curve of arms that are trained in its own way: `generated` off `real` and `held-back`,
    `generated+traditional` off `traditional` and `held-back+traditional`. An arm that added images in
    some seeds only, or different numbers, is not read off, and nothing is off a curve that does not rise.
    """

    result_type = ExchangeRates

    def judge(self, found: Sequence[Any], judged: Judged) -> ExchangeRates | None:
        """Curves and rates; a note where there can be none; None without arms for a curve, or to read off one."""
        compare = judged.config.compare
        known = {name: parse_arm(name)[0] for name in compare.arms}
        if not any(map(_is_more_real, known.values())):
            return None
        if reason := refusal(compare):
            return ExchangeRates(notes=(reason,))
        scores = {arm.name: np.array(arm.scores) for arm in judged.judgement.arms}
        rows = {row.name: row for row in judged.arms if len(set(row.ratios or ())) <= 1}  # those of one size
        points = _points(rows, scores)
        curves = {
            rule: learning_curve(list(each), [score for _, score in each.values()])
            for rule, each in points.items()
        }
        # To train on the added images first and then on the real ones is a way to use the added ones.
        asked = {
            name: dataclasses.replace(arm.rule, pretrained=False)
            for name, arm in known.items()
            if arm.added and not (arm.pseudo_labelled or _is_more_real(arm) or arm.replaces or arm.expected)
        }
        worth = tuple(
            ArmExchange(
                exchange_rate(name, scores[name], rows[name].n_generated, curves[rule], compare.alpha),
                mean=float(scores[name].mean()),
                real=float(curves[rule].sizes[0]),
            )
            for name, rule in asked.items()
            if rule in curves and curves[rule].rises and name in rows and rows[name].n_generated > 0
        )
        flat = tuple(
            f"No exchange rate beside {next(iter(points[rule].values()))[0]}: more real images did not do better here."
            for rule, curve in curves.items()
            if rule in asked.values() and not curve.rises
        )
        if not worth and not flat:
            return None
        drawn = tuple(
            CurvePoints(
                arms=tuple(name for name, _ in points[rule].values()),
                sizes=tuple(curve.sizes.tolist()),
                scores=tuple(map(tuple, curve.scores.T.tolist())),
                means=tuple(curve.means.tolist()),
            )
            for rule, curve in curves.items()
        )
        sentences = (*(arm.rate.sentence for arm in worth), *flat)
        return ExchangeRates(sentences=sentences, curves=drawn, worth=worth)

    def section(self, result: ExchangeRates, comparison: Comparison) -> Section | None:
        """The sentences, and the figure and table where there is a rate."""
        if not result.sentences:
            return None
        judged = comparison.judgement
        drawn = exchange_figure(result.curves, result.worth, judged.score) if result.worth else None
        values = {"exchange": result, "judged": judged, "infinity": math.inf, "figure": drawn}
        return Section("exchange", "What added images are worth", rendered("exchange_rate.html", **values))


def _points(rows: Mapping[str, ArmRow], scores: Mapping[str, FloatArray]) -> dict[FitRule, Points]:
    """Sizes and scores of each curve: two sizes or more, and among them the real images alone."""
    points: dict[FitRule, Points] = {}
    for name, row in rows.items():
        arm, own = parse_arm(name)[0], amount_of(name)
        filled = own is not None and own.fill  # with classes in other shares than the subset's
        if _is_alone(arm) or (_is_more_real(arm) and not filled):
            points.setdefault(arm.rule, {}).setdefault(row.n_train, (name, scores[name]))
    return {
        rule: each
        for rule, each in points.items()
        if len(each) > 1 and any(_is_alone(parse_arm(name)[0]) for name, _ in each.values())
    }


def refusal(compare: CompareConfig) -> str | None:
    """Why more real images are no learning curve here; None where they are."""
    alone = {parse_arm(name)[0].rule for name in compare.arms if _is_alone(parse_arm(name)[0])}
    for arm in (parse_arm(name)[0] for name in compare.arms):
        if _is_more_real(arm) and arm.rule not in alone:
            first = "traditional" if arm.rule.transforms else "real"
            return f"No exchange rate: it is counted from the real images alone; give the arm {first} too."
    other = [name for name in SETTINGS if getattr(compare, name) != getattr(CompareConfig(), name)]
    if not other:
        return None
    flags = ", ".join(f"--{name.replace('_', '-')}" for name in other)
    return f"No exchange rate: {flags} changes what other real images count too; leave it out to have one."


def _is_alone(arm: Arm) -> bool:
    return not arm.added and not arm.pseudo_labelled


def _is_more_real(arm: Arm) -> bool:
    return arm.is_other_real and not arm.replaces


def exchange_figure(curves: Sequence[CurvePoints], arms: Sequence[ArmExchange], score: str) -> str:
    """Score over real training images: a line for each curve, a diamond with its interval for each arm."""

    def annotate(name: str, x: float, y: float, offset: tuple[int, int], side: str) -> None:
        axes.annotate(name, (x, y), offset, textcoords="offset points", color=INK, fontsize=8, ha=side)

    sizes = sorted({size for curve in curves for size in curve.sizes})
    with drawing("exchange", 3.4) as (fig, axes):
        for number, curve in enumerate(curves):
            for size, scores in zip(curve.sizes, curve.scores, strict=True):
                values = 100 * np.asarray(scores)
                axes.plot([size] * len(scores), values, "o", ms=3.5, alpha=0.4, color=CALM, mec="none")
            means = 100 * np.asarray(curve.means)
            axes.plot(curve.sizes, means, STYLES[number % len(STYLES)], lw=1.5, color=CALM)
            annotate(curve.arms[0], curve.sizes[-1], means[-1], (-8, 3), "right")  # arms crowd at the first
        for arm in arms:
            height, rate = 100 * arm.mean, arm.rate
            extras = (rate.extra, *(rate.interval or ()))
            # What lies beyond the curve (infinite) is drawn at its end.
            place, *ends = np.clip([arm.real + extra for extra in extras], sizes[0], sizes[-1])
            if ends:
                axes.plot(ends, [height] * 2, "-", lw=2, color=ACCENT)
            axes.plot([place], [height], "D", ms=7, color=ACCENT, mec="none")
            annotate(rate.name, place, height, (6, 5), "left")
        axes.set_xscale("log")
        axes.set_xticks(sizes, [f"{size:,.0f}" for size in sizes])
        axes.minorticks_off()
        axes.set(xlabel="real training images", ylabel=f"{score}, per cent")
        axes.grid(axis="y", alpha=0.15, color=INK)
        words = "Learning curves of real images and the place of each arm on them; the table has the numbers."
        return to_svg(fig, words)
