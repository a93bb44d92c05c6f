"""The classifiers of one cell: every arm with the same steps and the same seed; ratio and filters by validation."""

import dataclasses
import time
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from gangda.augmenting.plan import error_rates
from gangda.augmenting.selection import (
    REAL_ONLY,
    Candidate,
    Filters,
    grid,
    recognised,
    same_steps,
    score_of,
    select,
    training_set,
)
from gangda.classifying.evaluation import Evaluation
from gangda.classifying.fit import FittedClassifier, evaluate, fit_classifier
from gangda.comparing.added_images import AddedImages
from gangda.comparing.arm_sets import adds_at, choices_of, plan_of, ratios_of
from gangda.comparing.cell_result import ArmResult, Recognised, Trial
from gangda.comparing.progress import GENERATOR_SHARE, Phase, Progress
from gangda.config.arms import ARMS, Arm, FitRule, parse_arm
from gangda.config.schema import AUTO, AugmentConfig, ClassifierConfig, ComparisonConfig
from gangda.data.images import REAL, LabelledImages
from gangda.data.splits import DataSplits
from gangda.runtime.device import DeviceContext
from gangda.runtime.progress import Reporter
from gangda.runtime.seeding import seed_for
from gangda.sampling.filters import is_circular

TEACHERS = 3  # networks whose predictions count where an arm's rule is distilled


@dataclass(frozen=True, eq=False)
class Fitted:
    """A classifier, the arm and candidate whose images it was trained on, and how long that took.

    The images themselves are made again where they are needed: those of all candidates at once are too much.
    """

    classifier: FittedClassifier
    arm: Arm
    arch: str | None
    candidate: Candidate
    seconds: float


