"""Which ratio, which filter, how much of each class: what the validation images say, where it is left open.

A candidate is judged by a classifier trained, with the same seed and the same number of steps, on the very images that
the set would hold. The validation images are of the subset that the generator was trained on, and it was trained on
none of them. Test images are never looked at.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from gangda.augmenting.builder import split_by_method, traditional_pieces
from gangda.augmenting.candidates import (
    REAL_ONLY,
    Candidate,
    Filters,
    best,
    filter_choices,
    grid,
    recognised,
    same_steps,
    score_of,
    training_set,
    words_of,
)
from gangda.augmenting.plan import AugmentPlan, error_rates, make_plan
from gangda.classifying.evaluation import Evaluation
from gangda.classifying.fit import evaluate, fit_classifier
from gangda.config.schema import AUTO, AugmentConfig, ClassifierConfig, TransformConfig
from gangda.data.images import TRADITIONAL, IntArray, LabelledImages, concatenate, generated_images
from gangda.data.splits import DataSplits
from gangda.errors import FilterError, RunError, UsageError
from gangda.runtime.device import DeviceContext
from gangda.runtime.progress import Reporter
from gangda.sampling.filters import check_filters
from gangda.sampling.sample_statistics import SampleStatistics, filter_shares
from gangda.sampling.sampler import Sampler
from gangda.sampling.writing import draw_images
from gangda.training.saved_model import Model


@dataclass(frozen=True, eq=False)
class Decision:
    """What is made in the end.

    Attributes:
        config: the options, with one ratio and without `auto`.
        errors: error rate of each class, where the images are allocated by them.
        told: how it was chosen, plain values for the set's index; empty where nothing was left open.
    """

    config: AugmentConfig
    errors: tuple[Fraction, ...] | None = None
    told: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def plan(self, train: LabelledImages) -> AugmentPlan:
        """Images of each class."""
        return make_plan(train.counts(), train.class_names, self.config, self.errors)


def is_open(config: AugmentConfig) -> bool:
    """Whether something is to be found out on validation images."""
    return len(config.ratios) > 1 or AUTO in config.filter or config.allocate is not None


def unseen_validation(splits: DataSplits, model: Model | None) -> LabelledImages:
    """The validation images that the generator, if any, was not trained on: its own split may be another.

    Raises:
        UsageError: there are none, or nothing to tell apart.
    """
    asked = "--ratio, --filter auto and --allocate choose by validation images"
    if splits.train.num_classes < 2:
        raise UsageError(f"{asked} of two classes or more; {splits.name} has one")
    if not len(splits.validation):
        raise UsageError(f"{asked}, and there are none; give --validation above 0, or one --ratio")
    seen = np.isin(splits.validation.row_id, [] if model is None else model.row_ids)
    if model is not None and seen.all():
        raise UsageError(
            f"{asked}, and {model.named} was trained on all of them; train with --validation above 0, or give "
            "one --ratio"
        )
    return splits.validation.take(np.flatnonzero(~seen))


@dataclass(frozen=True, eq=False)
class Trials:
    """Fits a classifier to each candidate, and asks it about the validation images.

    Attributes:
        train, validation: real images; the latter are those of `unseen_validation`.
        config: what is asked for.
        classifier, transforms: how they are trained, and how traditional images are made.
        model: the generator's, if there is one; `supply` gives its images behind filters.
        seed: of the subset, the images and the classifiers.
    """

    train: LabelledImages
    validation: LabelledImages
    config: AugmentConfig
    classifier: ClassifierConfig
    transforms: TransformConfig
    model: Model | None
    supply: Callable[[Filters], Sampler]
    seed: int
    context: DeviceContext
    reporter: Reporter

    def decide(self) -> Decision:
        """The best candidate, of equal ones that with the fewest images.

        Raises:
            UsageError: a filter that cannot judge the generator.
            OutcomeError: too few samples of a class, other than behind a filter that `auto` brought in.
        """
        real_only, errors = None, None
        if self.config.allocate is not None:
            real_only = self._judged(REAL_ONLY, self.train)
            errors = error_rates(*recognised(real_only))
        candidates = grid(self.config.ratios, self._choices(), lambda ratio: self._adds(ratio, errors))
        found: dict[Candidate, dict[str, Any]] = {}
        if len(candidates) > 1:
            for filters in dict.fromkeys(candidate.filters for candidate in candidates):
                same = [candidate for candidate in candidates if candidate.filters == filters]
                found.update(self._behind(filters, same, errors, real_only))
        rows = [found[candidate] for candidate in candidates if candidate in found]
        chosen = candidates[best([row["validation"] for row in rows]) if rows else 0]
        return self._decision(chosen, errors, real_only, rows)

    def _adds(self, ratio: float | None, errors: tuple[Fraction, ...] | None) -> bool:
        """Whether anything is made at this ratio: at 0 too, where it is the only one and a class has its own."""
        return bool(self._settled(Candidate(ratio), errors).plan(self.train).make.any())

    def _choices(self) -> tuple[Filters, ...]:
        model = self.model
        if model is None:
            return ((),)
        fewest = int(self.train.counts().min())
        return filter_choices(self.config.filter, lambda name: check_filters(model, (name,), fewest))

    def _behind(
        self,
        filters: Filters,
        candidates: Sequence[Candidate],
        errors: tuple[Fraction, ...] | None,
        real_only: Evaluation | None,
    ) -> dict[Candidate, dict[str, Any]]:
        """Candidates that share their filters: one pool, of which each takes the first images of each class."""
        plans = {one: self._settled(one, errors).plan(self.train) for one in candidates}
        most = np.max([split_by_method(plan.make, self.config.method)[0] for plan in plans.values()], axis=0)
        sieve = SampleStatistics()
        try:
            pool = self._pool(filters, most, sieve)
        except FilterError as error:
            if AUTO not in self.config.filter or not filters:
                raise
            return {one: self._row(one, plans[one], None, str(error)) for one in candidates}
        tallies = filter_shares(sieve.filter_counts(self.train.num_classes), self.train.class_names)
        rows = {}
        for one, plan in plans.items():
            known = None if plan.make.any() else real_only
            judged = known or self._judged(one, self._images(plan, pool))
            rows[one] = self._row(one, plan, judged) | ({"filtering": tallies} if tallies else {})
        return rows

    def _pool(self, filters: Filters, counts: IntArray, sieve: SampleStatistics) -> LabelledImages | None:
        if not counts.any():
            return None
        return draw_images(self.supply(filters), counts, self.train.class_names, self.reporter, sieve)

    def _images(self, plan: AugmentPlan, pool: LabelledImages | None) -> LabelledImages:
        """What the set would hold."""
        generated, traditional = split_by_method(plan.make, self.config.method)
        only = AugmentPlan(plan.have, plan.keep + generated, generated)
        images = training_set(self.train, pool, only, self.seed)
        pieces = traditional_pieces(self.train, traditional, self.transforms, first=0, seed=self.seed)
        made = [
            generated_images(piece.pixels, piece.labels, self.train.class_names, TRADITIONAL)
            for piece in pieces
        ]
        return concatenate(images, *made)

    def _judged(self, candidate: Candidate, images: LabelledImages) -> Evaluation:
        said = "" if candidate.ratio is None else f" at ratio {candidate.ratio:g}"
        behind = f" behind {','.join(candidate.filters)}" if candidate.filters else ""
        self.reporter.line(f"judging {len(images):,} images{said}{behind}")
        fitted = fit_classifier(
            images,
            same_steps(self.classifier, len(self.train)),
            seed=self.seed,
            context=self.context,
            reporter=self.reporter,
        )
        return evaluate(fitted, self.validation)

    def _row(
        self, candidate: Candidate, plan: AugmentPlan, judged: Evaluation | None, reason: str = ""
    ) -> dict[str, Any]:
        return {
            "ratio": candidate.ratio,
            "filter": list(candidate.filters),
            "made": int(plan.make.sum()),
            "validation": None if judged is None else score_of(judged, self.config.score_by),
            "reason": reason,
        }

    def _settled(self, candidate: Candidate, errors: tuple[Fraction, ...] | None) -> Decision:
        return Decision(
            dataclasses.replace(self.config.at(candidate.ratio), filter=candidate.filters), errors
        )

    def _decision(
        self,
        chosen: Candidate,
        errors: tuple[Fraction, ...] | None,
        real_only: Evaluation | None,
        rows: Sequence[Mapping[str, Any]],
    ) -> Decision:
        told: dict[str, Any] = {
            "ratio": chosen.ratio,
            "filter": list(chosen.filters),
            "score": words_of(self.config.score_by),
            "validation_images": len(self.validation),
            "candidates": list(rows),
        }
        if real_only is not None:
            right, seen = recognised(real_only)
            told["allocation"] = {"right": right, "validation_images": seen}
        told["sentence"] = sentence(told)
        return dataclasses.replace(self._settled(chosen, errors), told=told)


def sentence(told: Mapping[str, Any]) -> str:
    """What was chosen, in words; empty where there was one candidate only."""
    rows = told["candidates"]
    if not rows:
        return ""
    where = f"on {told['validation_images']:,} validation images"
    picked = (told["ratio"], told["filter"])
    chosen = next(row for row in rows if (row["ratio"], row["filter"]) == picked)
    score = chosen["validation"]
    if not chosen["made"]:
        return (
            f"augmentation did not help here: {where} none of the candidates has a higher {told['score']} than the "
            f"real images alone ({score:.2%}); no synthetic image is made"
        )
    ratio = "" if told["ratio"] is None else f"ratio {told['ratio']:g}, "
    filters = f"filter {','.join(told['filter'])}" if told["filter"] else "no filter"
    return (
        f"chosen {where}: {ratio}{filters} ({score:.2%} {told['score']}, the highest of {len(rows)} candidates and "
        "so a flattering figure; `gangda classify` judges the set on test images)"
    )


def decision_of(told: Any, config: AugmentConfig, num_classes: int, where: str) -> Decision:
    """The decision that a finished set records.

    Raises:
        RunError: it is damaged.
    """
    try:
        if told["ratio"] not in config.ratios:
            raise ValueError
        chosen = dataclasses.replace(config.at(told["ratio"]), filter=tuple(told["filter"]))
        errors = _recorded_errors(told["allocation"], num_classes) if config.allocate else None
    except (KeyError, TypeError, ValueError, AttributeError, UsageError):
        raise RunError(
            f"{where}: what was chosen for it is damaged; remove the set, or choose another --out"
        ) from None
    return Decision(chosen, errors, told)


def _recorded_errors(counts: Mapping[str, Any], num_classes: int) -> tuple[Fraction, ...]:
    right, seen = counts["right"], counts["validation_images"]
    if not len(right) == len(seen) == num_classes or not all(
        0 <= c <= n for c, n in zip(right, seen, strict=True)
    ):
        raise ValueError
    return error_rates(right, seen)
