import io

import numpy as np
import pytest
from PIL import Image

from gangda.report.figures import confusion_matrix


def picture(confusion: np.ndarray) -> np.ndarray:
    names = [f"class number {i}" for i in range(len(confusion))]
    return np.asarray(Image.open(io.BytesIO(confusion_matrix(confusion, names))).convert("L"), dtype=np.int64)


@pytest.mark.parametrize("classes", [2, 10, 22])
def test_right_and_wrong_answers_look_different(classes: int) -> None:
    right = np.diag(np.full(classes, 30))
    wrong = np.roll(right, 1, axis=1)
    first, second = picture(right), picture(wrong)
    assert first.shape == second.shape
    assert (np.abs(first - second) > 100).mean() > 0.2 / classes


def test_a_class_without_images_is_an_empty_row() -> None:
    confusion = np.array([[5, 0, 0], [0, 0, 0], [0, 0, 5]])
    assert (picture(confusion) < 100).mean() < (picture(np.diag([5, 5, 5])) < 100).mean()
