"""Verdicts in words. Differences are said in points (hundredths)."""

import dataclasses
from collections.abc import Callable, Sequence

from gangda.statistics import values
from gangda.statistics.signflip import smallest_p
from gangda.statistics.values import Contrast, Interval


def points(fraction: float, *, signed: bool = False) -> str:
    """0.0123 -> "1.23"; signed: "+1.23"."""
    text = f"{100 * fraction:+.2f}" if signed else f"{100 * fraction:.2f}"
    return text.replace("-0.00", "0.00").replace("+0.00", "0.00")


def interval_text(interval: Interval | None) -> str:
    """ "+0.10 to +1.20", or a dash where there is none."""
    return (
        "-"
        if interval is None
        else f"{points(interval[0], signed=True)} to {points(interval[1], signed=True)}"
    )


def p_text(p: float | None) -> str:
    """Three significant digits, or a dash."""
    return "-" if p is None else f"{p:.3g}"


def sentence_of(contrast: Contrast, *, n: int, alpha: float, margin: float) -> Contrast:
    """The contrast with its sentence filled in."""
    write = _SENTENCES[contrast.verdict]
    return dataclasses.replace(contrast, sentence=write(contrast, n, alpha, margin))


def headline_of(contrasts: Sequence[Contrast], bounds: str) -> str:
    """The first primary contrast's sentence, with what bounds any verdict of this experiment."""
    first = next((contrast for contrast in contrasts if contrast.primary), None)
    said = first.sentence if first else "No primary contrast among these arms, so no verdict."
    return f"{said} {bounds}"


def bounds_text(n: int, n_test: int, test_se: float, resolution: float, score: str) -> str:
    """The smallest attainable p and the test set's resolution."""
    most = "" if resolution * n_test <= 1 + 1e-9 else "up to "  # where images of rare classes weigh more
    article = "an" if score[0] in "aeiou" else "a"
    return (
        f"With {n} {_seeds(n)} the smallest attainable p is {smallest_p(n):.3g}; "
        f"one of the {n_test:,} test images weighs {most}{points(resolution)} points, "
        f"and all of them resolve {article} {score} to about {points(test_se)} points."
    )


def _seeds(n: int) -> str:
    return "seed" if n == 1 else "seeds"


def _difference(c: Contrast) -> str:
    return f"{c.name}: {points(c.mean, signed=True)} points"


def _tested(c: Contrast) -> str:
    return f"{_difference(c)} (interval {interval_text(c.interval)}, adjusted p {p_text(c.adjusted_p)})"


def _decided(word: str, *, here: bool = False) -> Callable[[Contrast, int, float, float], str]:
    def write(c: Contrast, n: int, alpha: float, margin: float) -> str:
        caution = (
            f"; with the test images resampled too the interval is {interval_text(c.crossed_interval)}"
            if here
            else ""
        )
        return f"{word}. {_tested(c)}{caution}."

    return write


def _negligible(word: str) -> Callable[[Contrast, int, float, float], str]:
    def write(c: Contrast, n: int, alpha: float, margin: float) -> str:
        return f"{word}, but by less than the margin of {points(margin)} points. {_tested(c)}."

    return write


def _equivalent(c: Contrast, n: int, alpha: float, margin: float) -> str:
    return f"Equivalent within {points(margin)} points (TOST p {p_text(c.equivalence_p)}). {_tested(c)}."


def _inconclusive(c: Contrast, n: int, alpha: float, margin: float) -> str:
    found = (
        ""
        if c.detectable is None
        else f"; {n} seeds of this spread find {points(c.detectable)} points with 80% power"
    )
    return f"Inconclusive. {_tested(c)}{found}."


def _underpowered(c: Contrast, n: int, alpha: float, margin: float) -> str:
    return f"Underpowered: {n} {_seeds(n)} can never pass {alpha:g}, whatever the data. {_difference(c)}."


def _not_tested(c: Contrast, n: int, alpha: float, margin: float) -> str:
    return f"Not tested: an earlier contrast of the fixed sequence was not decided. {_difference(c)}."


def _exploratory(c: Contrast, n: int, alpha: float, margin: float) -> str:
    found = "" if c.interval is None else f" (unadjusted interval {interval_text(c.interval)})"
    return f"Exploratory. {_difference(c)}{found}."


_SENTENCES: dict[str, Callable[[Contrast, int, float, float], str]] = {
    values.BETTER: _decided("Better"),
    values.WORSE: _decided("Worse"),
    values.BETTER_HERE: _decided("Better on this test set", here=True),
    values.WORSE_HERE: _decided("Worse on this test set", here=True),
    values.BETTER_NEGLIGIBLE: _negligible("Better"),
    values.WORSE_NEGLIGIBLE: _negligible("Worse"),
    values.EQUIVALENT: _equivalent,
    values.INCONCLUSIVE: _inconclusive,
    values.UNDERPOWERED: _underpowered,
    values.NOT_TESTED: _not_tested,
    values.EXPLORATORY: _exploratory,
}
