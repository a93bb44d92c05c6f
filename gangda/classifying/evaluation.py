"""How well a classifier did: `Evaluation`, from true and predicted labels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gangda.errors import DataError

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The answers of one classifier on one set of N images of K classes.

    Attributes:
        confusion: int64 (K, K), rows true, columns predicted.
        accuracy: share of right answers, in [0, 1].
        balanced_accuracy: mean recall over the classes that have images here.
        macro_f1: mean F1 over the classes that have images here or were predicted.
        recall: float64 (K,), NaN for a class without images here.
        correct: bool (N,), in the order of the images.
        n_train, steps, seed: how the classifier was trained; 0 where that is not known.
        train_accuracy: the same classifier's accuracy on its own training images, where it was measured.
    """

    confusion: IntArray
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    recall: npt.NDArray[np.float64]
    correct: npt.NDArray[np.bool_]
    n_train: int = 0
    steps: int = 0
    seed: int = 0
    train_accuracy: float | None = None

    @property
    def n_test(self) -> int:
        """N, the images judged."""
        return len(self.correct)

    @property
    def gap(self) -> float | None:
        """Train accuracy less test accuracy, where the former was measured."""
        return None if self.train_accuracy is None else self.train_accuracy - self.accuracy

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: no NaN (None instead), and `correct` as a string of 0 and 1."""
        return {
            "accuracy": self.accuracy,
            "balanced_accuracy": self.balanced_accuracy,
            "macro_f1": self.macro_f1,
            "recall": [None if np.isnan(value) else float(value) for value in self.recall],
            "confusion": self.confusion.tolist(),
            "correct": "".join("1" if right else "0" for right in self.correct),
            "n_train": self.n_train,
            "n_test": self.n_test,
            "steps": self.steps,
            "seed": self.seed,
            "train_accuracy": self.train_accuracy,
            "train_test_gap": self.gap,
        }


def evaluate_predictions(labels: npt.ArrayLike, predicted: npt.ArrayLike, num_classes: int) -> Evaluation:
    """Judge predicted labels against true ones, both int (N,) in [0, num_classes).

    Balanced accuracy and macro-F1 are scikit-learn's definitions: a class with neither true nor predicted
    images does not count; one that was predicted but has no images has F1 0 and no recall.

    Raises:
        DataError: no images, or lengths or ranges disagree.
    """
    true, answer = np.asarray(labels, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    _check(true, answer, num_classes)
    confusion = np.bincount(true * num_classes + answer, minlength=num_classes**2).reshape(
        num_classes, num_classes
    )
    hits, have, claimed = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    recall = np.divide(hits, have, out=np.full(num_classes, np.nan), where=have > 0)
    f1 = 2 * hits[have + claimed > 0] / (have + claimed)[have + claimed > 0]
    return Evaluation(
        confusion=confusion.astype(np.int64),
        accuracy=float(hits.sum() / len(true)),
        balanced_accuracy=float(np.nanmean(recall)),
        macro_f1=float(f1.mean()),
        recall=recall,
        correct=true == answer,
    )


def _check(true: IntArray, answer: IntArray, num_classes: int) -> None:
    if true.ndim != 1 or true.shape != answer.shape:
        raise DataError(f"labels {true.shape} and predictions {answer.shape} must be two equally long lists")
    if len(true) == 0:
        raise DataError("there are no test images to evaluate on; give a set that has some")
    for name, values in (("labels", true), ("predictions", answer)):
        if values.min() < 0 or values.max() >= num_classes:
            raise DataError(
                f"{name} run from {values.min()} to {values.max()}; they must be 0 to {num_classes - 1}"
            )
