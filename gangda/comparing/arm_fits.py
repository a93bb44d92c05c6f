"""The classifiers of one cell: every arm with the same steps and the same seed; ratio and filter by validation."""

import dataclasses
import time
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from gangda.augmenting.candidates import (
    REAL_ONLY,
    Candidate,
    best,
    grid,
    recognised,
    same_steps,
    score_of,
    training_set,
)
from gangda.augmenting.plan import error_rates
from gangda.classifying.evaluation import Evaluation
from gangda.classifying.fit import FittedClassifier, evaluate, fit_classifier
from gangda.comparing.added_images import AddedImages
from gangda.comparing.arm_sets import adds_at, choices_of, plan_of, ratios_of
from gangda.comparing.progress import GENERATOR_SHARE, Phase, Tell
from gangda.config.arms import ARMS, Arm, FitRule, find
from gangda.config.schema import AUTO, ClassifierConfig, ComparisonConfig
from gangda.data.images import REAL, LabelledImages
from gangda.data.splits import DataSplits
from gangda.errors import FilterError
from gangda.runtime.device import DeviceContext
from gangda.runtime.progress import Reporter
from gangda.runtime.seeding import seed_for
from gangda.sampling.filters import is_circular

TEACHERS = 3  # networks whose opinion counts where an arm's rule asks for it


@dataclass(frozen=True, eq=False)
class Fitted:
    """A classifier, the arm and candidate whose images it was trained on, and how long that took.

    The images themselves are made again where they are asked for: those of all candidates at once are too much.
    """

    classifier: FittedClassifier
    arm: Arm
    arch: str | None
    candidate: Candidate
    seconds: float


