"""What added images are worth in real ones: by hand, at the curve's ends, and how often its interval is right."""

import math

import numpy as np
import pytest

from gangda.statistics.exchange_rate import exchange_rate, learning_curve
from gangda.statistics.signflip import passes, sign_flip

ALPHA = 0.05


def flat(*means, n=8):
    """Scores of n seeds that all agree."""
    return [np.full(n, mean) for mean in means]


def test_a_worth_by_hand():
    """Half way up from 200 to 400 images is, in logarithms, at the root of 200 x 400 = 282.84."""
    curve = learning_curve([400, 100, 200], flat(0.86, 0.80, 0.82))
    assert curve.sizes.tolist() == [100, 200, 400]
    assert curve.at(math.sqrt(100 * 200)) == pytest.approx(np.full(8, 0.81))
    worth = exchange_rate("generated", np.full(8, 0.84), 100, curve, ALPHA)
    assert worth.extra == pytest.approx(182.84, abs=0.01)
    assert worth.per_thousand == pytest.approx(1828.4, abs=0.1)
    assert worth.interval == pytest.approx((182.84, 182.84), abs=0.5)  # seeds that agree leave no doubt
    assert worth.sentence.startswith("generated: 1,000 added images are worth 1,828 real ones (interval 1,8")
    assert worth.sentence.endswith("measured with 100.")


def test_a_few_images_are_not_blown_up_to_a_thousand():
    curve = learning_curve([100, 200], flat(0.80, 0.82))
    sentence = exchange_rate("g", np.full(8, 0.82), 16, curve, ALPHA).sentence
    assert sentence.startswith("g: its 16 added images are worth 100 real ones (interval 100 to 100).")


@pytest.mark.parametrize(
    ("sizes", "means", "rises"),
    [([100, 200], (0.80, 0.82), True), ([100, 200], (0.82, 0.80), False), ([100, 200], (0.8, 0.8), False)],
)
def test_a_curve_that_does_not_rise_says_so(sizes, means, rises):
    assert learning_curve(sizes, flat(*means)).rises is rises


@pytest.mark.parametrize(
    ("score", "extra", "words"),
    [
        (0.79, -math.inf, "worth less than 0 real ones (interval less than 0 to less than 0)"),
        (0.80, 0.0, "worth 0 real ones"),
        (0.86, 300.0, "worth 1,500 real ones"),
        (0.87, math.inf, "worth more than 1,500 real ones (interval more than 1,500 to more than"),
    ],
)
def test_nothing_is_read_off_beyond_the_curve(score, extra, words):
    worth = exchange_rate(
        "g", np.full(8, score), 200, learning_curve([100, 200, 400], flat(0.80, 0.82, 0.86)), ALPHA
    )
    assert worth.extra == pytest.approx(extra)
    assert words in worth.sentence
    assert worth.per_thousand == pytest.approx(5 * extra)


def test_sizes_out_of_order_are_pooled_in_every_seed():
    scores = [np.array([0.80, 0.82]), np.array([0.84, 0.88]), np.array([0.80, 0.88]), np.array([0.88, 0.92])]
    curve = learning_curve([100, 150, 200, 400], scores)
    assert curve.means == pytest.approx([0.81, 0.85, 0.85, 0.90])
    assert curve.scores[0] == pytest.approx([0.80, 0.82, 0.82, 0.88])
    assert curve.size_of(0.85) == pytest.approx(150)  # the least that does as well


def test_where_the_curve_is_flat_the_least_size_counts():
    curve = learning_curve([100, 200], flat(0.8, 0.8))
    assert curve.size_of(0.8) == 100
    assert curve.size_of(0.81) == math.inf


def test_five_seeds_are_too_few():
    worth = exchange_rate(
        "g", np.full(5, 0.81), 100, learning_curve([100, 200], flat(0.80, 0.82, n=5)), ALPHA
    )
    assert worth.interval is None
    assert "too few seeds for an interval" in worth.sentence


