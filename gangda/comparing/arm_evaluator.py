"""The classifiers of one cell: every arm with the same steps and the same seed; ratio and filters by validation."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from gangda.augmenting import selection
from gangda.augmenting.plan import error_rates, make_plan
from gangda.augmenting.selection import REAL_ONLY, Candidate, select, training_set
from gangda.classifying.evaluation import Evaluation
from gangda.classifying.fit import PLAIN, FittedClassifier, evaluate, fit_classifier
from gangda.comparing.added_images import GENERATOR_SHARE, AddedImages, Phase, Progress
from gangda.comparing.arm_sets import adds, choices_of, passes_of, ratios_of
from gangda.comparing.cell_result import ArmResult, Recognised, Trial
from gangda.comparing.plan import digest
from gangda.comparing.policy_choice import PolicyChoice
from gangda.comparing.storage import FITS
from gangda.config.arms import ARMS, Arm, FitRule, parse_arm
from gangda.config.schema import AUTO, AugmentConfig, ClassifierConfig, ComparisonConfig, TransformConfig
from gangda.data.images import REAL, IntArray, LabelledImages, concatenate
from gangda.data.splits import DataSplits
from gangda.errors import DataError
from gangda.runtime.device import DeviceContext
from gangda.runtime.hashed_file import read_hashed_json, write_hashed_json
from gangda.runtime.plain import to_plain
from gangda.runtime.seeding import seed_for
from gangda.sampling.filters import is_circular

TRIVIAL = TransformConfig(policy="trivial")
TEACHERS = 3  # networks whose predictions count where an arm's rule is distilled


@dataclass(frozen=True)
class Choice:
    """An arm, its architecture, and what it adds: what a classifier is trained on, and how."""

    arm: Arm
    arch: str | None
    candidate: Candidate
    asked: AugmentConfig | None  # the plan of its added images; None where there are none


@dataclass(frozen=True, eq=False)
class Fitted:
    """A classifier, what it was trained on, and the seconds that took.

    The images are made again where they are needed: those of all candidates at once are too much.
    """

    classifier: FittedClassifier
    choice: Choice
    seconds: float


class ArmEvaluator:
    """Trains and evaluates the arms of one cell; every arm with the same steps and the same seed.

    Classifiers are kept in the cell's folder, so that a cell which is begun again goes on with the one it was at.
    """

    def __init__(
        self,
        config: ComparisonConfig,
        seed: int,
        splits: DataSplits,
        added: AddedImages,
        context: DeviceContext,
        progress: Progress,
        other_fits: int = 0,
        policy: PolicyChoice | None = None,
    ) -> None:
        self.policy = policy
        self._config, self._seed, self._splits, self._added = config, seed, splits, added
        self._classifier = selection.same_steps(config.classifier, len(splits.train))
        self._context, self._progress = context, progress
        self._fitted: dict[Choice, Fitted] = {}
        self._teachers: list[FittedClassifier] = []
        self._chosen: dict[str, Choice] = {}
        self._done = 0
        # For the progress bar; `other_fits` are those of `again`.
        self._fits = sum(len(self._candidates(arm)) for arm in config.compare.arms) + other_fits

    def run(self, name: str) -> ArmResult:
        """Choose the ratio, and the filters, on validation; then evaluate that one on test, once."""
        arm, arch = parse_arm(name)
        compare, validation = self._config.compare, self._splits.validation
        several = AUTO in compare.filter

        def choice_of(candidate: Candidate) -> Choice:
            return Choice(arm, arch, candidate, self._asked(name, candidate))

        def validated(candidate: Candidate) -> Evaluation | None:
            fitted = self._fit(choice_of(candidate)).classifier
            return evaluate(fitted, validation) if len(validation) else None

        best, trials = select(self._candidates(name), validated, compare.score_by, compare.filter)
        chosen = best.candidate
        choice = self._chosen[name] = choice_of(chosen)
        fitted, images = self._fit(choice), self._images(choice)
        added = images.labels[images.origin != REAL]
        return ArmResult(
            ratio=chosen.ratio if arm.added and not arm.replaces else None,
            filters=chosen.filters if several else (),
            candidates=tuple(
                Trial(one.candidate.ratio, one.candidate.filters if several else (), one.score, one.reason)
                for one in trials
            ),
            n_train=len(images),
            n_generated=len(added),
            added_per_class=tuple(np.bincount(added, minlength=images.num_classes).tolist()),
            steps=fitted.classifier.steps,
            classifier=fitted.classifier.fingerprint,
            seconds=fitted.seconds,
            validation_accuracy=None if best.evaluation is None else best.evaluation.accuracy,
            test=self.on_test(fitted),
        )

    def again(
        self, name: str, classifier: str | None = None, steps: int | None = None, *, reverse: bool = False
    ) -> Fitted:
        """An arm once more on its chosen images, as `Evaluator` has it; an OutcomeError if it diverges."""
        usual = self._classifier
        config = dataclasses.replace(
            usual, classifier=classifier or usual.classifier, classifier_steps=steps or usual.classifier_steps
        )
        choice = self._chosen[name]
        return self._fit(choice) if config == usual and not reverse else self._train(choice, config, reverse)

    def ratio_of(self, name: str) -> float | None:
        """The ratio that an arm which was run has chosen."""
        return self._chosen[name].candidate.ratio

    def on_test(self, fitted: Fitted) -> Evaluation:
        """A classifier on the test images, and on its own training images."""
        return evaluate(fitted.classifier, self._splits.test, self._images(fitted.choice))

    def on_validation(self, fitted: Fitted) -> Evaluation:
        """A classifier on the validation images, of which there are some."""
        return evaluate(fitted.classifier, self._splits.validation)

    def validation_labels(self) -> IntArray:
        """Their labels, int64 (N,)."""
        return self._splits.validation.labels

    def recognised(self) -> Recognised | None:
        """What the real-only classifier recognises; None without generated images, or without such a classifier."""
        real_only = self._fitted.get(_without_added(ARMS["real"]))
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
        arm, arch = parse_arm(name)
        if not arm.added:
            return [REAL_ONLY]
        ratios = ratios_of(self._config.compare, name)
        real = self._splits.train
        filters = choices_of(self._config, arm, arch, real.num_classes, int(real.counts().min()))
        if arm.replaces:  # of all images, whatever the ratio
            return [Candidate(ratios[0], chosen) for chosen in filters]
        return selection.grid(
            ratios, filters, lambda ratio: adds(arm, self._asked(name, Candidate(ratio)), real)
        )

    def _asked(self, name: str, candidate: Candidate) -> AugmentConfig | None:
        arm, ratio = parse_arm(name)[0], candidate.ratio
        if not arm.added or ratio is None:
            return None
        return AugmentConfig(replace=1.0) if arm.replaces else self._config.compare.of_arm(name).at(ratio)

    def _adds(self, choice: Choice) -> bool:
        return adds(choice.arm, choice.asked, self._splits.train)

    def _fit(self, choice: Choice) -> Fitted:
        """Arms that train in the same way share a classifier where nothing is added."""
        key = choice if self._adds(choice) else _without_added(choice.arm)
        if key not in self._fitted:
            self._fitted[key] = self._train(choice, self._classifier)
        return self._fitted[key]

    def _train(self, choice: Choice, config: ClassifierConfig, reverse: bool = False) -> Fitted:
        images = self._images(choice)
        rule = self._rule(choice, images)
        teachers = self._trained_teachers() if rule.distilled else ()
        transforms = {"traditional": self._config.transforms, "trivial": TRIVIAL}.get(rule.transforms)
        how = {
            "seed": self._seed,
            "transforms": transforms,
            "rule": rule,
            "teachers": teachers,
            "reverse": reverse,
        }
        # The seconds are of the classifier alone: images and teachers are shared by arms.
        classifier, seconds = self._classifier_of(images, config, **how)
        self._done += 1
        return Fitted(classifier, choice, seconds)

    def _classifier_of(
        self, images: LabelledImages, config: ClassifierConfig, **how: Any
    ) -> tuple[FittedClassifier, float]:
        """A classifier and the seconds of its training, as `kept_or_fitted`."""
        teachers = [teacher.fingerprint for teacher in how.get("teachers", ())]
        asked = [images.content_hash(), images.weight, images.made, config, {**how, "teachers": teachers}]
        share = (1 - GENERATOR_SHARE) / self._fits
        phase = Phase(self._progress, GENERATOR_SHARE + share * self._done, share, "classifier")

        def fit() -> FittedClassifier:
            return fit_classifier(images, config, context=self._context, reporter=phase, **how)

        return kept_or_fitted(self._added.work, asked, self._context, fit)

    def _rule(self, choice: Choice, images: LabelledImages) -> FitRule:
        """The arm's rule; what sets made images against real ones only counts where there are both."""
        compare, arm, rule = self._config.compare, choice.arm, choice.arm.rule
        passes = passes_of(self._config, arm, choice.arch)
        made = images.made
        if not made.any():
            return dataclasses.replace(rule, pretrained=False)
        if made.all():
            return dataclasses.replace(rule, synthetic_passes=1 if arm.replaces else passes)
        return dataclasses.replace(
            rule,
            added_weight=compare.generated_weight,
            annealed=compare.anneal_synthetic_weight,
            synthetic_passes=passes,
            recalibrated=compare.recalibrate,
        )

    def _trained_teachers(self) -> list[FittedClassifier]:
        """Teachers: trained on the real subset with the traditional transforms, each from a seed of its own."""
        if not self._teachers:
            real, usual, transforms = self._splits.train, self._classifier, self._config.transforms
            seeds = [seed_for(self._seed, "teacher", number) for number in range(TEACHERS)]
            self._teachers = [
                self._classifier_of(real, usual, seed=seed, transforms=transforms, rule=PLAIN)[0]
                for seed in seeds
            ]
        return self._teachers

    def _images(self, choice: Choice) -> LabelledImages:
        images = self._real_and_added(choice)
        return concatenate(images, self._added.self_trained.certain) if choice.arm.pseudo_labelled else images

    def _real_and_added(self, choice: Choice) -> LabelledImages:
        real, arm, arch, filters = self._splits.train, choice.arm, choice.arch, choice.candidate.filters
        if choice.asked is None or not self._adds(choice):
            return real
        plan = make_plan(real, choice.asked, self._errors(arm) if arm.by_recall else None)
        if not arm.replaces:
            make = passes_of(self._config, arm, arch) * plan.make
            plan = dataclasses.replace(plan, make=make, want=plan.keep + make)
        if arm.by_recall:
            added = self._added.exactly(arch, filters, plan.make)
        else:
            added = self._added.of(arm.source, arch, filters)
        return training_set(real, added, plan, self._seed)

    def _errors(self, arm: Arm) -> tuple[Fraction, ...]:
        real_only = evaluate(self._fit(_without_added(arm)).classifier, self._splits.validation)
        return error_rates(*selection.recognised(real_only))


def kept_or_fitted(
    work: Path, asked: Sequence[Any], context: DeviceContext, fit: Callable[[], FittedClassifier]
) -> tuple[FittedClassifier, float]:
    """A classifier and the seconds of its training; of the same `asked`, the one kept in the cell's folder `work`."""
    place = work / FITS / digest(to_plain(asked))
    weights, about = place.with_suffix(".safetensors"), place.with_suffix(".json")
    # A network of the user's own, or with LDAM's output layer, cannot be read: it is trained again.
    with contextlib.suppress(DataError):
        return FittedClassifier.load(weights, context), float(read_hashed_json(about)["seconds"])
    began = time.monotonic()
    fitted = fit()
    seconds = time.monotonic() - began
    fitted.save(weights)
    write_hashed_json(about, {"seconds": seconds})
    return fitted, seconds


def _without_added(arm: Arm) -> Choice:
    return Choice(Arm("", rule=arm.rule, pseudo_labelled=arm.pseudo_labelled), None, REAL_ONLY, None)
