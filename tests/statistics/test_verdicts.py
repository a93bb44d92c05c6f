import numpy as np
import pytest

from gangda.statistics.differences import PairedTest
from gangda.statistics.families import Adjusted
from gangda.statistics.signflip import passes, sign_flip
from gangda.statistics.verdicts import Evidence, balancing, equivalence_margin, judge_arms, verdict_of

ARMS = ("real", "traditional", "generated", "generated+traditional")


def made_up(accuracies, *, n=10, m=1000, sd=0.004, shared=0, seed=0):
    """Correctness of each arm; image j is right where its difficulty is below the seed's accuracy."""
    rng = np.random.default_rng(seed)
    wobble = rng.normal(0, sd, (n, 1))
    difficulty = (np.arange(m)[None] + 0.5) / m
    return {
        arm: difficulty < accuracy + wobble + rng.normal(0, sd, (n, 1))
        for arm, accuracy in zip(ARMS, accuracies, strict=True)
    }


def verdicts(correct, alpha=0.05, margin=None):
    judged = judge_arms(correct, alpha=alpha, margin=margin)
    return {contrast.name: contrast for contrast in judged.contrasts}, judged


@pytest.mark.parametrize(
    ("accuracies", "sd", "expected"),
    [
        ((0.80, 0.82, 0.86, 0.90), 0.004, ["better", "better", "better"]),
        ((0.80, 0.90, 0.82, 0.84), 0.004, ["worse", "better", "worse"]),
        ((0.80, 0.82, 0.90, 0.82), 0.001, ["equivalent", "not tested", "not tested"]),
        ((0.80, 0.82, 0.90, 0.821), 0.02, ["inconclusive", "not tested", "not tested"]),
        ((0.80, 0.82, 0.80, 0.823), 0.0004, ["better but negligible", "equivalent", "not tested"]),
        ((0.80, 0.823, 0.80, 0.82), 0.0004, ["worse but negligible", "equivalent", "not tested"]),
    ],
)
def test_verdicts(accuracies, sd, expected):
    found, _ = verdicts(made_up(accuracies, sd=sd, m=20_000))
    assert [contrast.verdict for contrast in list(found.values())[:3]] == expected


@pytest.mark.parametrize(
    (
        "p",
        "expected",
    ),  # of a difference, of the same with images drawn, of equivalence, of the same with images drawn
    [
        ((0.01, 0.01, 0.9, 0.9), "{} "),
        ((0.01, 0.01, 0.01, 0.9), "{} "),
        ((0.01, 0.01, 0.01, 0.01), "{} but negligible"),
        ((0.01, 0.20, 0.9, 0.9), "{} on this test set"),
        ((0.01, 0.20, 0.01, 0.9), "{} but negligible on this test set"),
        ((0.01, 0.20, 0.01, 0.01), "{} on this test set but negligible"),
        ((0.20, 0.20, 0.01, 0.01), "equivalent"),
        ((0.20, 0.20, 0.01, 0.9), "equivalent on this test set"),
        ((0.20, 0.20, 0.9, 0.9), "inconclusive"),
        ((0.20, 0.20, None, None), "inconclusive"),
        ((None, None, None, None), "not tested"),
        ((None, None, 0.01, 0.01), "equivalent"),
    ],
)
def test_a_claim_goes_beyond_the_test_set_where_its_images_may_be_drawn_too(p, expected):
    for direction, deltas in (("better", np.full(10, 0.01)), ("worse", np.full(10, -0.01))):
        first, *others = (Adjusted(each, each, 0.05) for each in p)
        evidence = Evidence(PairedTest(deltas, sign_flip(deltas), first), *others)
        assert verdict_of(evidence, 0.05) == expected.format(direction).strip()


def test_one_image_that_no_seed_gets_right_any_more_is_no_proof_of_equivalence_beyond_these_images():
    """Of 360 images one is 0.28 points: the seeds agree that it is less than 0.5, other images need not."""
    right = np.ones((10, 360), dtype=bool)
    one_less = right.copy()
    one_less[:5, 0] = False
    [contrast] = judge_arms({"real": right, "generated": one_less}, alpha=0.05, margin=0.005).contrasts
    assert contrast.equivalence_p == pytest.approx(1 / 2**10)
    assert contrast.crossed_equivalence_p > 0.05
    assert contrast.verdict == "equivalent on this test set"


def test_each_difference_has_the_margin_of_its_own_second_arm():
    found, judged = verdicts(made_up((0.90, 0.98, 0.91, 0.97), sd=0))
    assert {name: round(one.margin, 6) for name, one in found.items()} == {
        "generated+traditional - traditional": 0.002,
        "generated - real": 0.005,
        "generated - traditional": 0.002,
        "traditional - real": 0.005,
        "interaction": 0.002,
    }
    assert judged.margin_rule == "min(0.5 points, 10% of the error of the contrast's second arm)"


def test_contrasts_come_in_the_fixed_order_and_exploratory_ones_have_no_p():
    found, _ = verdicts(made_up((0.8, 0.82, 0.86, 0.9)))
    assert list(found) == [
        "generated+traditional - traditional", "generated - real", "generated - traditional",
        "traditional - real", "interaction",
    ]  # fmt: skip
    for name in ("traditional - real", "interaction"):
        assert (found[name].p, found[name].verdict) == (None, "exploratory")
    interaction = (0.9 - 0.82) - (0.86 - 0.8)
    assert found["interaction"].mean == pytest.approx(interaction, abs=0.01)


