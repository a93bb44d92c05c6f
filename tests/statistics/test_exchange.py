"""What added images are worth in real ones: by hand, at the curve's ends, and how often its interval is right."""

import math

import numpy as np
import pytest

from gangda.statistics.exchange import curve_of, worth_of
from gangda.statistics.signflip import passes, sign_flip

ALPHA = 0.05


def flat(*means, n=8):
    """Scores of n seeds that all agree."""
    return [np.full(n, mean) for mean in means]


def test_a_worth_by_hand():
    """Half way up from 200 to 400 images is, in logarithms, at the root of 200 x 400 = 282.84."""
    curve = curve_of([400, 100, 200], flat(0.86, 0.80, 0.82))
    assert curve.sizes.tolist() == [100, 200, 400]
    assert curve.at(math.sqrt(100 * 200)) == pytest.approx(np.full(8, 0.81))
    worth = worth_of("generated", np.full(8, 0.84), 100, curve, ALPHA)
    assert worth.extra == pytest.approx(182.84, abs=0.01)
    assert worth.per_thousand == pytest.approx(1828.4, abs=0.1)
    assert worth.interval == pytest.approx((182.84, 182.84), abs=0.5)  # seeds that agree leave no doubt
    assert worth.sentence.startswith("generated: 1,000 added images are worth 1,828 real ones (interval 1,8")
    assert worth.sentence.endswith("measured with 100.")


@pytest.mark.parametrize(
    ("score", "extra", "beyond", "words"),
    [
        (0.79, -math.inf, "below", "worth less than 0 real ones (interval less than 0 to less than 0)"),
        (0.80, 0.0, None, "worth 0 real ones"),
        (0.86, 300.0, None, "worth 1,500 real ones"),
        (0.87, math.inf, "above", "worth more than 1,500 real ones (interval more than 1,500 to more than"),
    ],
)
def test_nothing_is_read_off_beyond_the_curve(score, extra, beyond, words):
    worth = worth_of("g", np.full(8, score), 200, curve_of([100, 200, 400], flat(0.80, 0.82, 0.86)), ALPHA)
    assert worth.extra == pytest.approx(extra)
    assert words in worth.sentence
    plain = worth.as_dict()
    assert plain["beyond"] == beyond
    assert (plain["extra"] is None) == (plain["per_thousand"] is None) == (beyond is not None)


def test_sizes_out_of_order_are_pooled_in_every_seed():
    scores = [np.array([0.80, 0.82]), np.array([0.84, 0.88]), np.array([0.80, 0.88]), np.array([0.88, 0.92])]
    curve = curve_of([100, 150, 200, 400], scores)
    assert curve.means == pytest.approx([0.81, 0.85, 0.85, 0.90])
    assert curve.scores[0] == pytest.approx([0.80, 0.82, 0.82, 0.88])
    assert curve.size_of(0.85) == pytest.approx(150)  # the least that does as well


def test_where_the_curve_is_flat_the_least_size_counts():
    curve = curve_of([100, 200], flat(0.8, 0.8))
    assert curve.size_of(0.8) == 100
    assert curve.size_of(0.81) == math.inf


def test_five_seeds_are_too_few():
    worth = worth_of("g", np.full(5, 0.81), 100, curve_of([100, 200], flat(0.80, 0.82, n=5)), ALPHA)
    assert worth.interval is None
    assert worth.as_dict()["beyond_interval"] is None
    assert "too few seeds for an interval" in worth.sentence


def simulated(rng, n=8, worth=300.0, sd=0.004):
    """A curve that rises by a point for each doubling from 1,000 images, and an arm worth so many of them."""
    sizes = np.array([1000, 1250, 1500, 2000, 3000])
    truth = 0.8 + 0.01 * np.log2(sizes / 1000)
    luck = rng.normal(0, 0.01, n)
    scores = [mean + luck + rng.normal(0, sd, n) for mean in truth]
    arm = np.interp(math.log(1000 + worth), np.log(sizes), truth) + luck + rng.normal(0, sd, n)
    return sizes, scores, arm


def test_the_interval_leaves_out_nothing_where_the_arm_was_shown_to_differ_from_real():
    rng = np.random.default_rng(1)
    seen = set()
    for _ in range(60):
        sizes, scores, arm = simulated(rng, worth=rng.choice([0, 300, 900]))
        if np.any(np.diff(np.mean(scores, axis=1)) <= 0):
            continue  # pooled: the curve's first point is no longer the real arm's alone
        worth = worth_of("g", arm, 1000, curve_of(sizes, scores), ALPHA)
        shown = passes(sign_flip(arm - scores[0]).p(), ALPHA) and arm.mean() > scores[0].mean()
        low = worth.interval[0]
        assert (low > 0) == shown
        seen.add(shown)
    assert seen == {True, False}


@pytest.mark.parametrize("worth", [0.0, 300.0, 900.0])
def test_the_interval_holds_the_truth_as_often_as_it_says(worth):
    """8 seeds: p takes steps of 1/128, so that the level is 95.3%; three Monte Carlo errors are allowed."""
    rng, runs = np.random.default_rng(2), 400
    held = 0
    for _ in range(runs):
        sizes, scores, arm = simulated(rng, worth=worth)
        low, high = worth_of("g", arm, 1000, curve_of(sizes, scores), ALPHA).interval
        held += low <= worth + 1e-9 and high >= worth - 1e-9
    assert held / runs >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / runs)
    assert held / runs < 0.999  # nor does it hold everything
