"""Results of the tests, as values. Scores and differences are fractions (0.01 is one point)."""

from dataclasses import dataclass

from gangda.data.images import FloatArray

Interval = tuple[float, float]

BETTER, WORSE = "better", "worse"
BETTER_HERE, WORSE_HERE = "better on this test set", "worse on this test set"
BETTER_NEGLIGIBLE, WORSE_NEGLIGIBLE = "better but negligible", "worse but negligible"
# Negligible, while the direction was shown on this test set only; and both were.
BETTER_HERE_NEGLIGIBLE = "better on this test set but negligible"
WORSE_HERE_NEGLIGIBLE = "worse on this test set but negligible"
BETTER_NEGLIGIBLE_HERE = "better but negligible on this test set"
WORSE_NEGLIGIBLE_HERE = "worse but negligible on this test set"
EQUIVALENT, EQUIVALENT_HERE, INCONCLUSIVE = "equivalent", "equivalent on this test set", "inconclusive"
UNDERPOWERED, NOT_TESTED, EXPLORATORY = "underpowered", "not tested", "exploratory"


def standard_deviation(scores: FloatArray) -> float:
    """Over the seeds, float (n,), with n - 1; 0 for one seed."""
    return float(scores.std(ddof=1)) if len(scores) > 1 else 0.0


@dataclass(frozen=True)
class ArmSummary:
    """One arm over the seeds."""

    name: str
    scores: tuple[float, ...]  # test accuracy (or balanced accuracy) of each seed
    mean: float
    sd: float  # with n - 1; 0 for one seed
    interval: Interval | None  # of the centre, by sign flips, at 1 - alpha; None where n is too small


@dataclass(frozen=True)
class Difference:
    """One difference, paired by seed and tested as one of a family.

    `p` is the exact two-sided sign-flip p, `adjusted_p` the same adjusted for the family, from which alone the verdict
    follows; both None where nothing was tested or n is too small for any. The interval is the inversion of the same
    test at 1 - the level at which the procedure decided it (1 - alpha in a sequence and where exploratory).
    """

    name: str  # such as "generated - real", or the variant that was compared with the reference
    deltas: tuple[float, ...]  # of each seed
    mean: float
    sd: float
    p: float | None
    adjusted_p: float | None
    interval: Interval | None
    detectable: float | None  # true difference found with 80% power at this n and spread; None: never
    verdict: str


@dataclass(frozen=True)
class Contrast(Difference):
    """A difference between arms; its verdict is one of the words above.

    Each p below is adjusted for the family, and None where it was not tested. Those that are "crossed" are the larger
    of the sign-flip p and the p over seeds and test images: a claim that goes beyond this test set needs both.
    """

    primary: bool  # tested, as one of the family; otherwise exploratory, without p
    margin: float  # differences of less are negligible
    equivalence_p: float | None  # TOST by sign flips, at the margin
    crossed_p: float | None
    crossed_equivalence_p: float | None
    crossed_interval: Interval | None  # the inversion of `crossed_p`; None for one seed
    mcnemar_p: tuple[float, ...]  # of each seed, exact, of plain accuracy; empty where nothing was tested
    sentence: str = ""  # the verdict with its numbers
    plain: str = ""  # the verdict for a reader without statistics; empty where exploratory
    image_error: float = 0.0  # standard error that infinitely many seeds would leave; 0 for one seed


@dataclass(frozen=True)
class Judgement:
    """The arms of a comparison and the differences between them."""

    arms: tuple[ArmSummary, ...]
    contrasts: tuple[Contrast, ...]  # primary ones first, in the family's order
    n: int  # paired seeds
    n_test: int  # images of the test set that they share
    alpha: float  # error rate of the family of primary differences, and of their equivalences
    margin_rule: str  # where each contrast's margin comes from
    smallest_p: float  # the smallest two-sided p that n seeds can give
    exact: bool  # all sign vectors were enumerated (else a seeded Monte Carlo sample of them)
    score: str  # "accuracy" or "balanced accuracy"
    resolution: float  # what one test image weighs at most
    test_se: float  # the standard error that the test set's size gives the real-only score
    plain: str  # the first primary contrast's verdict for a reader without statistics
    headline: str  # the same with its numbers, and what bounds it
