"""The traditional transforms of a cell, chosen among named policies by cross-validation on its real images."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from gangda.augmenting.selection import score_of
from gangda.classifying.evaluation import evaluate_predictions
from gangda.classifying.fit import FittedClassifier
from gangda.config.policies import EXPLICIT, FINALISTS, FOLDS, MIXUP, POLICIES, SEARCH_STEPS
from gangda.config.schema import ClassifierConfig, TransformConfig
from gangda.data.images import IntArray, LabelledImages
from gangda.errors import OutcomeError, UsageError
from gangda.runtime.seeding import numpy_stream

Fit = Callable[[LabelledImages, TransformConfig], FittedClassifier]


@dataclass(frozen=True)
class PolicyTrial:
    """A policy, with mixup or without, on images that its classifiers were not trained on."""

    policy: str
    mixup: float
    images: int  # that it was scored on: of one fold, or of all
    score: float | None  # in [0, 1]; None, with a reason, where training failed
    reason: str = ""


@dataclass(frozen=True)
class PolicyChoice:
    """The policy of a cell's arms that have the traditional transforms, and what else was tried."""

    policy: str
    mixup: float
    trials: tuple[PolicyTrial, ...]


def policy_candidates(transforms: TransformConfig) -> list[TransformConfig]:
    """The ranges as given and every named policy, each without mixup and with it.

    Of equal scores the first wins: where few images cannot tell them apart, the transforms stay as they are.
    """
    alphas = (0.0, transforms.mixup or MIXUP)
    return [transforms.under(name, mixup) for name in (EXPLICIT, *POLICIES) for mixup in alphas]


def policy_fits() -> int:
    """Classifiers that a choice trains: all candidates on the first fold, the best quarter of them on the others."""
    candidates = len(policy_candidates(TransformConfig()))
    return candidates + (FOLDS - 1) * math.ceil(candidates / FINALISTS)


def search_config(config: ClassifierConfig) -> ClassifierConfig:
    """A classifier of the search: half of the steps of an arm's, each with a whole cycle of the learning rate.

    With a quarter, strong policies fall behind that do not with all steps (tests/benchmarks/RESULTS.md, Choosing the
    transforms).
    """
    return replace(config, classifier_steps=max(1, config.classifier_steps // SEARCH_STEPS))


def policy_cost() -> float:
    """What a choice costs, in classifiers of the comparison."""
    return policy_fits() / SEARCH_STEPS


def can_choose(counts: IntArray) -> bool:
    """Whether a class, of `counts` (K,) images, has two or more: one to train on, one to score."""
    return bool((counts > 1).any())


def check_policy_images(images: LabelledImages) -> None:
    """Raise a UsageError where no class has two images."""
    if not can_choose(images.counts()):
        few = "no class has two real images, and cross-validation takes two"
        raise UsageError(f"--policy auto: {few}; give more --per-class, or name a policy")


def folds_of(images: LabelledImages, seed: int) -> IntArray:
    """The fold of each image, int64 (N,): every class is dealt out in an order drawn by seed.

    -1 for a class of a single image, which is always trained on and never scored.
    """
    fold = np.full(len(images), -1, dtype=np.int64)
    for number, label in enumerate(np.flatnonzero(images.counts() > 1).tolist()):
        rows = np.flatnonzero(images.labels == label)
        fold[numpy_stream(seed, "policy", label).permutation(rows)] = (number + np.arange(len(rows))) % FOLDS
    return fold


def choose_policy(
    images: LabelledImages, transforms: TransformConfig, fit: Fit, score_by: str, seed: int
) -> PolicyChoice:
    """The candidate with the highest score, pooled over the folds, on real images alone.

    One round of successive halving: the best quarter on the first fold goes on to the others. Source: Jamieson and
    Talwalkar 2016. `fit` trains a classifier with given transforms; `images` are the subset's, for training and
    validation together.

    Raises UsageError: no class of two images; OutcomeError: training failed with every candidate.
    """
    check_policy_images(images)
    fold, candidates = folds_of(images, seed), policy_candidates(transforms)
    predicted = {one: np.full(len(images), -1, dtype=np.int64) for one in candidates}
    failed: dict[TransformConfig, str] = {}

    def try_on(one: TransformConfig, part: int) -> None:
        try:
            fitted = fit(images.take(np.flatnonzero(fold != part)), one)
        except OutcomeError as error:
            failed[one] = str(error)
            return
        predicted[one][fold == part] = fitted.predict(images.pixels[fold == part])

    def score(one: TransformConfig) -> float:
        known = predicted[one] >= 0
        if one in failed or not known.any():
            return -1.0
        labels = images.labels[known]
        return score_of(evaluate_predictions(labels, predicted[one][known], images.num_classes), score_by)

    for one in candidates:
        try_on(one, 0)
    best = sorted(candidates, key=score, reverse=True)[: math.ceil(len(candidates) / FINALISTS)]  # stable
    kept = [one for one in candidates if one in best and one not in failed]
    for one in kept:
        for part in sorted({*range(1, FOLDS)}.intersection(fold.tolist())):
            try_on(one, part)
    if all(one in failed for one in kept):
        raise OutcomeError(f"--policy auto: training failed with every policy: {next(iter(failed.values()))}")
    chosen = max(kept, key=score)
    trials = tuple(
        PolicyTrial(
            one.policy,
            one.mixup,
            int((predicted[one] >= 0).sum()),
            None if one in failed else score(one),
            failed.get(one, ""),
        )
        for one in candidates
    )
    return PolicyChoice(chosen.policy, chosen.mixup, trials)
