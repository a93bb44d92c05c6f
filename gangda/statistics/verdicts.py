"""From the arms' per-image correctness to verdicts in words, by a protocol fixed before the first cell runs.

An equivalence claim is controlled per contrast: a true difference beyond the margin and a true zero exclude each other.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from gangda.data.images import FloatArray, IntArray
from gangda.runtime.arrays import BoolArray
from gangda.statistics import values
from gangda.statistics.differences import PairedTest, crossed_interval, mcnemar_p, paired_tests, summary_of
from gangda.statistics.families import Family, family_of
from gangda.statistics.signflip import EXACT_UP_TO, passes, smallest_p
from gangda.statistics.values import Contrast, Interval, Judgement

DEFAULT_MARGIN, MARGIN_SHARE = 0.005, 0.1
SENTENCES: Mapping[str, str] = {
    values.BETTER: "Better. {tested}.",
    values.WORSE: "Worse. {tested}.",
    values.BETTER_HERE: "Better on this test set. {tested}; {resampled}.",
    values.WORSE_HERE: "Worse on this test set. {tested}; {resampled}.",
    values.BETTER_NEGLIGIBLE: "Better, but by less than the margin of {margin} points. {tested}.",
    values.WORSE_NEGLIGIBLE: "Worse, but by less than the margin of {margin} points. {tested}.",
    values.EQUIVALENT: "Equivalent within {margin} points (TOST p {equivalence}). {tested}.",
    values.INCONCLUSIVE: "Inconclusive. {tested}{power}.",
    values.UNDERPOWERED: "Underpowered: {seeds} can never pass {alpha:g}, whatever the data. {difference}.",
    values.NOT_TESTED: "Not tested: an earlier contrast of the fixed sequence was not decided. {difference}.",
    values.EXPLORATORY: "Exploratory. {difference}{unadjusted}.",
}


def equivalence_margin(declared: float | None, real_accuracy: float | None) -> tuple[float, str]:
    """The margin as a fraction, and the rule it came from; `real_accuracy` is real-only's mean, if it ran."""
    rule = margin_rule(declared, real_accuracy is not None)
    usual = min(DEFAULT_MARGIN, MARGIN_SHARE * (1 - (real_accuracy or 0)))
    return usual if declared is None else declared, rule


