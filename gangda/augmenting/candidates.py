"""What can be chosen on validation images, a ratio and a filter, and what a classifier then trains on."""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gangda.augmenting.plan import AugmentPlan, first_of_each, kept_rows
from gangda.classifying.evaluation import Evaluation
from gangda.classifying.fit import step_count
from gangda.config import catalog
from gangda.config.schema import AUTO, ClassifierConfig
from gangda.data.images import LabelledImages, concatenate
from gangda.errors import UsageError
from gangda.sampling.filters import in_order

# By what `--score-by` says: an `Evaluation`'s figure; its name with spaces is how people read it.
FIGURES: Mapping[str, str] = {"accuracy": "accuracy", "balanced": "balanced_accuracy"}

Filters = tuple[str, ...]  # names, in the catalog's order; each image must pass all of them


@dataclass(frozen=True)
class Candidate:
    """One way to add images.

    Attributes:
        ratio: synthetic images per real one; None where the plan goes by something else (balance, replace).
        filters: what the generated ones must pass.
    """

    ratio: float | None
    filters: Filters = ()


REAL_ONLY = Candidate(0.0)


def words_of(score_by: str) -> str:
    """How the figure is called that `--score-by` chooses."""
    return FIGURES[score_by].replace("_", " ")


def score_of(judged: Evaluation, score_by: str) -> float:
    """That figure, in [0, 1]."""
    return float(getattr(judged, FIGURES[score_by]))


def recognised(judged: Evaluation) -> tuple[list[int], list[int]]:
    """Right answers of each class, and images of each: what `error_rates` asks for."""
    return np.diagonal(judged.confusion).tolist(), judged.confusion.sum(axis=1).tolist()


def filter_choices(names: Sequence[str], check: Callable[[str], None]) -> tuple[Filters, ...]:
    """What `--filter` leaves to choose from: one choice, or with `auto` no filter and each one alone.

    Filters named beside `auto` are the ones to choose from; without any, all that can judge the generator at hand.

    Args:
        names: as typed.
        check: raises `UsageError` for a filter that cannot judge it.

    Raises:
        UsageError: such a filter was named.
    """
    named = in_order(names)
    for name in named:
        check(name)
    if AUTO not in names:
        return (named,)
    return ((), *((name,) for name in named or _usable(check)))


def _usable(check: Callable[[str], None]) -> Filters:
    found = []
    for name in catalog.FILTERS:
        with contextlib.suppress(UsageError):
            check(name)
            found.append(name)
    return tuple(found)


def grid(
    ratios: Sequence[float | None], filters: Sequence[Filters], adds: Callable[[float | None], bool]
) -> list[Candidate]:
    """Every ratio with every choice of filters: the smaller ratio first, then the filters as they come.

    `adds` says whether anything is made at a ratio: where nothing is that could be filtered, it stands there once.
    """
    rising = sorted(set(ratios), key=lambda ratio: -1.0 if ratio is None else ratio)
    return [Candidate(ratio, chosen) for ratio in rising for chosen in (filters if adds(ratio) else ((),))]


def best(scores: Sequence[float | None]) -> int:
    """Place of the highest score, the first of equal ones: of equally good ways, that with the fewest images.

    None is what could not be judged; if all are, the first is taken.
    """
    return int(np.argmax([-1.0 if score is None else score for score in scores]))


def same_steps(config: ClassifierConfig, real: int) -> ClassifierConfig:
    """Epochs as the steps they are on the `real` images: with more images none must train for longer."""
    steps = step_count(config, real)
    return dataclasses.replace(config, classifier_steps=steps, classifier_epochs=None)


def training_set(
    real: LabelledImages, pool: LabelledImages | None, plan: AugmentPlan, seed: int
) -> LabelledImages:
    """The real images that stay and the first generated ones of each class.

    Args:
        real: the training subset.
        pool: generated images, enough of each class; None where the plan makes none.
        plan: which of them are kept (`keep`, drawn by seed where fewer than there are) and how many are made.
        seed: of the subset.
    """
    kept = real if (plan.keep == plan.have).all() else real.take(kept_rows(real.labels, plan.keep, seed))
    if pool is None or not plan.make.any():
        return kept
    return concatenate(kept, pool.take(first_of_each(pool.labels, plan.make)))
