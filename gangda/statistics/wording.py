"""Verdicts in words. Differences are given in points (hundredths)."""

from collections.abc import Mapping, Sequence

from gangda.statistics import values
from gangda.statistics.signflip import smallest_p
from gangda.statistics.values import Contrast, Interval

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


def sentence_of(contrast: Contrast, alpha: float, margin: float) -> str:
    """A contrast's verdict in words, with its numbers."""
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


def headline_of(contrasts: Sequence[Contrast], bounds: str) -> str:
    """The first primary contrast's sentence, with what bounds any verdict of this comparison."""
    first = next((contrast for contrast in contrasts if contrast.primary), None)
    verdict = first.sentence if first else "No primary contrast among these arms, so no verdict."
    return f"{verdict} {bounds}"


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
