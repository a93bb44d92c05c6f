import io

import numpy as np
import pytest
from PIL import Image

from gangda.data.images import generated_images, real_images
from gangda.report import figures


def picture(confusion: np.ndarray) -> np.ndarray:
    names = [f"class number {i}" for i in range(len(confusion))]
    return np.asarray(
        Image.open(io.BytesIO(figures.confusion_matrix(confusion, names))).convert("L"), dtype=np.int64
    )


def test_training_curves_have_an_axis_for_losses_and_one_for_accuracies():
    steps, falling = range(50, 550, 50), [10.0 / step for step in range(1, 11)]
    sparse = [None, 1.0] * 5  # a lazy penalty
    sizes = []
    for more in ({}, {"d_accuracy": [0.5] * 10}):
        png = figures.training_curves(steps, {"d_loss": falling, "d_r1": sparse, **more})
        sizes.append(Image.open(io.BytesIO(png)).size)
    assert sizes[1][1] == pytest.approx(2 * sizes[0][1], rel=0.15)


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


@pytest.mark.parametrize("channels", [1, 3])
def test_kept_and_rejected_are_shown_by_class(channels):
    kept = {label: np.full((10, 28, 28, channels), 90, dtype=np.uint8) for label in (0, 2)}
    rejected = {0: np.full((3, 28, 28, channels), 170, dtype=np.uint8), 2: kept[2][:0]}
    reasons = {0: ("copy", "like a very long class name", "unlikely"), 2: ()}
    png = figures.kept_and_rejected(("a", "b", "c"), kept, rejected, reasons)
    picture = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    areas = [(np.abs(picture - shade).max(-1) < 3).sum() for shade in (90, 170)]
    assert areas[0] / areas[1] == pytest.approx(20 / 3, rel=0.1)
    assert figures.kept_and_rejected(("a", "b", "c"), kept, rejected, reasons) == png


def test_nothing_filtered_is_no_picture_and_many_classes_are_the_first_ones(monkeypatch):
    monkeypatch.setattr(figures, "MOST_CLASSES", 3)
    assert figures.kept_and_rejected(("a",), {}, {}, {}) == b""
    tiles = {label: np.zeros((1, 8, 8, 1), dtype=np.uint8) for label in range(9)}
    names = [str(label) for label in tiles]
    reasons = dict.fromkeys(tiles, ("copy",))
    few = {label: tiles[label] for label in range(3)}
    assert figures.kept_and_rejected(names, tiles, tiles, reasons) == figures.kept_and_rejected(
        names, few, few, reasons
    )


def decoded(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def test_bars_are_as_long_as_the_shares():
    def blue(shares):
        picture = decoded(figures.class_bars(["a", "b"], np.array([0.5, np.nan]), np.array(shares)))
        return (np.abs(picture - (0x25, 0x63, 0xEB)).sum(-1) < 30).sum()

    assert blue([0.8, 0.8]) > 1.8 * blue([0.4, 0.4]) > 0


@pytest.mark.parametrize("channels", [1, 3])
def test_grid_shows_both_sides_and_tolerates_missing_classes(channels):
    names = [f"a class with a long name {k}" for k in range(3)]
    pixels = np.full((12, 8, 8, channels), 200, dtype=np.uint8)
    real = real_images(pixels, np.arange(12) % 3, names)
    fake = generated_images(pixels[:4], [0, 0, 2, 2], names)
    picture = decoded(figures.real_and_generated(real, fake))
    assert (picture == 200).all(-1).sum() > 1000


def test_pairs_fill_a_second_row():
    pixels = np.zeros((9, 8, 8, 1), dtype=np.uint8)
    one = decoded(figures.nearest_pairs(pixels[:8], pixels[:8], np.arange(8.0)))
    two = decoded(figures.nearest_pairs(pixels, pixels, np.arange(9.0)))
    assert two.shape[0] > 1.5 * one.shape[0]
