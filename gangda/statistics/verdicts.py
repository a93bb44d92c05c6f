"""From the arms' per-image correctness to verdicts in words, by a protocol fixed before the first cell runs.

There are four kinds of claims: that there is a difference, and that it is negligible, on this test set (by sign flips
over the seeds) or beyond it (where the test over seeds and test images agrees). The family's procedure keeps the error
rate of each kind at alpha.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gangda.data.images import FloatArray, IntArray
from gangda.runtime.arrays import BoolArray
from gangda.statistics import values
from gangda.statistics.crossed import CrossedMean, crossed_mean
from gangda.statistics.differences import PairedTest, mcnemar_p, paired_tests, summary_of
from gangda.statistics.families import PROCEDURES, Adjusted, Family, Terms, family_of
from gangda.statistics.signflip import EXACT_UP_TO, fewest_for, passes, smallest_p
from gangda.statistics.values import Contrast, Interval, Judgement
from gangda.statistics.words import NO_VERDICT, bounds_text, exact_sentence, plain_sentence

DEFAULT_MARGIN, MARGIN_SHARE = 0.005, 0.1


def equivalence_margin(declared: float | None, accuracy: float) -> float:
    """The margin as a fraction; `accuracy` is the mean score of the contrast's second arm."""
    return min(DEFAULT_MARGIN, MARGIN_SHARE * (1 - accuracy)) if declared is None else declared


def margin_rule(declared: float | None) -> str:
    """Where the margins come from: known before anything has run."""
    if declared is not None:
        return "declared"
    return (
        f"min({100 * DEFAULT_MARGIN:g} points, {MARGIN_SHARE:.0%} of the error of the contrast's second arm)"
    )


def second_arm(terms: Terms) -> str:
    """The arm that the first one is compared with."""
    return next(arm for arm, sign in terms if sign < 0)


def judge_arms(
    correct: Mapping[str, BoolArray],
    *,
    alpha: float,
    margin: float | None,
    family: Family | None = None,
    weights: FloatArray | None = None,
    score: str = "accuracy",
    replaced: bool = False,
) -> Judgement:
    """Judge the arms of a comparison.

    Args:
        correct: per arm bool (n, m): whether seed i's classifier got test image j right; rows are paired.
        margin: declared equivalence margin as a fraction, or None for the default rule.
        family: what is tested, with an error rate of alpha; the usual contrasts of these arms by default.
        weights: float64 (m,), what each test image counts, with mean 1; all alike by default.
        score: what the weights make of the scores, in words.
        replaced: whether generated images took the place of real ones, for the sentences.
    """
    family = family_of(list(correct)) if family is None else family
    n, n_test = next(iter(correct.values())).shape
    weights = np.ones(n_test) if weights is None else weights
    arms = tuple(summary_of(name, (right * weights).mean(axis=1), alpha) for name, right in correct.items())
    means = {arm.name: arm.mean for arm in arms}
    margins = {
        name: equivalence_margin(margin, means[second_arm(terms)])
        for name, terms in {**family.primary, **family.exploratory}.items()
    }
    contrasts = _contrasts(correct, weights, family, alpha, margins, score, replaced)
    base = means.get("real", arms[0].mean)
    test_se = float(np.sqrt(base * (1 - base) * np.square(weights).mean() / n_test))
    resolution = float(weights.max()) / n_test
    first = next((contrast for contrast in contrasts if contrast.primary), None)
    verdict = "No primary contrast among these arms, so no verdict." if first is None else first.sentence
    return Judgement(
        arms=arms,
        contrasts=contrasts,
        n=n,
        n_test=n_test,
        alpha=alpha,
        margin_rule=margin_rule(margin),
        smallest_p=smallest_p(n),
        exact=n <= EXACT_UP_TO,
        score=score,
        resolution=resolution,
        test_se=test_se,
        plain=NO_VERDICT if first is None else first.plain,
        headline=f"{verdict} {bounds_text(n, n_test, test_se, resolution, score)}",
    )


@dataclass(frozen=True)
class Evidence:
    """What bears on one contrast: each test as its family's procedure adjusts it."""

    test: PairedTest
    crossed: Adjusted  # of the larger of the sign-flip p and the p over seeds and images
    equivalence: Adjusted  # TOST by sign flips
    crossed_equivalence: Adjusted