def simulated(rng, n=8, worth=300.0, sd=0.004):
    """A curve that rises by a point for each doubling from 1,000 images, and an arm worth so many of them."""
    sizes = np.array([1000, 1250, 1500, 2000, 3000])
    truth = 0.8 + 0.01 * np.log2(sizes / 1000)
    luck = rng.normal(0, 0.01, n)
    scores = [mean + luck + rng.normal(0, sd, n) for mean in truth]
    arm = np.interp(math.log(1000 + worth), np.log(sizes), truth) + luck + rng.normal(0, sd, n)
    return sizes, scores, arm


def test_the_interval_leaves_out_0_exactly_where_the_arm_was_shown_to_differ_from_real():
    rng = np.random.default_rng(1)
    seen = set()
    for _ in range(300):
        sizes, scores, arm = simulated(rng, worth=rng.choice([0, 300, 900]))
        arm = arm - rng.choice([0, 0.004])
        curve = learning_curve(sizes, scores)
        pooled = not np.array_equal(curve.scores[:, 0], scores[0])
        worth = exchange_rate("g", arm, 1000, curve, ALPHA)
        shown = passes(sign_flip(arm - scores[0]).p(), ALPHA)
        above = bool(arm.mean() > scores[0].mean())
        low, high = worth.interval
        assert (low > 0, high < 0) == (shown and above, shown and not above)
        assert (worth.extra > 0) == above
        assert low <= worth.extra <= high
        seen.add((pooled, shown, above))
    assert len(seen) == 8


def test_what_is_below_the_real_images_is_worth_nothing_where_more_of_them_scored_lower():
    """The mean curve is 79.5% at both of the pooled sizes, but the page says that the arm is 0.2 below real."""
    scores = flat(0.80, 0.79, 0.85)
    curve = learning_curve([100, 110, 200], scores)
    assert curve.means[:2] == pytest.approx([0.795, 0.795])
    worth = exchange_rate("g", np.full(8, 0.798), 100, curve, ALPHA)
    assert "worth less than 0 real ones (interval less than 0 to less than 0)" in worth.sentence
    assert exchange_rate("g", np.full(8, 0.80), 100, curve, ALPHA).extra == 0
    better = exchange_rate("g", np.full(8, 0.801), 100, curve, ALPHA)
    assert better.extra == pytest.approx(110 * (200 / 110) ** (0.006 / 0.055) - 100)


def test_an_end_just_above_0_is_told_from_0():
    """Not one seed of the arm is at its real score, but each pooled one may be."""
    luck = 0.012 * np.array([1, -1, 1, -1, 1, -1, 1, -1])
    curve = learning_curve([100, 110, 200], [np.full(8, 0.800), 0.798 + luck, np.full(8, 0.85)])
    worth = exchange_rate("g", np.full(8, 0.801), 100, curve, ALPHA)
    assert 0 < worth.interval[0] < 0.01
    assert "(interval just above 0 to " in worth.sentence


def test_an_arm_above_the_whole_curve_but_not_shown_to_differ_from_real_may_be_worth_nothing():
    luck = 0.2 * np.array([1, -1, 1, -1, 1, -1, 1, -1])
    curve = learning_curve([100, 200], [0.80 + luck, np.full(8, 0.82)])
    worth = exchange_rate("g", np.full(8, 0.83), 100, curve, ALPHA)
    assert worth.extra == math.inf
    assert worth.interval == (-math.inf, math.inf)


@pytest.mark.parametrize("worth", [0.0, 300.0, 900.0])
def test_the_interval_holds_the_truth_as_often_as_it_says(worth):
    """8 seeds: p takes steps of 1/128, so that the level is 95.3%; three Monte Carlo errors are allowed."""
    rng, runs = np.random.default_rng(2), 400
    held = 0
    for _ in range(runs):
        sizes, scores, arm = simulated(rng, worth=worth)
        low, high = exchange_rate("g", arm, 1000, learning_curve(sizes, scores), ALPHA).interval
        held += low <= worth + 1e-9 and high >= worth - 1e-9
    assert held / runs >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / runs)
    assert held / runs < 0.999  # nor does it hold everything
