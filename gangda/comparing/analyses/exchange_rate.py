"""How many real images are the added ones worth? Read off learning curves of real images (`held-back` arms)."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gangda.comparing.analyses import Analysis, AnalysisResult, Section
from gangda.comparing.analyses.exchange_figure import ArmExchange, CurvePoints, exchange_figure
from gangda.comparing.comparison import ArmRow, Comparison
from gangda.config.arms import Arm, FitRule, find
from gangda.config.schema import CompareConfig, ComparisonConfig
from gangda.data.images import FloatArray
from gangda.report.page import environment
from gangda.statistics.exchange_rate import LearningCurve, exchange_rate, learning_curve
from gangda.statistics.values import Judgement

# Options that change what other real images count too, so that these are no learning curve.
SETTINGS = (
    "balance",
    "replace",
    "ratio_for",
    "generated_weight",
    "anneal_synthetic_weight",
    "synthetic_passes",
    "recalibrate",
)

Points = dict[float, tuple[str, FloatArray]]  # of a curve: the arm and its scores, by size


@dataclass(frozen=True, kw_only=True)
class ExchangeRates(AnalysisResult):
    """Learning curves, and the arms read off them."""

    curves: tuple[CurvePoints, ...] = ()
    worth: tuple[ArmExchange, ...] = ()


class ExchangeRateAnalysis(Analysis):
    """What each arm's added images are worth, where arms measured more real images.

    An arm is read off the curve of arms that are trained in its own way: `generated` off `real` and `held-back`,
    `generated+traditional` off `traditional` and `held-back+traditional`. A curve begins with the real images alone;
    an arm that added images in some seeds only is not read off, and nothing is off a curve that does not rise.
    """

    result_type = ExchangeRates

    def judge(
        self, found: Sequence[Any], judgement: Judgement, arms: Sequence[ArmRow], config: ComparisonConfig
    ) -> ExchangeRates | None:
        """Curves and rates; a note where there can be none; None without arms for a curve, or to read off one."""
        names = config.compare.arms
        if not any(_is_more_real(find(name)[0]) for name in names):
            return None
        if reason := refusal(config.compare):
            return ExchangeRates(notes=(reason,))
        scores = {arm.name: np.array(arm.scores) for arm in judgement.arms}
        rows = {row.name: row for row in arms if len(set(row.ratios or ())) <= 1}  # those of one size
        points = _points(rows, scores)
        curves = {
            rule: learning_curve(list(each), [score for _, score in each.values()])
            for rule, each in points.items()
        }
        asked = {name: _way(find(name)[0]) for name in names if _is_read_off(find(name)[0])}
        worth = tuple(
            ArmExchange(
                exchange_rate(name, scores[name], rows[name].n_generated, curves[rule], config.compare.alpha),
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
        return ExchangeRates(
            sentences=(*(arm.rate.sentence for arm in worth), *flat),
            curves=tuple(_plain(curves[rule], points[rule]) for rule in curves),
            worth=worth,
        )

    def section(self, result: ExchangeRates, comparison: Comparison) -> Section | None:
        """The sentences, and the figure and table where there is a rate."""
        if not result.sentences:
            return None
        judged = comparison.judgement
        html = (
            environment("gangda.comparing")
            .get_template("exchange_rate.html")
            .render(
                exchange=result,
                judged=judged,
                infinity=math.inf,
                figure=exchange_figure(result.curves, result.worth, judged.score) if result.worth else None,
            )
        )
        return Section("exchange", "What added images are worth", html)


def _points(rows: Mapping[str, ArmRow], scores: Mapping[str, FloatArray]) -> dict[FitRule, Points]:
    """Sizes and scores of each curve: two sizes or more, and among them the real images alone."""
    points: dict[FitRule, Points] = {}
    for name, row in rows.items():
        arm = find(name)[0]
        if not arm.added or _is_more_real(arm):
            points.setdefault(arm.rule, {}).setdefault(row.n_train, (name, scores[name]))
    return {
        rule: each
        for rule, each in points.items()
        if len(each) > 1 and any(not find(name)[0].added for name, _ in each.values())
    }


def refusal(compare: CompareConfig) -> str | None:
    """Why more real images are no learning curve here; None where they are."""
    alone = {find(name)[0].rule for name in compare.arms if not find(name)[0].added}
    for arm in (find(name)[0] for name in compare.arms):
        if _is_more_real(arm) and arm.rule not in alone:
            first = "traditional" if arm.rule.transforms else "real"
            return f"No exchange rate: it is counted from the real images alone; give the arm {first} too."
    other = [name for name in SETTINGS if getattr(compare, name) != getattr(CompareConfig(), name)]
    if not other:
        return None
    flags = ", ".join(f"--{name.replace('_', '-')}" for name in other)
    return f"No exchange rate: {flags} changes what other real images count too; leave it out to have one."


def _way(arm: Arm) -> FitRule:
    """How an arm is trained; first on the added images and then on the real ones is a way to use the added ones."""
    return dataclasses.replace(arm.rule, pretrained=False)


def _is_more_real(arm: Arm) -> bool:
    return arm.added == "held back" and not arm.replaces


def _is_read_off(arm: Arm) -> bool:
    return bool(arm.added) and not _is_more_real(arm) and not arm.replaces and not arm.expected


def _plain(curve: LearningCurve, points: Points) -> CurvePoints:
    scores = tuple(map(tuple, curve.scores.T.tolist()))
    names = tuple(name for name, _ in points.values())
    return CurvePoints(names, tuple(curve.sizes.tolist()), scores, tuple(curve.means.tolist()))
