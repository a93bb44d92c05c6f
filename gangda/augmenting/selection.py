"""The choice of ratio and filter on validation images: one routine for `gangda augment` and `gangda compare`."""

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
from gangda.errors import FilterError, UsageError
from gangda.sampling.filters import in_order

# By what `--score-by` says: an `Evaluation`'s figure; its name with spaces is how people read it.
FIGURES: Mapping[str, str] = {"accuracy": "accuracy", "balanced": "balanced_accuracy"}

Filters = tuple[str, ...]  # names, in the catalog's order; each image must pass all of them


@dataclass(frozen=True)
class Candidate:
    """One way to add images."""

    ratio: float | None  # synthetic images per real one; None where the plan goes by something else
    filters: Filters = ()  # what the generated ones must pass


REAL_ONLY = Candidate(0.0)


@dataclass(frozen=True, eq=False)
class Trial:
    """A candidate on validation images; no evaluation and score, in [0, 1], without any, or where too little passes."""

    candidate: Candidate
    evaluation: Evaluation | None
    score: float | None
    reason: str = ""


def select(
    candidates: Sequence[Candidate],
    evaluate: Callable[[Candidate], Evaluation | None],
    score_by: str,
    names: Sequence[str],
) -> tuple[Trial, list[Trial]]:
    """The best of the candidates, and the trials of all: the highest score; of equal ones, or without any, the first.

    `evaluate` trains a classifier on a candidate's images and evaluates it on the validation images, if any; `names`
    are the filters as typed. A FilterError (too few images pass) is raised unless `auto` brought the filter in.
    """
    trials = []
    for candidate in candidates:
        try:
            evaluation = evaluate(candidate)
            score = None if evaluation is None else score_of(evaluation, score_by)
            trials.append(Trial(candidate, evaluation, score))
        except FilterError as error:
            if AUTO not in names or not candidate.filters:
                raise
            trials.append(Trial(candidate, None, None, str(error)))
    return max(trials, key=lambda trial: -1.0 if trial.score is None else trial.score), trials


def words_of(score_by: str) -> str:
    """How the figure is called that `--score-by` chooses."""
    return FIGURES[score_by].replace("_", " ")


def score_of(evaluation: Evaluation, score_by: str) -> float:
    """That figure, in [0, 1]."""
    return float(getattr(evaluation, FIGURES[score_by]))


def recognised(evaluation: Evaluation) -> tuple[list[int], list[int]]:
    """Right answers of each class, and images of each: what `error_rates` asks for."""
    return np.diagonal(evaluation.confusion).tolist(), evaluation.confusion.sum(axis=1).tolist()


def filter_choices(names: Sequence[str], check: Callable[[str], None]) -> tuple[Filters, ...]:
    """What `--filter` leaves to choose from: one choice, or with `auto` no filter and each one alone.

    Filters named beside `auto` are the ones to choose from; without any, all that `check` does not refuse.
    """
    named = in_order(names)
    for name in named:
        check(name)
    if AUTO not in names:
        return (named,)
    usable = list(named)
    for name in () if named else catalog.FILTERS:
        with contextlib.suppress(UsageError):
            check(name)
            usable.append(name)
    return ((), *((name,) for name in usable))


def grid(
    ratios: Sequence[float | None], filters: Sequence[Filters], adds: Callable[[float | None], bool]
) -> list[Candidate]:
    """Every ratio with every choice of filters, the smaller ratio first; without filters where nothing is made."""
    rising = sorted(set(ratios), key=lambda ratio: -1.0 if ratio is None else ratio)
    return [Candidate(ratio, chosen) for ratio in rising for chosen in (filters if adds(ratio) else ((),))]


def same_steps(config: ClassifierConfig, real: int) -> ClassifierConfig:
    """Epochs as the steps they are on the `real` images: with more images none must train for longer."""
    steps = step_count(config, real)
    return dataclasses.replace(config, classifier_steps=steps, classifier_epochs=None)


def training_set(
    real: LabelledImages, generated: LabelledImages | None, plan: AugmentPlan, seed: int
) -> LabelledImages:
    """The real images that stay, drawn by seed, and the first generated ones of each class, as many as planned."""
    kept = real if (plan.keep == plan.have).all() else real.take(kept_rows(real.labels, plan.keep, seed))
    if generated is None or not plan.make.any():
        return kept
    return concatenate(kept, generated.take(first_of_each(generated.labels, plan.make)))
