"""What is wrong with a generator's samples or losses, in a line each: what, classes, value, threshold, what to do.

The thresholds were set between planted failures (one image or two distinct images per class, permuted and shuffled
labels, noise) and healthy samples (real images, runs that learn), with a wide margin to both. An undertrained
generator's samples are blurred, alike and confused, so alarms wait for step `FROM_STEP`, or for a shorter run's end.
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gangda.metrics.diversity import MIN_DISTINCT_MODES, MIN_DIVERSITY
from gangda.training.monitor.checks import Check, mean

FROM_STEP = 1000  # alarms about samples begin here: before, healthy generators look the same
AT_THE_END = 200  # the same for a run that ends there: what it has not learned by then it never will
MIN_APART = 0.25  # of the real distance between classes, on average; labels without effect about 0
MIN_PAIR_APART = 0.1  # the same, for two classes alone
MAX_NOVELTY = 2.0  # of real images' distance to the nearest; noise 2.5 and more, healthy 0.9 to 1.3
MAX_ROUGHNESS = 3.0  # of real images' differences between pixels; noise 6 and more, healthy 0.5 to 1
MIN_ACCURACY = 0.6  # of real images' accuracy above chance
SAME_MIXTURE = 0.03  # below this energy distance over all classes samples look real, whatever their labels
MISSING = 0.1  # of the class's share of the training images
MIN_EXPECTED = 20  # samples that a class should have, on average; with fewer it is not called missing

# Of the logged steps, their first and last.
WINDOW = 20  # logged steps: 1,000 steps of training
VANISHED = 0.01  # of the gradient norm at the beginning
NO_GRADIENT = 1e-6  # vanished, whatever it was at the beginning
GUESSING, CERTAIN = 0.05, 0.99  # so close to 0.5 the discriminator guesses; above this it is never wrong
GROWN = 100.0  # times the largest loss term at the beginning
BESIDE_LOSS = ("_accuracy", "_gradient")  # endings of the values that are no loss terms
LARGEST = "largest loss term"

COLLAPSE, NOISE, LABELS = "collapse", "noise", "wrong labels"
DEAD, DIVERGING = "dead discriminator", "diverging"
UNCONDITIONAL, UNTRAINED = "never conditional", "never trained"
MEMORISING = "memorising"

Values = dict[str, float]


@dataclass(frozen=True)
class Alarm:
    """One thing that is wrong: its kind, the names of the classes concerned, and a sentence about it."""

    kind: str
    classes: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return f"ALARM: {self.text}"


def find_alarms(
    check: Check, class_names: Sequence[str], advice: str, *, warming_up: bool = False
) -> list[Alarm]:
    """What is wrong with the samples. Noise hides all else; wrong labels explain classes that look alike.

    `advice`: what to do against mode collapse. While `warming_up` the class has not its full effect
    (--conditioning-warmup), so labels are not checked.
    """
    if noise := list(_noise(check)):
        return noise
    alike, few = check.diversity < MIN_DIVERSITY, check.distinct_modes < MIN_DISTINCT_MODES
    collapsed = np.flatnonzero(alike | few)
    within = list(_collapse_within(check, collapsed, class_names, advice))
    if warming_up:
        return within
    labels = list(_wrong_labels(check, collapsed, class_names))
    across = _alike(check, class_names) if len(check.apart) else _missing(check, class_names, advice)
    return [*within, *(labels or across)]


def memorising(step: int, best_step: int | None) -> Alarm:
    """The alarm of a validation loss that has risen clearly above its smallest value, that of `best_step`."""
    text = (
        f"memorising: at step {step:,} the validation loss is more than 5% above that of step {best_step:,}, whose "
        "weights are kept as the best; train fewer --steps, lower --width, or raise --dropout"
    )
    return Alarm(MEMORISING, (), text)


def never_conditional(step: int, conditioning_warmup: int) -> Alarm:
    """The alarm of a run that ended at `step` of a longer `--conditioning-warmup`."""
    ended = f"the run ended at step {step:,} of --conditioning-warmup {conditioning_warmup}"
    effect = f"the class had at most {step / conditioning_warmup:.0%} of its effect in samples"
    text = f"never conditional: {ended}, so {effect}; raise --minutes, or lower --conditioning-warmup"
    return Alarm(UNCONDITIONAL, (), text)


NEVER_TRAINED = Alarm(
    UNTRAINED,
    (),
    "never trained: the time was over before the generator's first step; raise --minutes, or lower --d-pretrain",
)


def _noise(check: Check) -> Iterator[Alarm]:
    what, value, most = "distance to the nearest real image", check.novelty, MAX_NOVELTY
    if not value > most:
        what, value, most = "difference between neighbouring pixels", check.roughness, MAX_ROUGHNESS
    if value > most:
        measured = f"{what} {value:.1f} times that of real images, above {most:g}"
        text = f"noise: samples are unlike any real image ({measured}); train longer, or lower --lr"
        yield Alarm(NOISE, (), text)


def _collapse_within(
    check: Check, collapsed: npt.NDArray[np.intp], class_names: Sequence[str], advice: str
) -> Iterator[Alarm]:
    """Groups whose samples are nearly alike, or repeat a few images."""
    if len(collapsed):
        names = tuple(class_names[row] for row in collapsed) if len(check.diversity) > 1 else ()
        text = (
            f"mode collapse ({_listed(names, 8) if names else 'all images'}): samples differ "
            f"{check.diversity[collapsed].min():.2f} times as much as real images (least {MIN_DIVERSITY:g}) and have "
            f"{check.distinct_modes[collapsed].min():.2f} times as many distinct modes (least {MIN_DISTINCT_MODES:g}); "
            f"{advice}"
        )
        yield Alarm(COLLAPSE, names, text)


def _missing(check: Check, class_names: Sequence[str], advice: str) -> Iterator[Alarm]:
    """Classes that an unconditional generator never makes."""
    for shares in check.shares:  # one row, or none without a classifier
        enough = check.samples * check.class_shares >= MIN_EXPECTED
        missing = np.flatnonzero(enough & (shares < MISSING * check.class_shares))
        if len(missing):
            names = tuple(class_names[row] for row in missing.tolist())
            text = (
                f"mode collapse: classes missing ({_listed(names, 8)}): at most {shares[missing].max():.1%} of the "
                f"samples each, below {MISSING:.0%} of their share of the training images; {advice}, or use a "
                "class-conditional architecture"
            )
            yield Alarm(COLLAPSE, names, text)


def _alike(check: Check, class_names: Sequence[str]) -> Iterator[Alarm]:
    """Classes that differ less from each other than real ones: all on average, or some pairs."""
    average = mean(check.apart[np.triu_indices(len(check.apart), 1)])
    pairs = [(a, b) for a, b in np.argwhere(check.apart < MIN_PAIR_APART).tolist() if a < b]
    if average < MIN_APART:
        text = (
            f"mode collapse: classes alike: they differ {max(0.0, average):.2f} times as much as real ones, below "
            f"{MIN_APART:g}; the label has little effect: train longer, else check the labels of --data"
        )
        yield Alarm(COLLAPSE, tuple(class_names), text)
    elif pairs:
        shown = ", ".join(f"{class_names[a]} and {class_names[b]}" for a, b in pairs[:5])
        text = (
            f"mode collapse: classes alike ({shown}): they differ less than {MIN_PAIR_APART:g} times as much as real "
            "ones; train longer, or check their labels"
        )
        yield Alarm(COLLAPSE, tuple(class_names[row] for row in np.unique(pairs).tolist()), text)


def _wrong_labels(
    check: Check, collapsed: npt.NDArray[np.intp], class_names: Sequence[str]
) -> Iterator[Alarm]:
    """Samples that look real but not like their class; a class that they look like instead is named."""
    if np.isnan(check.gan_test) or len(class_names) < 2:
        return
    winner = check.shares.argmax(axis=1)
    taken = {  # classes whose samples are those of another class, by the distances and by the classifier
        label: other
        for label, other in enumerate(winner.tolist())
        if other == check.mistaken[label] != label
        and check.shares[label, other] > 0.5
        and check.shares[label, label] < 0.25
        and label not in collapsed  # one image proves nothing
    }
    chance = 1 / len(class_names)
    above_chance = (check.gan_test - chance) / max(check.gan_test_real - chance, 1e-9)
    scattered = above_chance < MIN_ACCURACY and check.mixture < SAME_MIXTURE
    if taken or scattered:
        pairs = _listed([f"{class_names[a]} looks like {class_names[b]}" for a, b in taken.items()], 5)
        least = chance + MIN_ACCURACY * (check.gan_test_real - chance)
        text = (
            f"wrong labels{f' ({pairs})' if pairs else ''}: a classifier finds the intended class in "
            f"{check.gan_test:.0%} of the samples, in {check.gan_test_real:.0%} of real images"
            f"{f', below {least:.0%}' if scattered else ''}; most likely too few steps: train longer, else check the "
            "labels of --data"
        )
        yield Alarm(LABELS, tuple(class_names[label] for label in taken), text)


def _listed(names: Sequence[str], most: int) -> str:
    """The first of the names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


