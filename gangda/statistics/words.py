"""Verdicts in words: for a reader without statistics, and with their numbers."""

from collections.abc import Mapping

from gangda.runtime.progress import counted
from gangda.statistics import values
from gangda.statistics.signflip import smallest_p
from gangda.statistics.values import Contrast, Interval

NO_VERDICT = "No verdict: no difference between these arms is planned; name one with --contrast 'A - B'."
SUBJECTS: Mapping[str, str] = {  # what was changed, for the usual contrasts
    "generated - real": "adding generated images",
    "generated+traditional - traditional": "adding generated images to traditional augmentation",
    "generated - traditional": "adding generated images instead of traditional augmentation",
}
REPLACED: Mapping[str, str] = {  # the same, where generated images take the place of real ones
    "generated - real": "putting generated images in place of real ones",
    "generated+traditional - traditional": "putting generated images in place of real ones under traditional "
    "augmentation",
}
NOT_OF_OTHERS = "but that was not shown for other test images"
# By the verdicts that a sentence is for; of two, that of a gain first.
PLAIN: Mapping[tuple[str, ...], str] = {
    (
        values.BETTER,
        values.WORSE,
    ): "{Subject} made the classifier {direction} by {size} {unit}, very likely between {low} and {high}.",
    (
        values.BETTER_HERE,
        values.WORSE_HERE,
    ): "On these test images {subject} made the classifier {direction} by {size} "
    f"{{unit}}, {NOT_OF_OTHERS}.",
    (
        values.BETTER_NEGLIGIBLE,
        values.WORSE_NEGLIGIBLE,
    ): "{Subject} made the classifier {direction} by {size} {unit}, which "
    "is too little to matter: very likely less than {margin}.",
    (
        values.BETTER_HERE_NEGLIGIBLE,
        values.WORSE_HERE_NEGLIGIBLE,
    ): "{Subject} made no difference that matters: less than "
    "{margin} {unit} either way, if slightly {direction} on these test images.",
    (
        values.BETTER_NEGLIGIBLE_HERE,
        values.WORSE_NEGLIGIBLE_HERE,
    ): "On these test images {subject} made the classifier "
    f"{{direction}} by {{size}} {{unit}}, which is too little to matter, {NOT_OF_OTHERS}.",
    (values.EQUIVALENT,): "{Subject} made no difference that matters: less than {margin} {unit} either way.",
    (
        values.EQUIVALENT_HERE,
    ): "On these test images {subject} made no difference that matters, less than {margin} {unit} "
    f"either way, {NOT_OF_OTHERS}.",
    (
        values.INCONCLUSIVE,
    ): "No verdict: {seeds} could not tell whether {subject} helps or harms; a difference of "
    "{detectable} {unit} would probably have been found.",
    (
        values.UNDERPOWERED,
    ): "No verdict: {seeds} can show nothing about {subject}, whatever comes out; it takes {least}.",
    (
        values.NOT_TESTED,
    ): "No verdict about {subject}: it was to be tested only after a difference that was not shown.",
}
EXACT: Mapping[tuple[str, ...], str] = {
    (values.BETTER, values.WORSE): "{Direction}. {tested}.",
    (values.BETTER_HERE, values.WORSE_HERE): "{Direction} on this test set. {tested}.",
    (
        values.BETTER_NEGLIGIBLE,
        values.WORSE_NEGLIGIBLE,
    ): "{Direction}, but by less than the margin of {margin} points ({equivalence}). {tested}.",
    (
        values.BETTER_HERE_NEGLIGIBLE,
        values.WORSE_HERE_NEGLIGIBLE,
    ): "Equivalent within {margin} points ({equivalence}), though {direction} on this test set. {tested}.",
    (
        values.BETTER_NEGLIGIBLE_HERE,
        values.WORSE_NEGLIGIBLE_HERE,
    ): "{Direction} on this test set, but there by less than "
    "the margin of {margin} points ({equivalence}). {tested}.",
    (values.EQUIVALENT,): "Equivalent within {margin} points ({equivalence}). {tested}.",
    (
        values.EQUIVALENT_HERE,
    ): "Equivalent within {margin} points on this test set ({equivalence}). {tested}.",
    (values.INCONCLUSIVE,): "Inconclusive. {tested}{power}.",
    (
        values.UNDERPOWERED,
    ): "Underpowered: {seeds} can never pass {level:.3g}, whatever the data. {difference}.",
    (
        values.NOT_TESTED,
    ): "Not tested: an earlier contrast of the fixed sequence was not decided. {difference}.",
    (values.EXPLORATORY,): "Exploratory. {difference}{unadjusted}.",
}