def margin_rule(declared: float | None, real_ran: bool) -> str:
    """Where the margin comes from: known before anything has run."""
    if declared is not None:
        return "declared"
    usual = f"{100 * DEFAULT_MARGIN:g} points"
    return (
        f"min({usual}, {MARGIN_SHARE:.0%} of the real-only error)"
        if real_ran
        else f"{usual} (no real-only arm)"
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
        margin: declared equivalence margin as a fraction, or None for the default rule.
        family: what is tested, with an error rate of alpha; the usual contrasts of these arms by default.
        weights: float64 (m,), what each test image counts, with mean 1; all alike by default.
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
    without = "No primary contrast among these arms, so no verdict."
    verdict = next((contrast.sentence for contrast in contrasts if contrast.primary), without)
    return Judgement(
        arms=arms,
        contrasts=contrasts,
        n=n,
        n_test=n_test,
        alpha=alpha,
        margin=used_margin,
        margin_rule=rule,
        smallest_p=smallest_p(n),
        exact=n <= EXACT_UP_TO,
        score=score,
        resolution=resolution,
        test_se=test_se,
        headline=f"{verdict} {bounds_text(n, n_test, test_se, resolution, score)}",
    )


def _contrasts(
    correct: Mapping[str, BoolArray], weights: FloatArray, family: Family, alpha: float, margin: float
) -> tuple[Contrast, ...]:
    """Every primary contrast, tested by the family's procedure, and the exploratory ones."""
    found = []
    for primary, group in ((True, family.primary), (False, family.exploratory)):
        per_image: dict[str, FloatArray] = {  # (n, m): what each image adds to the difference of each seed
            name: np.asarray(
                np.sum([sign * (correct[arm] * weights) for arm, sign in terms], axis=0, dtype=float)
            )
            for name, terms in group.items()
        }
        deltas = {name: each.mean(axis=1) for name, each in per_image.items()}
        procedure = family.procedure if primary else "exploratory"
        for name, test in paired_tests(deltas, procedure, alpha).items():
            tested = test.adjusted.p is not None
            crossed = crossed_interval(per_image[name], test.adjusted.level)
            equivalence = test.flips.equivalence_p(margin) if tested else None
            shown = test.values() if tested or not primary else {**test.values(), "interval": None}
            arms = [correct[arm] for arm, _ in group[name]]
            contrast = Contrast(
                name=name,
                primary=primary,
                equivalence_p=equivalence,
                crossed_interval=crossed,
                mcnemar_p=tuple(map(mcnemar_p, *arms)) if primary and test.reachable else (),
                verdict=verdict_of(test, equivalence, crossed, alpha) if primary else values.EXPLORATORY,
                **shown,
            )
            found.append(dataclasses.replace(contrast, sentence=_sentence_of(contrast, alpha, margin)))
    return tuple(found)


def verdict_of(test: PairedTest, equivalence: float | None, crossed: Interval, alpha: float) -> str:
    """Whether there is a difference comes first, from the adjusted p alone; `equivalence`: TOST p, None if untested."""
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


def balancing(labels: IntArray) -> FloatArray:
    """Weights of test images, float64 (m,), mean 1, with which the mean is the mean over the classes there are."""
    counts = np.bincount(labels)
    present = int((counts > 0).sum())
    return np.asarray(len(labels) / (present * counts[labels]), dtype=np.float64)


def points(fraction: float, *, signed: bool = False) -> str:
    """0.0123 -> "1.23"; signed: "+1.23"."""
    text = f"{100 * fraction:+.2f}" if signed else f"{100 * fraction:.2f}"
    return text.replace("-0.00", "0.00").replace("+0.00", "0.00")


def interval_text(interval: Interval | None) -> str:
    """ "+0.10 to +1.20", or a dash where there is none."""
    return "-" if interval is None else " to ".join(points(end, signed=True) for end in interval)


def p_text(p: float | None) -> str:
    """Three significant digits, or a dash."""
    return "-" if p is None else f"{p:.3g}"


def _sentence_of(contrast: Contrast, alpha: float, margin: float) -> str:
    n, interval = len(contrast.deltas), interval_text(contrast.interval)
    difference = f"{contrast.name}: {points(contrast.mean, signed=True)} points"
    power = f"; {n} seeds of this spread find {points(contrast.detectable or 0.0)} points with 80% power"
    return SENTENCES[contrast.verdict].format(
        difference=difference,
        tested=f"{difference} (interval {interval}, adjusted p {p_text(contrast.adjusted_p)})",
        resampled="with the test images resampled too the interval is "
        + interval_text(contrast.crossed_interval),
        equivalence=p_text(contrast.equivalence_p),
        power="" if contrast.detectable is None else power,
        unadjusted="" if contrast.interval is None else f" (unadjusted interval {interval})",
        seeds=_seeds(n),
        alpha=alpha,
        margin=points(margin),
    )


def bounds_text(n: int, n_test: int, test_se: float, resolution: float, score: str) -> str:
    """The smallest attainable p and the test set's resolution."""
    most = "" if resolution * n_test <= 1 + 1e-9 else "up to "  # where images of rare classes weigh more
    article = "an" if score[0] in "aeiou" else "a"
    return (
        f"With {_seeds(n)} the smallest attainable p is {smallest_p(n):.3g}; "
        f"one of the {n_test:,} test images weighs {most}{points(resolution)} points, "
        f"and all of them resolve {article} {score} to about {points(test_se)} points."
    )


def _seeds(n: int) -> str:
    return f"{n} seed{'' if n == 1 else 's'}"