class Fits:
    """Fits and judges the arms of one cell; every arm with the same steps and the same seed."""

    def __init__(
        self,
        config: ComparisonConfig,
        seed: int,
        splits: DataSplits,
        pools: AddedImages,
        context: DeviceContext,
        tell: Tell,
    ) -> None:
        self._config, self._seed, self._splits, self._pools = config, seed, splits, pools
        self._classifier = same_steps(config.classifier, len(splits.train))
        self._machine, self._tell = context, tell
        self._fitted: dict[tuple[Any, ...], Fitted] = {}
        self._teachers: list[FittedClassifier] = []
        self._done = 0
        self._fits = sum(len(self._candidates(arm)) for arm in config.compare.arms)
        self._fits += 2 if config.compare.second_classifier else 0
        self._fits += len(config.compare.arms) * len(config.compare.tune_steps)
        self._chosen: dict[str, Candidate] = {}

    def run(self, name: str) -> dict[str, Any]:
        """Choose the ratio, and the filter, on validation; then judge that one on test, once."""
        arm, arch = find(name)
        candidates = self._candidates(name)
        tried = [self._tried(arm, arch, candidate) for candidate in candidates]
        by = self._config.compare.score_by
        scores = [None if judged is None else score_of(judged, by) for judged, _ in tried]
        place = best(scores)
        self._chosen[name], chosen = candidates[place], tried[place][0]
        fitted = self._fit(arm, arch, candidates[place])
        images = self._images(arm, arch, candidates[place])
        return {
            "ratio": candidates[place].ratio if arm.added and not arm.replaces else None,
            **self._filter_of(candidates[place]),
            "candidates": [
                {"ratio": one.ratio, "validation": score, **self._filter_of(one), **reason}
                for one, score, (_, reason) in zip(candidates, scores, tried, strict=True)
            ],
            "n_train": len(images),
            "n_generated": int((images.origin != REAL).sum()),
            "added_per_class": added_per_class(images),
            "steps": fitted.classifier.steps,
            "classifier": fitted.classifier.fingerprint,
            "seconds": fitted.seconds,
            "validation_accuracy": None if chosen is None else chosen.accuracy,
            "test": self.on_test(fitted),
        }

    def again(self, name: str, classifier: str | None = None, steps: int | None = None) -> Fitted:
        """An arm that was run once more, on the images that it chose: with another classifier, or other steps.

        Raises:
            OutcomeError: a loss that is no number any more.
        """
        usual = self._classifier
        config = dataclasses.replace(
            usual, classifier=classifier or usual.classifier, classifier_steps=steps or usual.classifier_steps
        )
        arm, arch = find(name)
        if config == usual:
            return self._fit(arm, arch, self._chosen[name])
        return self._trained(arm, arch, self._chosen[name], config)

    def ratio_of(self, name: str) -> float | None:
        """The ratio that an arm which was run has chosen."""
        return self._chosen[name].ratio

    def on_test(self, fitted: Fitted) -> dict[str, Any]:
        """What the test images say of a classifier, as plain values."""
        images = self._images(fitted.arm, fitted.arch, fitted.candidate)
        return plain_of(evaluate(fitted.classifier, self._splits.test, images))

    def on_validation(self, fitted: Fitted) -> float:
        """What the validation images, of which there are some, say of it by the figure that is compared."""
        judged = evaluate(fitted.classifier, self._splits.validation)
        return score_of(judged, self._config.compare.score_by)

    def recognised(self) -> dict[str, Any] | None:
        """Accuracy of the real-only classifier on generated images (GAN-test) and on real test images.

        `circular`: whether another classifier sorted or filtered the generated ones before.
        """
        real_only = self._fitted.get((ARMS["real"].rule,))
        pool = self._pools.drawn
        if pool is None or real_only is None:
            return None
        fitted = real_only.classifier
        return {
            "generated": evaluate(fitted, pool).accuracy,
            "real": evaluate(fitted, self._splits.test).accuracy,
            "circular": is_circular(self._pools.made[self._config.arch]["labels"]),
        }

    def _candidates(self, name: str) -> list[Candidate]:
        """The candidates of an arm: one, where it does not choose."""
        arm, arch = find(name)
        if not arm.added:
            return [REAL_ONLY]
        ratios = ratios_of(self._config.compare, name)
        real = self._splits.train
        filters = choices_of(self._config, arm, arch, real.num_classes, int(real.counts().min()))
        if arm.replaces:  # of all images, whatever the ratio
            return [Candidate(ratios[0], chosen) for chosen in filters]
        return grid(ratios, filters, lambda ratio: adds_at(self._config.compare, arm, ratio, real))

    def _tried(
        self, arm: Arm, arch: str | None, candidate: Candidate
    ) -> tuple[Evaluation | None, dict[str, str]]:
        """What the validation images say of a candidate; of one whose filter lets too little pass, the reason.

        Raises:
            FilterError: it was not `--filter auto` that brought the filter in.
        """
        try:
            return self._validation(self._fit(arm, arch, candidate).classifier), {}
        except FilterError as error:
            if not (self._chooses and candidate.filters):
                raise
            return None, {"reason": str(error)}

    @property
    def _chooses(self) -> bool:
        return AUTO in self._config.compare.filter

    def _filter_of(self, candidate: Candidate) -> dict[str, list[str]]:
        """A cell says which filter it was where there was a choice."""
        return {"filter": list(candidate.filters)} if self._chooses else {}

    def _fit(self, arm: Arm, arch: str | None, candidate: Candidate) -> Fitted:
        """Arms that train on the same in the same way share a classifier: where nothing is added, with real ones."""
        key: tuple[Any, ...] = (arm.rule,)
        if self._adds(arm, candidate):
            key = (arm.rule, candidate.ratio, arm.added, arch, candidate.filters, arm.by_recall)
        if key not in self._fitted:
            self._fitted[key] = self._trained(arm, arch, candidate, self._classifier)
        return self._fitted[key]

    def _trained(self, arm: Arm, arch: str | None, candidate: Candidate, config: ClassifierConfig) -> Fitted:
        images = self._images(arm, arch, candidate)
        rule = self._rule(arm, images)
        teachers = self._asked() if rule.taught else ()
        began = time.monotonic()  # of the classifier alone: images and teachers are shared by arms
        classifier = fit_classifier(
            images,
            config,
            seed=self._seed,
            context=self._machine,
            transforms=self._config.transforms if rule.transforms == "traditional" else None,
            rule=rule,
            teachers=teachers,
            reporter=self._phase(),
        )
        self._done += 1
        return Fitted(classifier, arm, arch, candidate, time.monotonic() - began)

    def _adds(self, arm: Arm, candidate: Candidate) -> bool:
        return adds_at(self._config.compare, arm, candidate.ratio, self._splits.train)

    def _rule(self, arm: Arm, images: LabelledImages) -> FitRule:
        """The arm's rule; what sets added images against real ones only counts where there are both.

        Without real ones there is nothing to weigh against, to fade to, or to take statistics from; and an arm that
        replaces them all has as many added images as there were, whatever `--synthetic-passes` says.
        """
        compare, rule = self._config.compare, arm.rule
        added = images.origin != REAL
        if not added.any():
            return dataclasses.replace(rule, pretrained=False)
        if added.all():
            return dataclasses.replace(rule, synthetic_passes=1 if arm.replaces else compare.synthetic_passes)
        return dataclasses.replace(
            rule,
            added_weight=compare.generated_weight,
            annealed=compare.anneal_synthetic_weight,
            synthetic_passes=compare.synthetic_passes,
            recalibrated=compare.recalibrate,
        )

    def _asked(self) -> list[FittedClassifier]:
        """Teachers: trained on the real subset with the traditional transforms, each from a seed of its own."""
        if not self._teachers:
            self._teachers = [
                fit_classifier(
                    self._splits.train,
                    self._classifier,
                    seed=seed_for(self._seed, "teacher", number),
                    context=self._machine,
                    transforms=self._config.transforms,
                    reporter=self._phase(),
                )
                for number in range(TEACHERS)
            ]
        return self._teachers

    def _images(self, arm: Arm, arch: str | None, candidate: Candidate) -> LabelledImages:
        real, filters = self._splits.train, candidate.filters
        if arm.replaces:
            pool = self._pools.of(arm.added, arch, filters)
            return training_set(real, pool, plan_of("replace", 1.0, real), self._seed)
        if candidate.ratio is None or not self._adds(arm, candidate):
            return real
        compare = self._config.compare
        errors = self._errors(arm) if arm.by_recall else None
        plan = plan_of(compare.mode, candidate.ratio, real, compare.ratio_for, errors)
        if compare.synthetic_passes > 1:
            plan = dataclasses.replace(
                plan,
                make=compare.synthetic_passes * plan.make,
                want=plan.keep + compare.synthetic_passes * plan.make,
            )
        if arm.by_recall:
            return training_set(real, self._pools.exactly(arch, filters, plan.make), plan, self._seed)
        return training_set(real, self._pools.of(arm.added, arch, filters), plan, self._seed)

    def _errors(self, arm: Arm) -> tuple[Fraction, ...]:
        """Error rates of the classes on validation images, under the arm's rule without added images."""
        without = dataclasses.replace(arm, added="", by_recall=False)
        real_only = evaluate(self._fit(without, None, REAL_ONLY).classifier, self._splits.validation)
        return error_rates(*recognised(real_only))

    def _phase(self) -> Reporter:
        share = (1 - GENERATOR_SHARE) / self._fits
        return Phase(self._tell, GENERATOR_SHARE + share * self._done, share, "classifier")

    def _validation(self, classifier: FittedClassifier) -> Evaluation | None:
        return evaluate(classifier, self._splits.validation) if len(self._splits.validation) else None


def added_per_class(images: LabelledImages) -> list[int]:
    """Images of each class that are not the real subset's own."""
    added = images.labels[images.origin != REAL]
    return [int(count) for count in np.bincount(added, minlength=images.num_classes)]


def plain_of(evaluation: Evaluation) -> dict[str, Any]:
    """Plain values; per-image correctness packed eight to a byte, as hex, first image in the highest bit."""
    return {**evaluation.as_dict(), "correct": np.packbits(evaluation.correct).tobytes().hex()}


def unpack_correct(text: str, count: int) -> npt.NDArray[np.bool_]:
    """bool (count,) from what `correct` holds."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), dtype=np.uint8), count=count).astype(bool)
