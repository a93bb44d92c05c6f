"""From the arms' per-image correctness to verdicts, by a protocol fixed before the first cell runs.

`families.py` says which differences are tested and keeps the family's error rate at alpha. An equivalence claim is a
statement of its own, controlled per contrast: a true difference beyond the margin and a true zero exclude each other.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gangda.data.images import FloatArray, IntArray
from gangda.statistics import values
from gangda.statistics.bootstrap import crossed_interval
from gangda.statistics.families import ADJUST, Adjusted, Family, Terms, family_of, first_level
from gangda.statistics.mcnemar import BoolArray, mcnemar_p
from gangda.statistics.power import detectable_difference
from gangda.statistics.signflip import SignFlip, is_exact, passes, sign_flip, smallest_p
from gangda.statistics.values import ArmSummary, Comparison, Contrast, Interval
from gangda.statistics.wording import bounds_text, headline_of, sentence_of

DEFAULT_MARGIN, MARGIN_SHARE = 0.005, 0.1


def equivalence_margin(declared: float | None, real_accuracy: float | None) -> tuple[float, str]:
    """The margin as a fraction, and the rule it came from; `real_accuracy` is real-only's mean, if it ran."""
    rule = margin_rule(declared, real_accuracy is not None)
    if declared is not None:
        return declared, rule
    if real_accuracy is None:
        return DEFAULT_MARGIN, rule
    return min(DEFAULT_MARGIN, MARGIN_SHARE * (1 - real_accuracy)), rule


def margin_rule(declared: float | None, real_ran: bool) -> str:
    """Where the margin comes from: known before anything has run."""
    if declared is not None:
        return "declared"
    return (
        f"min({100 * DEFAULT_MARGIN:g} points, {MARGIN_SHARE:.0%} of the real-only error)"
        if real_ran
        else f"{100 * DEFAULT_MARGIN:g} points (no real-only arm)"
    )


def judge_arms(
    correct: Mapping[str, BoolArray],
    *,
    alpha: float,
    margin: float | None,
    family: Family | None = None,
    weights: FloatArray | None = None,
    score: str = "accuracy",
) -> Comparison:
    """Judge an experiment.

    Args:
        correct: per arm bool (n, m): whether seed i's classifier got test image j right; rows are paired.
        alpha: error rate of the family of primary differences.
        margin: declared equivalence margin as a fraction, or None for the default rule.
        family: what is tested; the usual contrasts of these arms by default.
        weights: float64 (m,), what each test image counts, with mean 1; all alike by default. Weights inverse to the
            class's size (`balancing`) make every score a balanced accuracy.
        score: what the weights make of the scores, in words.
    """
    family = family_of(list(correct)) if family is None else family
    n, n_test = next(iter(correct.values())).shape
    weights = np.ones(n_test) if weights is None else weights
    arms = tuple(_summarise(name, (right * weights).mean(axis=1), alpha) for name, right in correct.items())
    means = {arm.name: arm.mean for arm in arms}
    used_margin, rule = equivalence_margin(margin, means.get("real"))
    contrasts = _test_family(correct, weights, family, alpha, used_margin)
    contrasts += [
        _explore(name, terms, correct, weights, alpha) for name, terms in family.exploratory.items()
    ]
    base = means.get("real", arms[0].mean)
    test_se = float(np.sqrt(base * (1 - base) * np.square(weights).mean() / n_test))
    resolution = float(weights.max()) / n_test
    return Comparison(
        arms=arms,
        contrasts=tuple(contrasts),
        n=n,
        n_test=n_test,
        alpha=alpha,
        margin=used_margin,
        margin_rule=rule,
        smallest_p=smallest_p(n),
        exact=is_exact(n),
        score=score,
        resolution=resolution,
        test_se=test_se,
        headline=headline_of(contrasts, bounds_text(n, n_test, test_se, resolution, score)),
    )


@dataclass(frozen=True, eq=False)
class Decision:
    """What the tests say of one primary difference, whatever resampled test images will say.

    Attributes:
        test: of its paired differences.
        p: as the family's procedure adjusts it.
        equivalence: TOST p; None where the difference was not tested.
        reachable: whether so many seeds can decide anything at all.
    """

    test: SignFlip
    p: Adjusted
    equivalence: float | None
    reachable: bool

    def verdict(self, mean: float, crossed: Interval, alpha: float) -> str:
        """Which of `values.VERDICTS`; difference first, from the adjusted p alone."""
        if not self.reachable:
            return values.UNDERPOWERED
        if self.p.adjusted is None or self.equivalence is None:
            return values.NOT_TESTED
        negligible = passes(self.equivalence, alpha)
        if not passes(self.p.adjusted, alpha):
            return values.EQUIVALENT if negligible else values.INCONCLUSIVE
        up = mean > 0
        if negligible:
            return values.BETTER_NEGLIGIBLE if up else values.WORSE_NEGLIGIBLE
        if crossed[0] > 0 if up else crossed[1] < 0:
            return values.BETTER if up else values.WORSE
        return values.BETTER_HERE if up else values.WORSE_HERE


