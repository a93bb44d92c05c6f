import json

import numpy as np
import pytest

from gangda.classifying.evaluation import class_recalls, evaluate_predictions
from gangda.errors import DataError


def test_agrees_with_scikit_learn() -> None:
    from sklearn import metrics

    rng = np.random.default_rng(0)
    true, answer = rng.integers(0, 7, 500), rng.integers(0, 7, 500)
    answer[:300] = true[:300]
    ours = evaluate_predictions(true, answer, 7)
    assert np.array_equal(ours.confusion, metrics.confusion_matrix(true, answer))
    assert ours.accuracy == pytest.approx(metrics.accuracy_score(true, answer))
    assert ours.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(true, answer))
    assert ours.macro_f1 == pytest.approx(metrics.f1_score(true, answer, average="macro"))
    assert ours.recall == pytest.approx(metrics.recall_score(true, answer, average=None))
    assert np.array_equal(ours.correct, true == answer)
    assert ours.as_dict()["n_test"] == 500


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_classes_without_images_agree_with_scikit_learn() -> None:
    from sklearn import metrics

    true, answer = np.array([0, 0, 2, 2, 2]), np.array([0, 1, 2, 2, 0])  # 1 only predicted, 3 nowhere
    ours = evaluate_predictions(true, answer, 4)
    assert ours.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(true, answer))
    assert ours.macro_f1 == pytest.approx(metrics.f1_score(true, answer, average="macro", zero_division=0))
    assert np.isnan(ours.recall[[1, 3]]).all()
    assert ours.recall[[0, 2]] == pytest.approx([1 / 2, 2 / 3])


def test_plain_values_are_strict_json() -> None:
    values = evaluate_predictions([0, 0, 2], [0, 2, 2], 3).as_dict()
    back = json.loads(json.dumps(values, allow_nan=False))
    assert back["recall"] == [0.5, None, 1.0]
    assert back["correct"] == "101"
    assert back["train_test_gap"] is None


@pytest.mark.parametrize(
    ("true", "answer", "says"),
    [
        ([], [], "no test images"),
        ([0, 1], [0], "equally long"),
        ([0, 3], [0, 1], "labels run from 0 to 3"),
        ([0, 1], [0, -1], "predictions run from -1"),
    ],
)
def test_bad_inputs(true: list[int], answer: list[int], says: str) -> None:
    with pytest.raises(DataError, match=says):
        evaluate_predictions(true, answer, 3)


def test_recalls_by_hand():
    found = class_recalls(np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0]), 3)
    assert found[:2] == pytest.approx([1 / 2, 2 / 3])
    assert np.isnan(found[2])