def evidence_of(
    deltas: Mapping[str, FloatArray],
    crossed: Mapping[str, CrossedMean | None],
    margins: Mapping[str, float],
    procedure: str,
    alpha: float,
) -> dict[str, Evidence]:
    """The tests of every contrast, in the family's order: differences of the seeds float64 (n,); None for one seed."""

    def adjusted(p: list[float]) -> list[Adjusted]:
        return PROCEDURES[procedure].adjust(p, alpha)

    tests = paired_tests(deltas, procedure, alpha)
    known = [(test.flips, crossed[name], margins[name]) for name, test in tests.items()]
    p = [max(flips.p(), 1.0 if over is None else over.p()) for flips, over, _ in known]
    equal = [flips.equivalence_p(margin) for flips, _, margin in known]
    crossed_equal = [
        max(one, 1.0 if over is None else over.equivalence_p(margin))
        for one, (_, over, margin) in zip(equal, known, strict=True)
    ]
    rows = zip(tests.values(), adjusted(p), adjusted(equal), adjusted(crossed_equal), strict=True)
    return {name: Evidence(*row) for name, row in zip(tests, rows, strict=True)}


def _contrasts(
    correct: Mapping[str, BoolArray],
    weights: FloatArray,
    family: Family,
    alpha: float,
    margins: Mapping[str, float],
    score: str,
    replaced: bool,
) -> tuple[Contrast, ...]:
    """Every primary contrast, tested by the family's procedure, and the exploratory ones."""
    found = []
    unit = float(np.sqrt(np.square(weights).mean()))
    for primary, group in ((True, family.primary), (False, family.exploratory)):
        per_image: dict[str, FloatArray] = {  # (n, m): what each image adds to the difference of each seed
            name: np.asarray(
                np.sum([sign * (correct[arm] * weights) for arm, sign in terms], axis=0, dtype=float)
            )
            for name, terms in group.items()
        }
        deltas = {name: each.mean(axis=1) for name, each in per_image.items()}
        crossed = {
            name: crossed_mean(each, unit) if len(each) > 1 else None for name, each in per_image.items()
        }
        procedure = family.procedure if primary else "exploratory"
        for name, evidence in evidence_of(deltas, crossed, margins, procedure, alpha).items():
            test, over = evidence.test, crossed[name]
            verdict = verdict_of(evidence, alpha) if primary else values.EXPLORATORY
            arms = [correct[arm] for arm, _ in group[name]]
            open_gate = verdict != values.NOT_TESTED
            contrast = Contrast(
                name=name,
                primary=primary,
                margin=margins[name],
                equivalence_p=evidence.equivalence.adjusted,
                crossed_p=evidence.crossed.adjusted if test.reachable else None,
                crossed_equivalence_p=evidence.crossed_equivalence.adjusted,
                crossed_interval=_either(test, over, evidence.crossed.level) if over and open_gate else None,
                image_error=over.image_error if over else 0.0,
                mcnemar_p=tuple(map(mcnemar_p, *arms)) if primary and test.reachable else (),
                verdict=verdict,
                **{**test.values(), **({} if open_gate else {"interval": None})},
            )
            least = fewest_for(test.adjusted.level)
            exact = exact_sentence(contrast, test.adjusted.level)
            plain = plain_sentence(contrast, score, least, replaced=replaced) if primary else ""
            found.append(dataclasses.replace(contrast, sentence=exact, plain=plain))
    return tuple(found)


def _either(test: PairedTest, over: CrossedMean, level: float) -> Interval:
    """All values that one of both tests does not reject: the inversion of their larger p."""
    found = [one for one in (test.flips.interval(level), over.interval(level)) if one is not None]
    return min(low for low, _ in found), max(high for _, high in found)


def verdict_of(evidence: Evidence, alpha: float) -> str:
    """Whether there is a difference, and whether it is negligible: each beyond this test set, on it, or not shown."""

    def shown(one: Adjusted) -> bool:
        return one.adjusted is not None and passes(one.adjusted, alpha)

    test, up = evidence.test, evidence.test.mean > 0
    if not test.reachable:
        return values.UNDERPOWERED
    negligible, negligible_here = shown(evidence.crossed_equivalence), shown(evidence.equivalence)
    if not test.decided(alpha):
        if negligible_here:
            return values.EQUIVALENT if negligible else values.EQUIVALENT_HERE
        return values.NOT_TESTED if test.adjusted.p is None else values.INCONCLUSIVE
    if shown(evidence.crossed):
        if negligible:
            return values.BETTER_NEGLIGIBLE if up else values.WORSE_NEGLIGIBLE
        return values.BETTER if up else values.WORSE
    if negligible:
        return values.BETTER_HERE_NEGLIGIBLE if up else values.WORSE_HERE_NEGLIGIBLE
    if negligible_here:
        return values.BETTER_NEGLIGIBLE_HERE if up else values.WORSE_NEGLIGIBLE_HERE
    return values.BETTER_HERE if up else values.WORSE_HERE


def balancing(labels: IntArray) -> FloatArray:
    """Weights of test images, float64 (m,), mean 1, with which the mean is the mean over the classes there are."""
    counts = np.bincount(labels)
    present = int((counts > 0).sum())
    return np.asarray(len(labels) / (present * counts[labels]), dtype=np.float64)
