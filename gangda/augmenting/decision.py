"""What an augmented set is made of: as asked, or, where that is left open, what is best on validation images.

A candidate is evaluated by a classifier trained, with the same seed and steps, on the images that the set would hold.
The generator was trained on none of the validation images.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from gangda.augmenting.plan import AugmentPlan, error_rates, make_plan, split_by_method
from gangda.augmenting.selection import (
    REAL_ONLY,
    Candidate,
    Filters,
    filter_choices,
    grid,
    recognised,
    same_steps,
    select,
    training_set,
    words_of,
)
from gangda.augmenting.task import Task, transformed_images
from gangda.classifying.evaluation import Evaluation
from gangda.classifying.fit import evaluate, fit_classifier
from gangda.config.schema import AugmentConfig
from gangda.data.images import LabelledImages, concatenate
from gangda.data.sample_set import SetIndex
from gangda.errors import FilterError, RunError, UsageError
from gangda.sampling.build import check_request
from gangda.sampling.sample_statistics import SampleStatistics, filter_shares, table
from gangda.sampling.writing import draw_images


@dataclass(frozen=True, eq=False)
class Decision:
    """What is made in the end."""

    config: AugmentConfig  # the options, with one ratio and without `auto`
    # Error rate of each class, where the images are allocated by them.
    errors: tuple[Fraction, ...] | None = None
    # How it was chosen, for the set's index.
    record: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def plan(self, train: LabelledImages) -> AugmentPlan:
        """Images of each class."""
        return make_plan(train, self.config, self.errors)


def decide(task: Task) -> Decision:
    """The best candidate, of equal ones that with the fewest images; what was asked, where nothing is left open.

    Raises UsageError: a filter that cannot be used on the generator; OutcomeError: too few samples of a class, other
    than after a filter that `auto` brought in.
    """
    config, train = task.config.augment, task.splits.train
    if not config.is_open:
        return Decision(config)
    real_only, errors = None, None
    if config.allocate is not None:
        real_only = _evaluated(task, REAL_ONLY, train)
        errors = error_rates(*recognised(real_only))

    def settled(one: Candidate) -> Decision:
        return Decision(dataclasses.replace(config.at(one.ratio), filter=one.filters), errors)

    candidates = grid(
        config.ratios,
        _filter_choices(task),
        lambda ratio: bool(settled(Candidate(ratio)).plan(train).make.any()),
    )
    plans = {one: settled(one).plan(train) for one in candidates}
    images = _CandidateImages(task, plans)

    def tried(one: Candidate) -> Evaluation:
        known = None if plans[one].make.any() else real_only
        return known or _evaluated(task, one, images.of(one))

    chosen, rows = candidates[0], []
    if len(candidates) > 1:
        best, trials = select(candidates, tried, config.score_by, config.filter)
        chosen = best.candidate
        rows = [
            {
                "ratio": trial.candidate.ratio,
                "filter": list(trial.candidate.filters),
                "made": int(plans[trial.candidate].make.sum()),
                "validation": trial.score,
                "reason": trial.reason,
                **({"filtering": shares} if (shares := images.shares.get(trial.candidate.filters)) else {}),
            }
            for trial in trials
        ]
    record: dict[str, Any] = {
        "score": words_of(config.score_by),
        "validation_images": len(task.unseen),
        "candidates": rows,
        "by": "ratio" if config.fill is None else "fill",
        "ratio": chosen.ratio,
        "filter": list(chosen.filters),
    }
    if real_only is not None:
        correct, images_of_class = recognised(real_only)
        record["allocation"] = {"right": correct, "validation_images": images_of_class}
    record["sentence"] = sentence(record)
    return dataclasses.replace(settled(chosen), record=record)


def _filter_choices(task: Task) -> tuple[Filters, ...]:
    model, smallest = task.model, int(task.splits.train.counts().min())
    if model is None:
        return ((),)
    return filter_choices(
        task.config.augment.filter,
        lambda name: check_request(model, task.config.sampler, (name,), smallest=smallest),
    )


def _evaluated(task: Task, candidate: Candidate, images: LabelledImages) -> Evaluation:
    kind = "ratio" if task.config.augment.fill is None else "fill"
    ratio = "" if candidate.ratio is None else f" at {kind} {candidate.ratio:g}"
    filtered = f" after filter {','.join(candidate.filters)}" if candidate.filters else ""
    task.reporter.line(f"evaluating {len(images):,} images{ratio}{filtered}")
    fitted = fit_classifier(
        images,
        same_steps(task.config.classifier, len(task.splits.train)),
        seed=task.config.runtime.seed,
        context=task.context,
        reporter=task.reporter,
    )
    return evaluate(fitted, task.unseen)


class _CandidateImages:
    """Images of the candidates: those with the same filters take the first of each class of what is drawn once."""

    def __init__(self, task: Task, plans: Mapping[Candidate, AugmentPlan]) -> None:
        self._task, self._plans = task, plans
        self._drawn: dict[Filters, LabelledImages | FilterError | None] = {}
        self.shares: dict[Filters, dict[str, Any]] = {}

    def of(self, candidate: Candidate) -> LabelledImages:
        """What the set would hold; a FilterError where too few images pass the candidate's filters."""
        task, plan, filters = self._task, self._plans[candidate], candidate.filters
        if filters not in self._drawn:
            try:
                self._drawn[filters] = self._draw(filters)
            except FilterError as error:
                self._drawn[filters] = error
        drawn = self._drawn[filters]
        if isinstance(drawn, FilterError):
            raise drawn
        generated, traditional = split_by_method(plan.make, task.config.augment.method)
        only = AugmentPlan(plan.have, plan.keep + generated, generated)
        images = training_set(task.splits.train, drawn, only, task.config.runtime.seed)
        return concatenate(images, *transformed_images(task, traditional))

    def _draw(self, filters: Filters) -> LabelledImages | None:
        """Enough for every candidate with these filters; None where none makes any."""
        task, names, statistics = self._task, self._task.splits.train.class_names, SampleStatistics()
        made = [plan.make for one, plan in self._plans.items() if one.filters == filters]
        counts = split_by_method(np.max(made, axis=0), task.config.augment.method)[0]
        if not counts.any():
            return None
        drawn = draw_images(task.sampler(filters), counts, names, task.reporter, statistics)
        self.shares[filters] = filter_shares(table(statistics.filters, len(names)), names)
        return drawn


