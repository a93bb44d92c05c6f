"""The classifiers of one cell: every arm with the same steps and the same seed; ratios chosen on validation."""

import dataclasses
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gangda.arms import ARMS, Arm, FitRule, find, ratio_of
from gangda.classifiers.evaluation import Evaluation
from gangda.configs import ClassifierConfig, ExperimentConfig
from gangda.data.images import REAL, LabelledImages
from gangda.data.splits import DataSplits
from gangda.engines.comparing.arms import plan_of, training_set
from gangda.engines.comparing.pools import Pools
from gangda.engines.comparing.scores import FIGURES
from gangda.engines.comparing.telling import GENERATOR_SHARE, Phase, Tell
from gangda.moves.fit import FittedClassifier, evaluate, fit_classifier, step_count
from gangda.runtime.device import Machine
from gangda.runtime.progress import Reporter
from gangda.runtime.seeding import seed_for
from gangda.statistics.families import family_of

TEACHERS = 3  # networks whose opinion counts where an arm's rule asks for it


@dataclass(frozen=True, eq=False)
class Fitted:
    """A classifier, what it was trained on (as it was before any transform), and how long that took."""

    classifier: FittedClassifier
    images: LabelledImages
    seconds: float


class Fits:
    """Fits and judges the arms of one cell; every arm with the same steps and the same seed."""

    def __init__(
        self,
        config: ExperimentConfig,
        seed: int,
        splits: DataSplits,
        pools: Pools,
        machine: Machine,
        tell: Tell,
    ) -> None:
        self._config, self._seed, self._splits, self._pools = config, seed, splits, pools
        self._classifier = same_steps(config.classifier, len(splits.train))
        self._machine, self._tell = machine, tell
        self._fitted: dict[tuple[Any, ...], Fitted] = {}
        self._teachers: list[FittedClassifier] = []
        self._fits = sum(len(self._ratios(arm)) for arm in config.compare.arms)
        self._fits += 2 if config.compare.second_classifier else 0
        self._chosen: dict[str, float] = {}

    def run(self, name: str) -> dict[str, Any]:
        """Choose the ratio on validation, then judge that one on test, once."""
        arm, arch = find(name)
        candidates = [
            (ratio, self._validation(self._fit(arm, arch, ratio).classifier)) for ratio in self._ratios(name)
        ]
        scores = [None if one is None else self._score(one) for _, one in candidates]
        ratio, chosen = candidates[
            int(np.argmax([score or 0.0 for score in scores]))
        ]  # of equals the smallest ratio
        fitted = self._fit(arm, arch, ratio)
        self._chosen[name] = ratio
        return {
            "ratio": ratio if arm.added else None,
            "candidates": [
                {"ratio": r, "validation": score} for (r, _), score in zip(candidates, scores, strict=True)
            ],
            "n_train": len(fitted.images),
            "n_generated": int((fitted.images.origin != REAL).sum()),
            "added_per_class": added_per_class(fitted.images),
            "steps": fitted.classifier.steps,
            "classifier": fitted.classifier.fingerprint,
            "seconds": fitted.seconds,
            "validation_accuracy": None if chosen is None else chosen.accuracy,
            "test": plain_of(evaluate(fitted.classifier, self._splits.test, fitted.images)),
        }

    def second(self) -> dict[str, Any] | None:
        """The first primary difference's arms with the second classifier, on the same images; None without one.

        Their ratios are those that the first classifier's validation score chose.
        """
        compare = self._config.compare
        name = compare.second_classifier
        if name is None:
            return None
        contrast, terms = next(iter(family_of(compare.arms, compare.contrast).primary.items()))
        other = dataclasses.replace(self._classifier, classifier=name)
        arms = {}
        for word, _ in terms:
            arm, arch = find(word)
            fitted = self._fit(arm, arch, self._chosen[word], other)
            test = evaluate(fitted.classifier, self._splits.test, fitted.images)
            arms[word] = {"ratio": self._chosen[word], "seconds": fitted.seconds, "test": plain_of(test)}
        return {"classifier": name, "contrast": contrast, "arms": arms}

    def recognised(self) -> dict[str, float] | None:
        """Accuracy of the real-only classifier on generated images (GAN-test) and on real test images."""
        real_only = self._fitted.get((*_key(ARMS["real"], None, 0.0), self._classifier.classifier))
        pool = self._pools.drawn
        if pool is None or real_only is None:
            return None
        fitted = real_only.classifier
        return {
            "generated": evaluate(fitted, pool).accuracy,
            "real": evaluate(fitted, self._splits.test).accuracy,
        }

    def _ratios(self, name: str) -> tuple[float, ...]:
        """The candidates of an arm: one, where it does not choose."""
        arm, own = find(name)[0], ratio_of(name)
        ratios = tuple(sorted(self._config.compare.ratios))
        if not arm.added:
            return (0.0,)
        if own is not None:
            return (own,)
        return ratios[-1:] if arm.expected or arm.replaces else ratios

    def _fit(
        self, arm: Arm, arch: str | None, ratio: float, config: ClassifierConfig | None = None
    ) -> Fitted:
        """Ratio 0 is the arm without added images: fitted once for both. `config`: another classifier than usual."""
        config = self._classifier if config is None else config
        key = (*_key(arm, arch, ratio), config.classifier)
        if key not in self._fitted:
            began = time.monotonic()
            images = self._images(arm, arch, ratio)
            rule = self._rule(arm, images)
            classifier = fit_classifier(
                images,
                config,
                seed=self._seed,
                machine=self._machine,
                transforms=self._config.transforms if rule.transforms == "traditional" else None,
                rule=rule,
                teachers=self._asked() if rule.taught else (),
                reporter=self._phase(),
            )
            self._fitted[key] = Fitted(classifier, images, time.monotonic() - began)
        return self._fitted[key]

    def _rule(self, arm: Arm, images: LabelledImages) -> FitRule:
        """The arm's rule; what concerns added images only counts where there are some."""
        compare, rule = self._config.compare, arm.rule
        if not (images.origin != REAL).any():
            return dataclasses.replace(rule, pretrained=False)
        return dataclasses.replace(
            rule,
            added_weight=compare.generated_weight,
            annealed=compare.anneal,
            fresh=compare.fresh,
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
                    machine=self._machine,
                    transforms=self._config.transforms,
                    reporter=self._phase(),
                )
                for number in range(TEACHERS)
            ]
        return self._teachers

    def _images(self, arm: Arm, arch: str | None, ratio: float) -> LabelledImages:
        real = self._splits.train
        if arm.replaces:
            return training_set(
                real, self._pools.of(arm.added, arch), plan_of("replace", 1.0, real), self._seed
            )
        if not arm.added or ratio == 0:
            return real
        compare = self._config.compare
        plan = plan_of(compare.mode, ratio, real, compare.ratio_for)
        if compare.fresh > 1:
            plan = dataclasses.replace(
                plan, make=compare.fresh * plan.make, want=plan.keep + compare.fresh * plan.make
            )
        return training_set(real, self._pools.of(arm.added, arch), plan, self._seed)

    def _phase(self) -> Reporter:
        share = (1 - GENERATOR_SHARE) / self._fits
        return Phase(self._tell, GENERATOR_SHARE + share * len(self._fitted), share, "classifier")

    def _score(self, evaluation: Evaluation) -> float:
        """What arms are compared by."""
        return float(getattr(evaluation, FIGURES[self._config.compare.score_by]))

    def _validation(self, classifier: FittedClassifier) -> Evaluation | None:
        return evaluate(classifier, self._splits.validation) if len(self._splits.validation) else None


def _key(arm: Arm, arch: str | None, ratio: float) -> tuple[Any, ...]:
    """Arms that train on the same in the same way share a classifier."""
    return (arm.rule, 0.0) if ratio == 0 or not arm.added else (arm.rule, ratio, arm.added, arch)


def same_steps(config: ClassifierConfig, real: int) -> ClassifierConfig:
    """Epochs as the steps they are on the `real` images: an arm with more images must not train for longer."""
    steps = step_count(config, real)
    return dataclasses.replace(config, classifier_steps=steps, classifier_epochs=None)


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
