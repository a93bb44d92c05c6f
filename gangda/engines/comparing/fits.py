"""The classifiers of one cell: every arm with the same steps and the same seed; ratios chosen on validation."""

import dataclasses
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gangda.classifiers.evaluation import Evaluation
from gangda.configs import ClassifierConfig, ExperimentConfig
from gangda.data.images import REAL, LabelledImages
from gangda.data.splits import DataSplits
from gangda.engines.comparing.arms import RULES, ArmRule, plan_of, training_set
from gangda.engines.comparing.telling import GENERATOR_SHARE, Phase, Tell
from gangda.moves.fit import FittedClassifier, evaluate, fit_classifier, step_count
from gangda.runtime.device import Machine
from gangda.runtime.progress import Reporter


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
        pool: LabelledImages | None,
        machine: Machine,
        tell: Tell,
    ) -> None:
        self._config, self._seed, self._splits, self._pool = config, seed, splits, pool
        self._classifier = same_steps(config.classifier, len(splits.train))
        self._machine, self._tell = machine, tell
        self._fitted: dict[tuple[float, bool], Fitted] = {}
        self._fits = sum(len(self._ratios(arm)) for arm in config.compare.arms)

    def run(self, arm: str) -> dict[str, Any]:
        """Choose the ratio on validation, then judge that one on test, once."""
        rule = RULES[arm]
        candidates = [
            (ratio, self._validation(self._fit(ratio, rule).classifier)) for ratio in self._ratios(arm)
        ]
        ratio, chosen = max(candidates, key=lambda pair: _score(pair[1]))  # of equals the smallest ratio
        fitted = self._fit(ratio, rule)
        return {
            "ratio": ratio if rule.generated else None,
            "candidates": [
                {"ratio": r, "validation": None if e is None else e.accuracy} for r, e in candidates
            ],
            "n_train": len(fitted.images),
            "n_generated": int((fitted.images.origin != REAL).sum()),
            "steps": fitted.classifier.steps,
            "classifier": fitted.classifier.fingerprint,
            "seconds": fitted.seconds,
            "validation_accuracy": None if chosen is None else chosen.accuracy,
            "test": plain_of(evaluate(fitted.classifier, self._splits.test, fitted.images)),
        }

    def recognised(self) -> dict[str, float] | None:
        """Accuracy of the real-only classifier on generated images (GAN-test) and on real test images."""
        real_only = self._fitted.get((0.0, False))
        if self._pool is None or real_only is None:
            return None
        fitted = real_only.classifier
        return {
            "generated": evaluate(fitted, self._pool).accuracy,
            "real": evaluate(fitted, self._splits.test).accuracy,
        }

    def _ratios(self, arm: str) -> tuple[float, ...]:
        return tuple(sorted(self._config.compare.ratios)) if RULES[arm].generated else (0.0,)

    def _fit(self, ratio: float, rule: ArmRule) -> Fitted:
        """Ratio 0 is the arm without generated images: fitted once for both."""
        key = (ratio, rule.transformed)
        if key not in self._fitted:
            began = time.monotonic()
            images = self._images(ratio)
            classifier = fit_classifier(
                images,
                self._classifier,
                seed=self._seed,
                machine=self._machine,
                transforms=self._config.transforms if rule.transformed else None,
                reporter=self._phase(),
            )
            self._fitted[key] = Fitted(classifier, images, time.monotonic() - began)
        return self._fitted[key]

    def _images(self, ratio: float) -> LabelledImages:
        real = self._splits.train
        if ratio == 0:
            return real
        return training_set(real, self._pool, plan_of(self._config.compare.mode, ratio, real), self._seed)

    def _phase(self) -> Reporter:
        share = (1 - GENERATOR_SHARE) / self._fits
        return Phase(self._tell, GENERATOR_SHARE + share * len(self._fitted), share, "classifier")

    def _validation(self, classifier: FittedClassifier) -> Evaluation | None:
        return evaluate(classifier, self._splits.validation) if len(self._splits.validation) else None


def same_steps(config: ClassifierConfig, real: int) -> ClassifierConfig:
    """Epochs as the steps they are on the `real` images: an arm with more images must not train for longer."""
    steps = step_count(config, real)
    return dataclasses.replace(config, classifier_steps=steps, classifier_epochs=None)


def _score(evaluation: Evaluation | None) -> float:
    return 0.0 if evaluation is None else evaluation.accuracy


def plain_of(evaluation: Evaluation) -> dict[str, Any]:
    """Plain values; per-image correctness packed eight to a byte, as hex, first image in the highest bit."""
    return {**evaluation.as_dict(), "correct": np.packbits(evaluation.correct).tobytes().hex()}


def unpack_correct(text: str, count: int) -> npt.NDArray[np.bool_]:
    """bool (count,) from what `correct` holds."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), dtype=np.uint8), count=count).astype(bool)
