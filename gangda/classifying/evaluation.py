"""How well a classifier did: `Evaluation`, from true and predicted labels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gangda.data.images import FloatArray, IntArray
from gangda.errors import DataError
from gangda.runtime.plain import to_plain


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Predictions of one classifier on one set of N images of K classes, compared with the labels."""

    confusion: IntArray  # int64 (K, K), rows true, columns predicted
    accuracy: float  # share of right predictions, in [0, 1]
    balanced_accuracy: float  # mean recall over the classes that have images here
    macro_f1: float  # mean F1 over the classes that have images here or were predicted
    recall: FloatArray  # float64 (K,), NaN for a class without images here
    correct: npt.NDArray[np.bool_]  # bool (N,), in the order of the images
    n_train: int = 0  # n_train, steps, seed: how the classifier was trained; 0 where that is not known
    steps: int = 0
    seed: int = 0
    # the same classifier's accuracy on its own training images, where it was measured
    train_accuracy: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: None for NaN, `correct` as a string of 0 and 1, the confusion as in `to_plain`."""
        gap = None if self.train_accuracy is None else self.train_accuracy - self.accuracy
        return {
            **vars(self),
            "recall": [None if np.isnan(value) else float(value) for value in self.recall],
            "confusion": to_plain(self.confusion),
            "correct": "".join("1" if right else "0" for right in self.correct),
            "n_test": len(self.correct),
            "train_test_gap": gap,
        }


def evaluate_predictions(labels: npt.ArrayLike, predicted: npt.ArrayLike, num_classes: int) -> Evaluation:
    """Compare predicted labels with true ones, both int (N,) in [0, num_classes).

    Raises DataError: no images, or lengths or ranges disagree.
    """
    from sklearn.metrics import confusion_matrix, f1_score

    true, answer = np.asarray(labels, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    if true.ndim != 1 or true.shape != answer.shape:
        raise DataError(f"labels {true.shape} and predictions {answer.shape} must be two equally long lists")
    if len(true) == 0:
        raise DataError("there are no test images to evaluate on; give a set that has some")
    for name, values in (("labels", true), ("predictions", answer)):
        if values.min() < 0 or values.max() >= num_classes:
            seen = f"{name} run from {values.min()} to {values.max()}"
            raise DataError(f"{seen}; they must be 0 to {num_classes - 1}")
    recall = class_recalls(true, answer, num_classes)
    correct = true == answer
    return Evaluation(
        confusion=confusion_matrix(true, answer, labels=np.arange(num_classes)),
        accuracy=float(correct.mean()),
        balanced_accuracy=float(np.nanmean(recall)),
        macro_f1=float(f1_score(true, answer, average="macro", zero_division=0.0)),
        recall=recall,
        correct=correct,
    )


def class_recalls(labels: IntArray, predicted: IntArray, num_classes: int) -> FloatArray:
    """Recall of each class, float64 (K,), from int64 (N,) labels; NaN for a class without images."""
    from sklearn.metrics import recall_score

    classes = np.arange(num_classes)
    recalls: FloatArray = recall_score(labels, predicted, labels=classes, average=None, zero_division=np.nan)
    return recalls