def decide(
    deltas: Mapping[str, FloatArray], family: Family, alpha: float, margin: float
) -> dict[str, Decision]:
    """Test every primary difference, float64 (n,) of each, in the family's order and by its procedure."""
    tests = {name: sign_flip(deltas[name]) for name in family.primary}
    adjusted = ADJUST[family.procedure]([test.p() for test in tests.values()], alpha)
    return {
        name: Decision(
            test,
            p,
            None if p.p is None else test.equivalence_p(margin),
            passes(smallest_p(len(deltas[name])), first_level(family, alpha)),
        )
        for (name, test), p in zip(tests.items(), adjusted, strict=True)
    }


def _test_family(
    correct: Mapping[str, BoolArray], weights: FloatArray, family: Family, alpha: float, margin: float
) -> list[Contrast]:
    """Every primary contrast, decided."""
    differences = {name: _differences(terms, correct, weights) for name, terms in family.primary.items()}
    decisions = decide(
        {name: parts.mean(axis=1) for name, parts in differences.items()}, family, alpha, margin
    )
    found = [
        _contrast(name, correct, differences[name], decision, family.primary[name], alpha)
        for name, decision in decisions.items()
    ]
    return [sentence_of(one, n=len(one.deltas), alpha=alpha, margin=margin) for one in found]


def _contrast(
    name: str,
    correct: Mapping[str, BoolArray],
    differences: FloatArray,
    decision: Decision,
    terms: Terms,
    alpha: float,
) -> Contrast:
    deltas, p = differences.mean(axis=1), decision.p
    mean, sd, crossed = float(deltas.mean()), _spread(deltas), crossed_interval(differences, p.level)
    (first, _), (second, _) = terms
    return Contrast(
        name=name,
        primary=True,
        deltas=tuple(deltas.tolist()),
        mean=mean,
        sd=sd,
        p=p.p if decision.reachable else None,
        adjusted_p=p.adjusted if decision.reachable else None,
        interval=None if p.p is None else decision.test.interval(p.level),
        equivalence_p=decision.equivalence,
        crossed_interval=crossed,
        mcnemar_p=tuple(mcnemar_p(a, b) for a, b in zip(correct[first], correct[second], strict=True))
        if decision.reachable
        else (),
        detectable=detectable_difference(len(deltas), sd, p.level),
        verdict=decision.verdict(mean, crossed, alpha),
        sentence="",
    )


def _explore(
    name: str, terms: Terms, correct: Mapping[str, BoolArray], weights: FloatArray, alpha: float
) -> Contrast:
    differences = _differences(terms, correct, weights)
    deltas = differences.mean(axis=1)
    sd = _spread(deltas)
    contrast = Contrast(
        name=name,
        primary=False,
        deltas=tuple(deltas.tolist()),
        mean=float(deltas.mean()),
        sd=sd,
        p=None,
        adjusted_p=None,
        interval=sign_flip(deltas).interval(alpha),
        equivalence_p=None,
        crossed_interval=crossed_interval(differences, alpha),
        mcnemar_p=(),
        detectable=detectable_difference(len(deltas), sd, alpha),
        verdict=values.EXPLORATORY,
        sentence="",
    )
    return sentence_of(contrast, n=len(deltas), alpha=alpha, margin=0.0)


def _differences(terms: Terms, correct: Mapping[str, BoolArray], weights: FloatArray) -> FloatArray:
    """float64 (n, m): what each image adds to the difference of each seed."""
    total: FloatArray = np.sum(
        [sign * (correct[arm] * weights) for arm, sign in terms], axis=0, dtype=np.float64
    )
    return total


def balancing(labels: IntArray) -> FloatArray:
    """Weights of test images, float64 (m,), mean 1, with which the mean is the mean over the classes there are."""
    counts = np.bincount(labels)
    present = int((counts > 0).sum())
    return np.asarray(len(labels) / (present * counts[labels]), dtype=np.float64)


def _spread(scores: FloatArray) -> float:
    return float(scores.std(ddof=1)) if len(scores) > 1 else 0.0


def _summarise(name: str, scores: FloatArray, alpha: float) -> ArmSummary:
    return ArmSummary(
        name=name,
        scores=tuple(scores.tolist()),
        mean=float(scores.mean()),
        sd=_spread(scores),
        interval=sign_flip(scores).interval(alpha),
    )
