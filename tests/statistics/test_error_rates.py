"""The judge is judged: how often it errs where nothing is there, and finds what was planted.

First with accuracies alone; then, from `Images` on, with seeds and test images drawn in every experiment.
"""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from gangda.statistics import values
from gangda.statistics.crossed import crossed_mean
from gangda.statistics.differences import PairedTest
from gangda.statistics.families import PROCEDURES, family_of
from gangda.statistics.signflip import detectable_difference, passes, power_of, sign_flip
from gangda.statistics.verdicts import Evidence, verdict_of

ALPHA, NULLS, SEEDS = 0.05, 2000, 10
ARMS = ("real", "traditional", "generated", "generated+traditional")


def simulated(
    rng: np.random.Generator, gains: tuple[float, ...], sd: float = 0.006, runs: int = NULLS
) -> np.ndarray:
    """Accuracies (4 arms, experiments, seeds): a subset's luck that all arms share, and each arm's own."""
    shared = rng.normal(0, 0.01, (runs, SEEDS))
    return np.array(gains)[:, None, None] + shared + rng.normal(0, sd, (4, runs, SEEDS))


def judged(scores: np.ndarray, procedure: str, margin: float = 1e-9) -> list[list[str]]:
    """The judge's words on the three differences of each experiment, where the test images are no matter."""
    arms = dict(zip(ARMS, scores, strict=True))
    primary = family_of(ARMS).primary
    deltas = [sum(sign * arms[arm] for arm, sign in terms) for terms in primary.values()]
    return words_on(deltas, [flip_values(each, margin)[[0, 0, 1, 1]] for each in deltas], procedure)


def decided(scores: np.ndarray, procedure: str) -> list[list[bool]]:
    """Which of them are said to be there, in whichever direction."""
    return [[word in (values.BETTER, values.WORSE) for word in words] for words in judged(scores, procedure)]


@pytest.mark.parametrize("procedure", ["sequence", "holm"])
def test_false_verdicts_are_no_more_than_alpha(procedure):
    false = rate(decided(simulated(np.random.default_rng(1), (0.8, 0.8, 0.8, 0.8)), procedure))
    assert 0.02 < false <= most(ALPHA, NULLS)  # nor is it a judge that never says anything


def test_no_more_where_the_first_difference_is_real():
    """The others are null: a sequence that has gone past its first gate must still keep the error."""
    found = decided(simulated(np.random.default_rng(2), (0.8, 0.8, 0.8, 0.83)), "sequence")
    assert all(first or not any(others) for first, *others in found)
    assert rate([others for _, *others in found]) <= most(ALPHA, NULLS)


@pytest.mark.parametrize("side", [-1, 1])
def test_a_difference_as_large_as_the_margin_is_rarely_called_equivalent(side):
    margin = 0.005
    scores = simulated(np.random.default_rng(4), (0.8, 0.8, 0.8, 0.8 + side * margin))
    false = rate([[words[0] in EQUAL] for words in judged(scores, "sequence", margin)])
    assert 0.02 < false <= most(ALPHA, NULLS)


def test_a_gain_is_never_taken_for_a_loss():
    scores = simulated(np.random.default_rng(5), (0.8, 0.8, 0.8, 0.83), runs=200)
    assert {words[0] for words in judged(scores, "sequence")} == {values.BETTER}


@pytest.mark.parametrize("gain", [0.01, 0.02])
@pytest.mark.parametrize("sd", [0.004, 0.012])
def test_planted_gains_are_found_with_the_power_that_was_stated(gain, sd):
    spread = math.sqrt(2) * sd  # of a difference of two arms
    found = decided(simulated(np.random.default_rng(3), (0.8, 0.8, 0.8, 0.8 + gain), sd), "sequence")
    stated = power_of(gain, SEEDS, spread, ALPHA)
    assert stated is not None
    assert np.mean([first for first, *_ in found]) == pytest.approx(stated, abs=0.05)


def test_power_and_detectable_difference_agree():
    least = detectable_difference(8, 0.01, ALPHA)
    assert least is not None
    assert power_of(least, 8, 0.01, ALPHA) == pytest.approx(0.8, abs=0.01)
    assert power_of(0.5, 4, 0.01, ALPHA) is None  # four seeds can decide nothing
    assert power_of(0.01, 8, 0.0, ALPHA) == 1.0