@dataclass(eq=False)
class TrainingCurve:
    """The first and the last `WINDOW` of `count` logged steps: accuracy, gradient norms, the largest loss term."""

    first: list[Values] = field(default_factory=list)
    last: list[Values] = field(default_factory=list)
    count: int = 0

    def add(self, values: Mapping[str, float]) -> None:
        """Keep what matters of the loss terms and metrics of a logged step."""
        row = {name: value for name, value in values.items() if name.endswith(BESIDE_LOSS)}
        losses = [abs(value) for name, value in values.items() if name not in row]
        row[LARGEST] = max(losses, default=0.0)  # a closed form has none
        if len(self.first) < WINDOW:
            self.first.append(row)
        self.last = [*self.last, row][-WINDOW:]
        self.count += 1

    def alarms(self, advice: str) -> list[Alarm]:
        """What is wrong in the last window (of a short run: half); `advice` is what to do against divergence."""
        window = min(WINDOW, self.count // 2)
        if not window:
            return []
        first, last = _medians(self.first[:window]), _medians(self.last[-window:])
        found = []
        if "d_accuracy" in last:
            accuracy = statistics.fmean(row["d_accuracy"] for row in self.last[-window:])
            found = _dead_discriminator(accuracy, first, last)
        before = max(1.0, first[LARGEST])
        if last[LARGEST] > GROWN * before:
            times = f"{last[LARGEST] / before:.0f} times as large as at the beginning, above {GROWN:g}"
            found.append(Alarm(DIVERGING, (), f"diverging: loss terms are {times}; {advice}"))
        return found

    def dump(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return dict(vars(self))

    def load(self, values: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        self.first, self.last, self.count = values["first"], values["last"], values["count"]


def _medians(rows: list[Values]) -> Values:
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def _dead_discriminator(accuracy: float, first: Values, last: Values) -> list[Alarm]:
    """It guesses and its gradient has vanished, or it is never wrong and the generator's gradient has."""
    cases = (
        (abs(accuracy - 0.5) < GUESSING, "it guesses", "its own", "discriminator_gradient"),
        (accuracy > CERTAIN, "it is never wrong", "the generator's", "generator_gradient"),
    )
    found = []
    for applies, what, whose, name in cases:
        if applies and last[name] < max(NO_GRADIENT, VANISHED * first[name]):
            share = last[name] / max(first[name], 1e-30)
            text = (
                f"dead discriminator: {what} (accuracy {accuracy:.2f}) and {whose} gradient has vanished ({share:.1g} "
                f"of that at the beginning, below {VANISHED:g}); lower --lr, or try --loss nonsaturating with --r1"
            )
            found.append(Alarm(DEAD, (), text))
    return found