def sentence(record: Mapping[str, Any]) -> str:
    """What was chosen, in words; empty where there was one candidate only."""
    rows = record["candidates"]
    if not rows:
        return ""
    where = f"on {record['validation_images']:,} validation images"
    picked = (record["ratio"], record["filter"])
    chosen = next(row for row in rows if (row["ratio"], row["filter"]) == picked)
    score = chosen["validation"]
    if not chosen["made"]:
        return (
            f"augmentation did not help here: {where} none of the candidates has a higher {record['score']} than the "
            f"real images alone ({score:.2%}); no synthetic image is made"
        )
    ratio = "" if record["ratio"] is None else f"{record['by']} {record['ratio']:g}, "
    filters = f"filter {','.join(record['filter'])}" if record["filter"] else "no filter"
    return (
        f"chosen {where}: {ratio}{filters} ({score:.2%} {record['score']}, the highest of {len(rows)} candidates and "
        "so a flattering figure; `gangda classify` judges the set on test images)"
    )


def recorded_decision(index: SetIndex, config: AugmentConfig, out: Path) -> Decision:
    """The decision that a finished set in `out` records; a RunError where it is damaged."""
    if not config.is_open:
        return Decision(config)
    try:
        record, errors = index.provenance["chosen"], None
        if record["ratio"] not in config.ratios:
            raise ValueError
        chosen = dataclasses.replace(config.at(record["ratio"]), filter=tuple(record["filter"]))
        if config.allocate:
            right, images = record["allocation"]["right"], record["allocation"]["validation_images"]
            if not len(right) == len(images) == len(index.class_names):
                raise ValueError
            if not all(0 <= c <= n for c, n in zip(right, images, strict=True)):
                raise ValueError
            errors = error_rates(right, images)
    except (KeyError, TypeError, ValueError, AttributeError, UsageError):
        raise RunError(
            f"{out}: what was chosen for it is damaged; remove the set, or choose another --out"
        ) from None
    return Decision(chosen, errors, record)