EXPERIMENTS, MANY, BATCH = 2000, 20_000, 100
# Claims that go beyond the test set, and all of them.
BETTER, WORSE = {values.BETTER, values.BETTER_NEGLIGIBLE}, {values.WORSE, values.WORSE_NEGLIGIBLE}
EQUAL = {
    values.EQUIVALENT, values.BETTER_NEGLIGIBLE, values.WORSE_NEGLIGIBLE,
    values.BETTER_HERE_NEGLIGIBLE, values.WORSE_HERE_NEGLIGIBLE,
}  # fmt: skip
ANY_BETTER = BETTER | {values.BETTER_HERE, values.BETTER_HERE_NEGLIGIBLE, values.BETTER_NEGLIGIBLE_HERE}
ANY_WORSE = WORSE | {values.WORSE_HERE, values.WORSE_HERE_NEGLIGIBLE, values.WORSE_NEGLIGIBLE_HERE}


@dataclass(frozen=True)
class Images:
    """Simulated differences of E experiments, n seeds and m images: what the tests need of them."""

    m: int
    seeds: np.ndarray  # (E, n): sums over the images
    images: np.ndarray  # (E,): sum over the images of the squared sums over seeds
    squares: np.ndarray  # (E,): sum of squares
    here: np.ndarray  # (E,): true difference on the test set

    @property
    def deltas(self) -> np.ndarray:
        """Differences of the seeds, (E, n)."""
        return self.seeds / self.m

    def crossed(self) -> tuple[np.ndarray, ...]:
        """Mean, standard error and degrees of freedom by sums of squares, with an image gained and one lost by all."""
        n, m = self.seeds.shape[1], self.m + 2
        total = self.seeds.sum(axis=1)
        base = total**2 / (n * m)
        of_seeds = (self.seeds**2).sum(axis=1) / m - base
        of_images = (self.images + 2 * n**2) / n - base
        rest = np.maximum(0, self.squares + 2 * n - base - of_seeds - of_images)
        parts = [of_seeds / (n - 1), of_images / (m - 1), rest / ((n - 1) * (m - 1))]
        variance = parts[0] + parts[1] - parts[2]
        freedom = variance**2 / (
            parts[0] ** 2 / (n - 1) + parts[1] ** 2 / (m - 1) + parts[2] ** 2 / ((n - 1) * (m - 1))
        )
        least = np.maximum(parts[0], parts[1])
        freedom = np.where(variance < least, np.where(parts[0] >= parts[1], n - 1, m - 1), freedom)
        return total / (n * m), np.sqrt(np.maximum(variance, least) / (n * m)), freedom


def drawn(
    rng: np.random.Generator, m: int, gains: tuple[float, ...], sd: float, contested: float, n: int = SEEDS
) -> dict[str, Images]:
    """The three primary differences of four arms; `gains` are shares of images that an arm gets right in every seed.

    Of some `contested` images each arm has a chance of its own to get them right, the same in every seed (a true gain
    or loss, 0 in the mean), which an arm's luck in a seed, `sd` of its accuracy, raises or lowers.
    """
    runs, k = BATCH, round(contested * m)
    chance = rng.uniform(0.15, 0.85, (4, runs, 1, k)).astype(np.float32)
    luck = rng.normal(0, sd / contested, (4, runs, n, 1)).astype(np.float32)
    right = (rng.random((4, runs, n, k), dtype=np.float32) < chance + luck).astype(np.int8)
    where = rng.random(
        (runs, m), dtype=np.float32
    )  # nested: what one arm gains, one with a larger share gains too
    gained = np.stack([(where < gain).sum(axis=1) for gain in gains])
    found = {}
    for name, ((plus, _), (minus, _)) in family_of(ARMS).primary.items():
        a, b = ARMS.index(plus), ARMS.index(minus)
        table, extra = right[a] - right[b], gained[a] - gained[b]
        of_images = table.sum(axis=1, dtype=np.int16).astype(np.float64)
        found[name] = Images(
            m,
            table.sum(axis=2, dtype=np.int64) + extra[:, None],
            (of_images**2).sum(axis=1) + abs(extra) * n**2,
            np.count_nonzero(table, axis=(1, 2)) + abs(extra) * n,
            ((chance[a] - chance[b]).sum(axis=(1, 2)) + extra) / m,
        )
    return found