class ArmEvaluator:
    """Trains and evaluates the arms of one cell; every arm with the same steps and the same seed."""

    def __init__(
        self,
        config: ComparisonConfig,
        seed: int,
        splits: DataSplits,
        added: AddedImages,
        context: DeviceContext,
        progress: Progress,
        other_fits: int = 0,
    ) -> None:
        self._config, self._seed, self._splits, self._added = config, seed, splits, added
        self._classifier = same_steps(config.classifier, len(splits.train))
        self._context, self._progress = context, progress
        self._fitted: dict[tuple[Any, ...], Fitted] = {}
        self._teachers: list[FittedClassifier] = []
        self._chosen: dict[str, Candidate] = {}
        self._done = 0
        # For the progress bar; `other_fits` are those of `again`.
        self._fits = sum(len(self._candidates(arm)) for arm in config.compare.arms) + other_fits

    def run(self, name: str) -> ArmResult:
        """Choose the ratio, and the filters, on validation; then evaluate that one on test, once."""
        arm, arch = parse_arm(name)
        candidates = self._candidates(name)
        compare = self._config.compare
        validation = self._splits.validation

        def validated(candidate: Candidate) -> Evaluation | None:
            fitted = self._fit(arm, arch, candidate).classifier
            return evaluate(fitted, validation) if len(validation) else None

        best, trials = select(candidates, validated, compare.score_by, compare.filter)
        chosen = self._chosen[name] = best.candidate
        fitted = self._fit(arm, arch, chosen)
        images = self._images(arm, arch, chosen)
        return ArmResult(
            ratio=chosen.ratio if arm.added and not arm.replaces else None,
            filters=self._chosen_filters(chosen),
            candidates=tuple(
                Trial(one.candidate.ratio, self._chosen_filters(one.candidate), one.score, one.reason)
                for one in trials
            ),
            n_train=len(images),
            n_generated=int((images.origin != REAL).sum()),
            added_per_class=tuple(
                np.bincount(images.labels[images.origin != REAL], minlength=images.num_classes).tolist()
            ),
            steps=fitted.classifier.steps,
            classifier=fitted.classifier.fingerprint,
            seconds=fitted.seconds,
            validation_accuracy=None if best.evaluation is None else best.evaluation.accuracy,
            test=self.on_test(fitted),
        )

    def again(self, name: str, classifier: str | None = None, steps: int | None = None) -> Fitted:
        """An arm that was run once more, on the images that it chose: with another classifier, or other steps.

        Raises:
            OutcomeError: the loss is NaN or infinite.
        """
        usual = self._classifier
        config = dataclasses.replace(
            usual, classifier=classifier or usual.classifier, classifier_steps=steps or usual.classifier_steps
        )
        arm, arch = parse_arm(name)
        if config == usual:
            return self._fit(arm, arch, self._chosen[name])
        return self._train(arm, arch, self._chosen[name], config)

    def ratio_of(self, name: str) -> float | None:
        """The ratio that an arm which was run has chosen."""
        return self._chosen[name].ratio

    def on_test(self, fitted: Fitted) -> Evaluation:
        """A classifier on the test images, and on its own training images."""
        images = self._images(fitted.arm, fitted.arch, fitted.candidate)
        return evaluate(fitted.classifier, self._splits.test, images)

    def on_validation(self, fitted: Fitted) -> float:
        """The score that arms are compared by, on the validation images, of which there are some."""
        evaluation = evaluate(fitted.classifier, self._splits.validation)
        return score_of(evaluation, self._config.compare.score_by)

    def recognised(self) -> Recognised | None:
        """What the real-only classifier recognises; None without generated images, or without such a classifier."""
        real_only = self._fitted.get((ARMS["real"].rule,))
        generated = self._added.already_made("generator")
        if generated is None or real_only is None:
            return None
        fitted = real_only.classifier
        return Recognised(
            generated=evaluate(fitted, generated).accuracy,
            real=evaluate(fitted, self._splits.test).accuracy,
            circular=is_circular(self._added.records[self._config.arch].samples.labels),
        )

    def _candidates(self, name: str) -> list[Candidate]:
        """The candidates of an arm: one, where it does not choose."""
        arm, arch = parse_arm(name)
        if not arm.added:
            return [REAL_ONLY]
        ratios = ratios_of(self._config.compare, name)
        real = self._splits.train
        filters = choices_of(self._config, arm, arch, real.num_classes, int(real.counts().min()))
        if arm.replaces:  # of all images, whatever the ratio
            return [Candidate(ratios[0], chosen) for chosen in filters]
        return grid(ratios, filters, lambda ratio: adds_at(self._config.compare, arm, ratio, real))

    def _chosen_filters(self, candidate: Candidate) -> Filters:
        """The candidate's filters where there was a choice of them."""
        return candidate.filters if AUTO in self._config.compare.filter else ()

    def _fit(self, arm: Arm, arch: str | None, candidate: Candidate) -> Fitted:
        """Arms that train on the same in the same way share a classifier: where nothing is added, with real ones."""
        key: tuple[Any, ...] = (arm.rule,)
        if self._adds(arm, candidate):
            key = (
                arm.rule,
                candidate.ratio,
                arm.source,
                arm.replaces,
                arch,
                candidate.filters,
                arm.by_recall,
            )
        if key not in self._fitted:
            self._fitted[key] = self._train(arm, arch, candidate, self._classifier)
        return self._fitted[key]

    def _train(self, arm: Arm, arch: str | None, candidate: Candidate, config: ClassifierConfig) -> Fitted:
        images = self._images(arm, arch, candidate)
        rule = self._rule(arm, images)
        teachers = self._trained_teachers() if rule.distilled else ()
        began = time.monotonic()  # of the classifier alone: images and teachers are shared by arms
        classifier = fit_classifier(
            images,
            config,
            seed=self._seed,
            context=self._context,
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

    def _trained_teachers(self) -> list[FittedClassifier]:
        """Teachers: trained on the real subset with the traditional transforms, each from a seed of its own."""
        if not self._teachers:
            self._teachers = [
                fit_classifier(
                    self._splits.train,
                    self._classifier,
                    seed=seed_for(self._seed, "teacher", number),
                    context=self._context,
                    transforms=self._config.transforms,
                    reporter=self._phase(),
                )
                for number in range(TEACHERS)
            ]
        return self._teachers

    def _images(self, arm: Arm, arch: str | None, candidate: Candidate) -> LabelledImages:
        real, filters = self._splits.train, candidate.filters
        if arm.replaces:
            images = self._added.of(arm.source, arch, filters)
            return training_set(real, images, plan_of(AugmentConfig(replace=1.0), real), self._seed)
        if candidate.ratio is None or not self._adds(arm, candidate):
            return real
        compare = self._config.compare
        errors = self._errors(arm) if arm.by_recall else None
        plan = plan_of(compare.at(candidate.ratio), real, errors)
        if compare.synthetic_passes > 1:
            plan = dataclasses.replace(
                plan,
                make=compare.synthetic_passes * plan.make,
                want=plan.keep + compare.synthetic_passes * plan.make,
            )
        if arm.by_recall:
            return training_set(real, self._added.exactly(arch, filters, plan.make), plan, self._seed)
        return training_set(real, self._added.of(arm.source, arch, filters), plan, self._seed)

    def _errors(self, arm: Arm) -> tuple[Fraction, ...]:
        """Error rates of the classes on validation images, under the arm's rule without added images."""
        without = dataclasses.replace(arm, added="", altered="", by_recall=False)
        real_only = evaluate(self._fit(without, None, REAL_ONLY).classifier, self._splits.validation)
        return error_rates(*recognised(real_only))

    def _phase(self) -> Reporter:
        share = (1 - GENERATOR_SHARE) / self._fits
        return Phase(self._progress, GENERATOR_SHARE + share * self._done, share, "classifier")