# What to do, and what to leave, for the usual contrasts.
DEEDS: Mapping[str, tuple[str, str]] = {
    "generated - real": ("Add generated images", "Do not add these images"),
    "generated+traditional - traditional": (
        "Add generated images to traditional augmentation",
        "Do not add these images to traditional augmentation",
    ),
    "generated - traditional": (
        "Use generated images instead of traditional augmentation",
        "Keep traditional augmentation",
    ),
}
DEEDS_REPLACED: Mapping[str, tuple[str, str]] = {
    "generated - real": ("Put generated images in place of real ones", "Keep the real images"),
    "generated+traditional - traditional": (
        "Put generated images in place of real ones under traditional augmentation",
        "Keep the real images under traditional augmentation",
    ),
}
ADVICE: Mapping[tuple[str, ...], str] = {
    (values.BETTER,): "{do}.",
    (
        values.BETTER_HERE,
    ): "{do} only if images like these {tested} are all that matters: they are too few to speak "
    "for others, so test on more before you rely on it.",
    (
        values.EQUIVALENT,
        values.BETTER_NEGLIGIBLE,
        values.WORSE_NEGLIGIBLE,
        values.BETTER_HERE_NEGLIGIBLE,
        values.WORSE_HERE_NEGLIGIBLE,
    ): "{keep}: the difference is less than {margin} {unit}, not worth the extra training.",
    (
        values.EQUIVALENT_HERE,
        values.BETTER_NEGLIGIBLE_HERE,
        values.WORSE_NEGLIGIBLE_HERE,
    ): "{keep}: on these {tested} the difference is less than {margin} {unit}, not worth the extra training.",
    (values.WORSE,): "{keep}.",
    (values.WORSE_HERE,): "{keep}: on these {tested} that did harm.",
    (values.INCONCLUSIVE,): "{keep} for now: nothing was shown either way.",
    (values.UNDERPOWERED,): "Decide nothing by this: so few seeds cannot show anything.",
    (values.NOT_TESTED, values.EXPLORATORY): "Decide nothing by this difference: it was not tested.",
}
# Before or after that sentence, where it applies.
NAME_A_CONTRAST = "Nothing was tested. Say which difference is to be, such as:"
OF_A_CHECK = (
    "This difference checks the protocol and decides nothing about generated images: {arms} {are} broken on purpose, "
    "or of known outcome."
)
OF_OTHER_REAL = (
    "This difference says what other real images are worth ({arms}) and decides nothing about generated ones."
)
USUAL_CONTRAST = "What generated images do here is tested by {contrasts}:"
DISAGREE = "Do not act on this: {objection}."
TRAIN_LONGER = (
    "Train the generator longer before you judge by this: its images are poor, most likely of too few steps."
)
WEAK_CONTROL = (
    "Do not act on this yet: traditional transforms alone made the classifier worse by {size} {unit} (unadjusted "
    "interval {interval}), so the control is weak. Most likely the classifier had too few steps; else these transforms "
    "do not suit the images{others}."
)
OTHER_TRANSFORMS = " (--policy auto chooses others)"
WORTH_OF_TRANSFORMS = (
    "Traditional transforms alone are worth {size} {unit} here (unadjusted interval {interval})."
)
MAKE_THE_SET = "To make such a set of all your images:"
MAKE_THE_SUBSET = "This was found with {some} and need not hold with more. To make such a set of as many:"
OTHERS_EACH_PASS = (
    "Every pass over the real images saw other generated ones, {passes} times as many in all; a set that is written "
    "has one part of them, and its gain was not measured."
)
MORE_SEEDS = (
    "To find a difference of {size} {unit} on these test images with 80% power, run {seeds} that are new, about "
    "{time} here (more seeds added to this comparison would make its p inexact):"
)
MORE_TEST_IMAGES = (
    "No number of seeds can show a difference of {size} {unit} beyond these {tested} test images: that takes about "
    "{needed}."
)
DECIDING_SEEDS = (
    "With {seeds} that are new, about {time} here, these {tested} test images may be enough (more seeds added to this "
    "comparison would make its p inexact):"
)
ENOUGH_SEEDS = "Run {seeds}, about {time} here:"
OTHER_GENERATOR = "Another generator may do better; that is another question:"