def one_sided(deltas: np.ndarray, null: float) -> np.ndarray:
    """Sign-flip p of "above `null`" of each experiment, (E,)."""
    n = deltas.shape[1]
    rows = (np.arange(1, 2**n)[:, None] >> np.arange(n)) & 1
    means = (rows / rows.sum(axis=1, keepdims=True)) @ deltas.T
    return (1 + (means <= null + 1e-12).sum(axis=0)) / 2**n


def flip_values(deltas: np.ndarray, margin: float) -> np.ndarray:
    """Sign-flip p of a difference, and of equivalence, of each experiment: (2, E)."""
    differs = np.minimum(1, 2 * np.minimum(one_sided(deltas, 0), one_sided(-deltas, 0)))
    return np.stack([differs, np.maximum(one_sided(deltas, -margin), one_sided(-deltas, -margin))])


def p_values(found: Images, margin: float) -> np.ndarray:
    """Of a difference, of the same beyond the test set, of equivalence, and of that beyond the test set: (4, E)."""
    (differs, equal), (mean, error, freedom) = flip_values(found.deltas, margin), found.crossed()
    crossed = 2 * stats.t.sf(abs(mean) / error, freedom)
    crossed_equal = stats.t.sf((margin - 1 / (found.m + 2) - abs(mean)) / error, freedom)
    return np.stack([differs, np.maximum(differs, crossed), equal, np.maximum(equal, crossed_equal)])


def words_on(deltas: list[np.ndarray], p: list[np.ndarray], procedure: str) -> list[list[str]]:
    """The judge's words on each experiment's differences, float (E, n) of each, by its p, (4, E) of each."""
    words = []
    for number in range(len(deltas[0])):
        kinds = [
            PROCEDURES[procedure].adjust([float(each[kind, number]) for each in p], ALPHA)
            for kind in range(4)
        ]
        tests = [PairedTest(each[number], None, one) for each, one in zip(deltas, kinds[0], strict=True)]
        words.append([verdict_of(Evidence(*row), ALPHA) for row in zip(tests, *kinds[1:], strict=True)])
    return words


def verdicts(found: dict[str, Images], margin: float, procedure: str) -> list[list[str]]:
    """The judge's words on the three differences of each experiment."""
    each = found.values()
    return words_on([one.deltas for one in each], [p_values(one, margin) for one in each], procedure)


def test_the_simulation_counts_as_the_judge_does():
    rng = np.random.default_rng(0)
    table = rng.integers(-1, 2, (6, 50))
    found = Images(
        50,
        table.sum(axis=1)[None],
        np.array([(table.sum(axis=0) ** 2).sum()]),
        np.array([(table**2).sum()]),
        np.zeros(1),
    )
    own, margin = crossed_mean(table), 0.1
    assert [float(one[0]) for one in found.crossed()] == pytest.approx([own.mean, own.error, own.freedom])
    flips = sign_flip(table.mean(axis=1))
    equal = flips.equivalence_p(margin)
    expected = [flips.p(), max(flips.p(), own.p()), equal, max(equal, own.equivalence_p(margin))]
    assert p_values(found, margin)[:, 0] == pytest.approx(expected)


def most(share: float, runs: int) -> float:
    """What a true rate of `share` hardly ever exceeds in so many experiments."""
    return share + 3 * math.sqrt(share * (1 - share) / runs)


def rate(claims: list[list[bool]]) -> float:
    """Experiments in which any of the claims was made."""
    return float(np.mean([any(each) for each in claims]))


