"""From the arms' per-image correctness to verdicts, by a protocol fixed before the first cell runs.

`families.py` says which differences are tested and keeps the family's error rate at alpha. An equivalence claim is a
statement of its own, controlled per contrast: a true difference beyond the margin and a true zero exclude each other.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from gangda.data.images import FloatArray, IntArray
from gangda.runtime.arrays import BoolArray
from gangda.statistics import values
from gangda.statistics.bootstrap import crossed_interval
from gangda.statistics.differences import PairedTest, mcnemar_p, paired_tests, summary_of
from gangda.statistics.families import Adjusted, Family, Terms, family_of
from gangda.statistics.signflip import is_exact, passes, sign_flip, smallest_p
from gangda.statistics.values import Contrast, Interval, Judgement
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
) -> Judgement:
    """Judge the arms of a comparison.

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
    arms = tuple(summary_of(name, (right * weights).mean(axis=1), alpha) for name, right in correct.items())
    means = {arm.name: arm.mean for arm in arms}
    used_margin, rule = equivalence_margin(margin, means.get("real"))
    contrasts = _contrasts(correct, weights, family, alpha, used_margin)
    base = means.get("real", arms[0].mean)
    test_se = float(np.sqrt(base * (1 - base) * np.square(weights).mean() / n_test))
    resolution = float(weights.max()) / n_test
    return Judgement(
        arms=arms,
        contrasts=contrasts,
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


def _contrasts(
    correct: Mapping[str, BoolArray], weights: FloatArray, family: Family, alpha: float, margin: float
) -> tuple[Contrast, ...]:
    """Every primary contrast, tested by the family's procedure, and the exploratory ones."""
    found = []
    for primary, group in ((True, family.primary), (False, family.exploratory)):
        per_image = {name: _differences(terms, correct, weights) for name, terms in group.items()}
        deltas = {name: each.mean(axis=1) for name, each in per_image.items()}
        untested = Adjusted(None, None, alpha)
        tests = (
            paired_tests(deltas, family.procedure, alpha)
            if primary
            else {name: PairedTest(each, sign_flip(each), untested) for name, each in deltas.items()}
        )
        for name, test in tests.items():
            crossed = crossed_interval(per_image[name], test.adjusted.level)
            arms = [correct[arm] for arm, _ in group[name]]
            found.append(_contrast(name, test, crossed, arms, alpha, margin, primary=primary))
    return tuple(found)


def _contrast(
    name: str,
    test: PairedTest,
    crossed: Interval,
    arms: list[BoolArray],
    alpha: float,
    margin: float,
    *,
    primary: bool,
) -> Contrast:
    tested = test.adjusted.p is not None
    equivalence = test.flips.equivalence_p(margin) if tested else None
    shown = test.values() if tested or not primary else {**test.values(), "interval": None}
    contrast = Contrast(
        name=name,
        primary=primary,
        equivalence_p=equivalence,
        crossed_interval=crossed,
        mcnemar_p=tuple(map(mcnemar_p, *arms)) if primary and test.reachable else (),
        verdict=verdict_of(test, equivalence, crossed, alpha) if primary else values.EXPLORATORY,
        **shown,
    )
    return dataclasses.replace(contrast, sentence=sentence_of(contrast, alpha, margin))


def verdict_of(test: PairedTest, equivalence: float | None, crossed: Interval, alpha: float) -> str:
    """The verdict on a primary difference: whether there is one comes first, from the adjusted p alone.

    `equivalence`: TOST p, None where not tested; `crossed`: the interval that also varies the test images.
    """
    if not test.reachable:
        return values.UNDERPOWERED
    if equivalence is None:
        return values.NOT_TESTED
    negligible = passes(equivalence, alpha)
    if not test.decided(alpha):
        return values.EQUIVALENT if negligible else values.INCONCLUSIVE
    up = test.mean > 0
    if negligible:
        return values.BETTER_NEGLIGIBLE if up else values.WORSE_NEGLIGIBLE
    if crossed[0] > 0 if up else crossed[1] < 0:
        return values.BETTER if up else values.WORSE
    return values.BETTER_HERE if up else values.WORSE_HERE


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
