"""Results of the tests, as values. Scores and differences are fractions (0.01 is one point)."""

from dataclasses import dataclass

from gangda.data.images import FloatArray

Interval = tuple[float, float]

BETTER, WORSE = "better", "worse"
BETTER_HERE, WORSE_HERE = "better on this test set", "worse on this test set"
BETTER_NEGLIGIBLE, WORSE_NEGLIGIBLE = "better but negligible", "worse but negligible"
EQUIVALENT, INCONCLUSIVE = "equivalent", "inconclusive"
UNDERPOWERED, NOT_TESTED, EXPLORATORY = "underpowered", "not tested", "exploratory"


def standard_deviation(scores: FloatArray) -> float:
    """Over the seeds, float (n,), with n - 1; 0 for one seed."""
    return float(scores.std(ddof=1)) if len(scores) > 1 else 0.0


@dataclass(frozen=True)
class ArmSummary:
    """One arm over the seeds.

    Attributes:
        scores: test accuracy (or balanced accuracy) of each seed.
        mean, sd: over the seeds; sd with n - 1, 0 for one seed.
        interval: sign-flip interval of the centre at 1 - alpha; None where n is too small for one.
    """

    name: str
    scores: tuple[float, ...]
    mean: float
    sd: float
    interval: Interval | None


@dataclass(frozen=True)
class Difference:
    """One difference, paired by seed and tested as one of a family.

    Attributes:
        name: such as "generated - real", or the variant that was compared with the reference.
        deltas: of each seed.
        p, adjusted_p: exact two-sided sign-flip p, and the same adjusted for the family; None where nothing was tested,
            or where n is too small for any. The verdict follows from the adjusted p alone.
        interval: inversion of the same test at 1 - the level at which the procedure decided it (1 - alpha in a
            sequence and where exploratory); None where not tested, or where n is too small for one.
        detectable: true difference found with 80% power at this n and spread; None where alpha cannot be reached.
    """

    name: str
    deltas: tuple[float, ...]
    mean: float
    sd: float
    p: float | None
    adjusted_p: float | None
    interval: Interval | None
    detectable: float | None
    verdict: str


@dataclass(frozen=True)
class Contrast(Difference):
    """A difference between arms; its verdict is one of the words above.

    Attributes:
        primary: tested, as one of the family; otherwise exploratory, without p.
        equivalence_p: TOST p at the margin; None where nothing was tested.
        crossed_interval: bootstrap over seeds x test images at the interval's level.
        mcnemar_p: of each seed, exact, of plain accuracy; empty where nothing was tested.
        sentence: the verdict with its numbers.
    """

    primary: bool
    equivalence_p: float | None
    crossed_interval: Interval
    mcnemar_p: tuple[float, ...]
    sentence: str = ""


@dataclass(frozen=True)
class Judgement:
    """The arms of a comparison and the differences between them.

    Attributes:
        contrasts: primary ones first, in the family's order.
        n, n_test: paired seeds, and images of the test set that they share.
        alpha: error rate of the family of primary differences; equivalence is controlled per contrast.
        smallest_p: the smallest two-sided p that n seeds can give.
        exact: all sign vectors were enumerated (else a seeded Monte Carlo sample of them).
        score: "accuracy" or "balanced accuracy".
        resolution: what one test image weighs at most.
        test_se: the standard error that the test set's size gives the real-only score.
        headline: the first primary contrast's verdict with what bounds it, in a sentence.
    """

    arms: tuple[ArmSummary, ...]
    contrasts: tuple[Contrast, ...]
    n: int
    n_test: int
    alpha: float
    margin: float
    margin_rule: str
    smallest_p: float
    exact: bool
    score: str
    resolution: float
    test_se: float
    headline: str