def check_gains(m: int, first: float, runs: int) -> None:
    """False claims of better or worse, beyond the test set and of it; `first` is the true gain of the first difference.

    Sign flips alone, which take the test images as given, would claim far more often something beyond the test set.
    """
    rng = np.random.default_rng(m)
    kinds = {procedure: ([], [], []) for procedure in ("sequence", "holm")}
    null = slice(0 if first == 0 else 1, 3)
    for _ in range(runs // BATCH):
        found = drawn(rng, m, (0.0, 0.0, 0.0, first), sd=0.0005, contested=0.03)
        truth = np.stack([each.here for each in found.values()], axis=1)
        for procedure, (beyond, alone, here) in kinds.items():
            for words, true in zip(verdicts(found, 1e-9, procedure), truth, strict=True):
                beyond.append([word in BETTER | WORSE for word in words[null]])
                alone.append([word in ANY_BETTER | ANY_WORSE for word in words[null]])
                pairs = list(zip(words, true, strict=True))
                here.append([(w in ANY_BETTER and t <= 0) or (w in ANY_WORSE and t >= 0) for w, t in pairs])
    for procedure, (beyond, alone, here) in kinds.items():
        print(
            f"{m} images, {procedure}: beyond {rate(beyond):.3f}, alone {rate(alone):.3f}, here {rate(here):.3f}"
        )
        assert rate(beyond) <= most(ALPHA, runs)
        assert rate(alone) > 2 * ALPHA
        assert rate(here) <= most(ALPHA, runs)


def check_negligible(m: int, margin: float, runs: int) -> None:
    """False claims of negligible differences, where all three are as large as the margin.

    By sign flips alone, as the rule once was, the first one is called equivalent three to seven times as often as 5%.
    """
    rng, before = np.random.default_rng(m), []
    false: dict[str, list[list[bool]]] = {"sequence": [], "holm": []}
    for _ in range(runs // BATCH):
        found = drawn(rng, m, (0.0, 0.0, margin, margin), sd=0.0005, contested=0.01)
        for procedure, claims in false.items():
            claims += [[word in EQUAL for word in words] for words in verdicts(found, margin, procedure)]
        old = p_values(next(iter(found.values())), margin)[2]
        before += [[passes(p, ALPHA)] for p in old]
    print(
        f"{m} images, margin {margin}: before {rate(before):.3f}, { ({k: rate(v) for k, v in false.items()}) }"
    )
    assert rate(before) > 3 * ALPHA
    assert max(rate(claims) for claims in false.values()) <= most(ALPHA, runs)


def coverage(m: int, n: int, runs: int) -> tuple[float, float]:
    """How often the 95% interval holds a true gain of 0.5 points, and its mean half-width in true standard errors."""
    rng, held, means, halves = np.random.default_rng(m + n), [], [], []
    for _ in range(runs // BATCH):
        found = drawn(rng, m, (0.0, 0.0, 0.0, 0.005), sd=0.002, contested=0.05, n=n)
        mean, error, freedom = next(iter(found.values())).crossed()
        half = stats.t.ppf(1 - ALPHA / 2, freedom) * error
        held.append(abs(mean - 0.005) <= half)
        means.append(mean)
        halves.append(half)
    width = float(np.mean(halves) / np.std(means))
    print(f"{n} seeds, {m} images: covers {np.mean(held):.3f}, {width:.2f} true standard errors to each side")
    return float(np.mean(held)), width


SIZES = [(360, 0.0), (1000, 0.0), (1000, 0.03), (10_000, 0.0)]
AT_THE_MARGIN = [(360, 0.0029), (360, 0.005), (1000, 0.005), (10_000, 0.002)]


@pytest.mark.parametrize(("m", "first"), SIZES)
def test_family_wise_false_gains_and_losses_are_rare_where_images_are_drawn(m, first):
    check_gains(m, first, EXPERIMENTS)


@pytest.mark.parametrize(("m", "margin"), AT_THE_MARGIN)
def test_family_wise_a_difference_as_large_as_the_margin_is_rarely_called_negligible(m, margin):
    check_negligible(m, margin, EXPERIMENTS)


def test_the_crossed_interval_covers_and_is_not_much_wider_than_it_must_be():
    covers, width = coverage(1000, SEEDS, EXPERIMENTS)
    assert covers >= 0.94 - 3 * math.sqrt(0.05 * 0.95 / EXPERIMENTS)
    assert width <= 1.2 * 1.96


@pytest.mark.long
@pytest.mark.parametrize(("m", "first"), SIZES)
def test_many_times_false_gains_and_losses(m, first):
    check_gains(m, first, MANY)


@pytest.mark.long
@pytest.mark.parametrize(("m", "margin"), AT_THE_MARGIN)
def test_many_times_a_difference_as_large_as_the_margin(m, margin):
    check_negligible(m, margin, MANY)


@pytest.mark.long
@pytest.mark.parametrize("n", [6, 10, 20])
@pytest.mark.parametrize("m", [360, 1000, 10_000])
def test_coverage(n, m):
    covers, width = coverage(m, n, EXPERIMENTS)
    assert covers >= 0.94 - 3 * math.sqrt(0.05 * 0.95 / EXPERIMENTS)
    assert width <= 1.4 * 1.96
