"""How many real images are the added ones worth? Read off what `held-back` arms say of more real images."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from gangda.comparing.comparison import ArmRow, ArmWorth, ExchangeRates, MeasuredCurve
from gangda.config.arms import Arm, FitRule, find
from gangda.config.schema import CompareConfig
from gangda.data.images import FloatArray
from gangda.statistics.exchange_rate import LearningCurve, exchange_rate, learning_curve
from gangda.statistics.values import Judgement

MORE_REAL = "held back"
PLAIN = CompareConfig()


def exchange(
    compare: CompareConfig, judgement: Judgement, table: Sequence[ArmRow], alpha: float
) -> ExchangeRates | None:
    """Learning curves, and what each arm's added images are worth; None without arms for a curve, or to read off one.

    An arm is read off the curve of arms that are trained in its own way: `generated` off `real` and `held-back`,
    `generated+traditional` off `traditional` and `held-back+traditional`. A curve begins with the real images alone;
    an arm that added images in some seeds only is not read off, and nothing is off a curve that does not rise (`flat`
    says so). `table`: what the arms were.
    """
    scores = {arm.name: np.array(arm.scores) for arm in judgement.arms}
    sizes = {row.name: row.n_train for row in table}
    added = {row.name: row.n_generated for row in table}
    uneven = {row.name for row in table if len(set(row.ratios or ())) > 1}  # of no one size
    if refusal(compare) is not None:
        return None
    points: dict[FitRule, dict[float, tuple[str, FloatArray]]] = {}
    for name in compare.arms:
        arm = find(name)[0]
        if arm.added in ("", MORE_REAL) and name not in uneven:
            points.setdefault(arm.rule, {}).setdefault(sizes[name], (name, scores[name]))
    curves = {
        rule: learning_curve(list(each), [score for _, score in each.values()])
        for rule, each in points.items()
        if len(each) > 1 and any(not find(name)[0].added for name, _ in each.values())
    }
    rising = {rule: curve for rule, curve in curves.items() if curve.rises}
    worths = [
        ArmWorth(
            exchange_rate(name, scores[name], added[name], rising[rule], alpha),
            mean=float(scores[name].mean()),
            real=float(rising[rule].sizes[0]),
        )
        for name in compare.arms
        if (rule := _way(find(name)[0])) in rising
        and _is_read_off(find(name)[0])
        and added[name] > 0
        and name not in uneven
    ]
    drawn = [_plain(curves[rule], [name for name, _ in points[rule].values()]) for rule in curves]
    asked = {_way(find(name)[0]) for name in compare.arms if _is_read_off(find(name)[0])}
    falling = [rule for rule, curve in curves.items() if rule in asked and not curve.rises]
    firsts = [next(iter(points[rule].values()))[0] for rule in falling]
    flat = [f"No exchange rate beside {name}: more real images did not do better here." for name in firsts]
    return ExchangeRates(tuple(drawn), tuple(worths), tuple(flat)) if worths or flat else None


def refusal(compare: CompareConfig) -> str | None:
    """Why more real images are no learning curve here; None where they are, or where there are none."""
    if not any(find(name)[0].added == MORE_REAL for name in compare.arms):
        return None
    alone = {find(name)[0].rule for name in compare.arms if not find(name)[0].added}
    for arm in (find(name)[0] for name in compare.arms):
        if arm.added == MORE_REAL and arm.rule not in alone:
            first = "traditional" if arm.rule.transforms else "real"
            return f"No exchange rate: it is counted from the real images alone; give the arm {first} too."
    settings = (
        "balance",
        "replace",
        "ratio_for",
        "generated_weight",
        "anneal_synthetic_weight",
        "synthetic_passes",
        "recalibrate",
    )
    other = [name for name in settings if getattr(compare, name) != getattr(PLAIN, name)]
    if not other:
        return None
    flags = ", ".join(f"--{name.replace('_', '-')}" for name in other)
    return f"No exchange rate: {flags} changes what other real images count too; leave it out to have one."


def _way(arm: Arm) -> FitRule:
    """How an arm is trained; first on the added images and then on the real ones is a way to use the added ones."""
    return dataclasses.replace(arm.rule, pretrained=False)


def _is_read_off(arm: Arm) -> bool:
    return bool(arm.added) and arm.added != MORE_REAL and not arm.replaces and not arm.expected


def _plain(curve: LearningCurve, names: Sequence[str]) -> MeasuredCurve:
    """Plain values; `names` of the arms that the curve is made of."""
    scores = tuple(map(tuple, curve.scores.T.tolist()))
    return MeasuredCurve(tuple(names), tuple(curve.sizes.tolist()), scores, tuple(curve.means.tolist()))