def test_a_closed_gate_shows_neither_p_nor_interval():
    found, _ = verdicts(made_up((0.80, 0.82, 0.90, 0.821), sd=0.02))
    closed = found["generated - real"]
    assert (closed.p, closed.adjusted_p, closed.interval, closed.equivalence_p) == (None,) * 4
    assert "Not tested" in closed.sentence


def test_adjusted_p_is_the_largest_so_far():
    correct = made_up((0.80, 0.82, 0.88, 0.828), sd=0.004, seed=4)
    tested = [c for c in verdicts(correct)[0].values() if c.p is not None]
    assert [c.adjusted_p for c in tested] == np.maximum.accumulate([c.p for c in tested]).tolist()


@pytest.mark.parametrize("n", [1, 5])
def test_too_few_seeds_are_underpowered_whatever_the_data(n):
    found, judged = verdicts(made_up((0.2, 0.3, 0.8, 0.9), n=n))
    first = found["generated+traditional - traditional"]
    assert first.verdict == "underpowered"
    assert "can never pass 0.05" in first.sentence
    assert judged.smallest_p == 2 / 2**n


def test_a_win_on_a_few_images_is_better_on_this_test_set_only():
    base = np.zeros((10, 100), dtype=bool)
    base[:, :80] = True
    better = base.copy()
    better[:, 80:82] = True  # the same two images in every seed
    arms = {"real": base, "traditional": base, "generated": base, "generated+traditional": better}
    first = verdicts(arms)[0]["generated+traditional - traditional"]
    assert first.p == 2 / 2**10
    assert first.crossed_interval[0] <= 0
    assert first.verdict == "better on this test set"
    assert "with the test images drawn too" in first.sentence


def test_inconclusive_says_what_could_have_been_found():
    first = verdicts(made_up((0.80, 0.82, 0.90, 0.821), sd=0.02))[0]["generated+traditional - traditional"]
    assert f"find {100 * first.detectable:.2f} points with 80% power" in first.sentence


def test_headline_carries_smallest_p_and_resolution():
    headline = verdicts(made_up((0.96, 0.96, 0.96, 0.96), m=360))[1].headline
    for said in (
        "smallest attainable p is 0.00195",
        "0.28 points",
        "resolve an accuracy to about 1.0",
    ):
        assert said in headline


@pytest.mark.parametrize(
    ("declared", "accuracy", "margin"),
    [(None, 0.99, 0.001), (None, 0.8, 0.005), (0.02, 0.99, 0.02), (0.0, 0.9, 0.0)],
)
def test_margin(declared, accuracy, margin):
    assert equivalence_margin(declared, accuracy) == pytest.approx(margin)


def test_fewer_arms_keep_the_order_of_what_remains():
    correct = made_up((0.8, 0.82, 0.86, 0.9))
    judged = judge_arms({arm: correct[arm] for arm in ("real", "generated")}, alpha=0.05, margin=None)
    assert [contrast.name for contrast in judged.contrasts] == ["generated - real"]
    none = judge_arms({arm: correct[arm] for arm in ("real", "traditional")}, alpha=0.05, margin=None)
    assert "no verdict" in none.headline


def test_family_wise_error_over_simulated_nulls():
    """At most 5% of experiments without any effect say better or worse; hardly fewer (exactness)."""
    rng = np.random.default_rng(11)
    experiments, n = 5000, 8
    masks = (np.arange(1, 2**n)[:, None] >> np.arange(n)) & 1
    masks = masks / masks.sum(axis=1, keepdims=True)

    def rejected(deltas):
        """The same rule as `SignFlip.p`, for all experiments at once; checked against it below."""
        means = masks @ deltas.T
        one_sided = 1 + np.minimum((means <= 0).sum(axis=0), (means >= 0).sum(axis=0))
        return 2 * one_sided / 2**n <= 0.05

    both, traditional = rng.standard_normal((2, experiments, n)) + rng.standard_normal((experiments, n))
    # Later contrasts are tested only where the first was rejected, so their errors lie inside its.
    first = rejected(both - traditional)
    assert 0.035 < first.mean() < 0.05 + 3 * np.sqrt(0.05 * 0.95 / experiments)

    from gangda.statistics.signflip import sign_flip

    for index in range(50):
        assert passes(sign_flip((both - traditional)[index]).p(), 0.05) == first[index]


def test_family_wise_error_when_the_first_contrast_is_real():
    """With a real first effect the gate is open: the second null still errs at most at alpha."""
    errors = 0
    for seed in range(120):
        correct = made_up((0.8, 0.8, 0.8, 0.9), m=400, n=7, sd=0.01, seed=seed)
        found, _ = verdicts(correct)
        errors += any(
            found[name].verdict.startswith(("better", "worse"))
            for name in ("generated - real", "generated - traditional")
        )
    assert errors / 120 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 120)


def test_balanced_scores_are_mean_recalls():
    labels = np.array([0] * 90 + [1] * 10)
    rng = np.random.default_rng(0)
    right = {"real": rng.random((10, 100)) < 0.7, "generated": rng.random((10, 100)) < 0.8}
    judged = judge_arms(right, alpha=0.05, margin=None, weights=balancing(labels))
    for arm in judged.arms:
        recalls = [right[arm.name][:, labels == label].mean(axis=1) for label in (0, 1)]
        assert arm.scores == pytest.approx(np.mean(recalls, axis=0))
    [contrast] = [c for c in judged.contrasts if c.primary]
    by_hand = np.subtract(judged.arms[1].scores, judged.arms[0].scores)
    assert contrast.deltas == pytest.approx(by_hand)
