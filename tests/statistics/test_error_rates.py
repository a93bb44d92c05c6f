"""The judge is judged: how often it errs where nothing is there, and finds what was planted."""

import math

import numpy as np
import pytest

from gangda.statistics import values
from gangda.statistics.differences import paired_tests
from gangda.statistics.families import family_of
from gangda.statistics.signflip import detectable_difference, power_of
from gangda.statistics.verdicts import verdict_of

ALPHA, NULLS, SEEDS = 0.05, 2000, 10
ARMS = ("real", "traditional", "generated", "generated+traditional")
DECIDED = (values.BETTER, values.WORSE)


def simulated(rng: np.random.Generator, gains: tuple[float, ...], sd: float = 0.006) -> np.ndarray:
    """Accuracies (4 arms, seeds): a subset's luck that all arms share, and each arm's own."""
    shared = rng.normal(0, 0.01, SEEDS)
    return np.array(gains)[:, None] + shared + rng.normal(0, sd, (4, SEEDS))


def judged(scores: np.ndarray, procedure: str, margin: float = 1e-9) -> list[str]:
    """The judge's own words on the three primary differences, where the test images are no matter."""
    arms = dict(zip(ARMS, scores, strict=True))
    deltas = {
        name: sum(sign * arms[arm] for arm, sign in terms) for name, terms in family_of(ARMS).primary.items()
    }
    return [
        verdict_of(
            test,
            None if test.adjusted.p is None else test.flips.equivalence_p(margin),
            (test.mean, test.mean),
            ALPHA,
        )
        for test in paired_tests(deltas, procedure, ALPHA).values()
    ]


def decided(scores: np.ndarray, procedure: str) -> list[bool]:
    """Which of them are said to be there, in whichever direction."""
    return [word in DECIDED for word in judged(scores, procedure)]


@pytest.mark.parametrize("procedure", ["sequence", "holm"])
def test_false_verdicts_are_no_more_than_alpha(procedure):
    rng = np.random.default_rng(1)
    false = sum(any(decided(simulated(rng, (0.8, 0.8, 0.8, 0.8)), procedure)) for _ in range(NULLS))
    error = 3 * math.sqrt(ALPHA * (1 - ALPHA) / NULLS)
    assert false / NULLS <= ALPHA + error
    assert false / NULLS > 0.02  # nor is it a judge that never says anything


def test_no_more_where_the_first_difference_is_real():
    """The others are null: a sequence that has gone past its first gate must still keep the error."""
    rng = np.random.default_rng(2)
    false = 0
    for _ in range(NULLS):
        first, *others = decided(simulated(rng, (0.8, 0.8, 0.8, 0.83)), "sequence")
        assert first or not any(others)
        false += any(others)
    assert false / NULLS <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / NULLS)


@pytest.mark.parametrize("side", [-1, 1])
def test_a_difference_as_large_as_the_margin_is_rarely_called_equivalent(side):
    rng, margin = np.random.default_rng(4), 0.005
    gains = (0.8, 0.8, 0.8, 0.8 + side * margin)
    words = [judged(simulated(rng, gains), "sequence", margin)[0] for _ in range(NULLS)]
    small = (values.EQUIVALENT, values.BETTER_NEGLIGIBLE, values.WORSE_NEGLIGIBLE)
    false = sum(word in small for word in words)
    assert false / NULLS <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / NULLS)
    assert false / NULLS > 0.02


def test_a_gain_is_never_taken_for_a_loss():
    rng = np.random.default_rng(5)
    words = [judged(simulated(rng, (0.8, 0.8, 0.8, 0.83)), "sequence")[0] for _ in range(200)]
    assert set(words) == {values.BETTER}


@pytest.mark.parametrize("gain", [0.01, 0.02])
@pytest.mark.parametrize("sd", [0.004, 0.012])
def test_planted_gains_are_found_with_the_power_that_was_stated(gain, sd):
    rng = np.random.default_rng(3)
    spread = math.sqrt(2) * sd  # of a difference of two arms
    found = np.mean(
        [decided(simulated(rng, (0.8, 0.8, 0.8, 0.8 + gain), sd), "sequence")[0] for _ in range(1000)]
    )
    stated = power_of(gain, SEEDS, spread, ALPHA)
    assert stated is not None
    assert found == pytest.approx(stated, abs=0.05)


def test_power_and_detectable_difference_agree():
    least = detectable_difference(8, 0.01, ALPHA)
    assert least is not None
    assert power_of(least, 8, 0.01, ALPHA) == pytest.approx(0.8, abs=0.01)
    assert power_of(0.5, 4, 0.01, ALPHA) is None  # four seeds can decide nothing
    assert power_of(0.01, 8, 0.0, ALPHA) == 1.0