def advice_sentence(contrast: Contrast, score: str, n_test: int, *, replaced: bool = False) -> str:
    """What to do after the verdict on a primary contrast, no more than the verdict allows.

    `replaced`: generated images took the place of real ones.
    """
    first, _, second = contrast.name.partition(" - ")
    do, keep = (DEEDS_REPLACED if replaced else DEEDS).get(
        contrast.name, (f"Train with {first} rather than {second}", f"Keep to {second}")
    )
    words = {
        "margin": rounded(contrast.margin),
        "unit": f"points of {score}",
        "tested": f"{n_test:,} test images",
    }
    return _filled(ADVICE, contrast, do=do, keep=keep, **words)


def plain_sentence(contrast: Contrast, score: str, least: int, *, replaced: bool = False) -> str:
    """The verdict on a primary contrast for a reader without statistics; `least`: seeds that can show anything.

    `replaced`: generated images took the place of real ones.
    """
    first, _, second = contrast.name.partition(" - ")
    subjects = REPLACED if replaced else SUBJECTS
    subject = subjects.get(contrast.name, f"training with {first} instead of {second}")
    up = contrast.mean > 0
    low, high = sorted(end if up else -end for end in contrast.crossed_interval or (0.0, 0.0))
    unit = f"points of {score}"
    return _filled(
        PLAIN,
        contrast,
        subject=subject,
        Subject=subject[0].upper() + subject[1:],
        size=rounded(abs(contrast.mean)),
        low=rounded(low),
        high=rounded(high),
        margin=rounded(contrast.margin),
        unit=unit,
        seeds=counted(len(contrast.deltas), "seed"),
        detectable=rounded(contrast.detectable or 0.0),
        least=counted(least, "seed"),
    )


def exact_sentence(contrast: Contrast, level: float) -> str:
    """The verdict with its numbers; `level`: what its p must reach in its family."""
    n, interval = len(contrast.deltas), interval_text(contrast.interval)
    difference = f"{contrast.name}: {points(contrast.mean, signed=True)} points"
    drawn = "with the test images drawn too"
    power = f"; {n} seeds of this spread find {points(contrast.detectable or 0.0)} points with 80% power"
    return _filled(
        EXACT,
        contrast,
        difference=difference,
        tested=f"{difference} (interval {interval}, {_adjusted_text(contrast.adjusted_p)}; {drawn} "
        f"{interval_text(contrast.crossed_interval)}, {_adjusted_text(contrast.crossed_p)})",
        equivalence=f"TOST p {p_text(contrast.equivalence_p)}, {drawn} {p_text(contrast.crossed_equivalence_p)}",
        power="" if contrast.detectable is None else power,
        unadjusted="" if contrast.interval is None else f" (unadjusted interval {interval})",
        seeds=counted(n, "seed"),
        level=level,
        margin=points(contrast.margin),
    )


def _filled(sentences: Mapping[tuple[str, ...], str], contrast: Contrast, **words: object) -> str:
    text = next(text for verdicts, text in sentences.items() if contrast.verdict in verdicts)
    direction = "better" if contrast.mean > 0 else "worse"
    return text.format(direction=direction, Direction=direction.capitalize(), **words)


def _adjusted_text(p: float | None) -> str:
    """Of a p that belongs to a family."""
    return "not tested" if p is None else f"adjusted p {p_text(p)}"


def bounds_text(n: int, n_test: int, test_se: float, resolution: float, score: str) -> str:
    """The smallest attainable p and the test set's resolution."""
    most = "" if resolution * n_test <= 1 + 1e-9 else "up to "  # where images of rare classes weigh more
    article = "an" if score[0] in "aeiou" else "a"
    return (
        f"With {counted(n, 'seed')} the smallest attainable p is {smallest_p(n):.3g}; "
        f"one of the {n_test:,} test images weighs {most}{points(resolution)} points, "
        f"and all of them resolve {article} {score} to about {points(test_se)} points."
    )


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


def rounded(fraction: float) -> str:
    """0.0123 -> "1.2"; with more digits where one would show 0."""
    digits = 1 if abs(fraction) >= 0.001 else 2
    return f"{100 * fraction:.{digits}f}"
