import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gangda.data.images import LabelledImages, real_images
from gangda.data.splits import DataSplits, UnlabelledImages
from gangda.errors import DataError, RunError
from gangda.training.leaks import check_run, refuse_synthetic
from gangda.training.saved_model import Model, ModelCard
from gangda.zoo.base import Generator


def part(first_row: int, count: int) -> LabelledImages:
    pixels = np.zeros((count, 8, 8, 1), dtype=np.uint8)
    return real_images(pixels, np.arange(count) % 2, ("cat", "dog"), first_row)


SPLITS = DataSplits("pets", "f", train=part(0, 8), validation=part(8, 2), test=part(10, 5))


def trained_on(rows: list[int], **card: Any) -> Model:
    values: dict[str, Any] = {
        "arch": "x",
        "spec": {},
        "image_shape": (1, 8, 8),
        "class_names": ("cat", "dog"),
        "data": {"source": "birds"},
        "fingerprint": "f",
        "seed": 7,
        "steps": 1,
        "precision": "fp32",
        "run": "r",
    }
    return Model(Generator(), ModelCard(**{**values, **card}), np.array(rows))


@pytest.mark.parametrize("rows", [[0, 1, 2], [0, 9], list(range(10))])
def test_a_run_that_saw_training_and_validation_images_passes(rows: list[int]) -> None:
    check_run(Path("r"), trained_on(rows), SPLITS)


@pytest.mark.parametrize(
    ("rows", "card", "words"),
    [
        ([0], {"class_names": ("dog", "cat")}, r"trained on other classes \(dog, cat\)"),
        ([0], {"image_shape": (3, 8, 8)}, "makes 8x8 RGB images, this set's are 8x8 grey"),
        ([0], {"image_shape": (1, 9, 9)}, "makes 9x9 grey images"),
        ([0], {"fingerprint": "g"}, r"trained on other images: birds as of then \(g\), not pets \(f\)"),
        ([0, 10, 14], {}, "saw 2 of this set's test images"),
        ([0, 15], {}, r"saw 1 images outside this subset of pets; give the --seed \(7\)"),
    ],
)
def test_every_other_run_is_refused_with_its_own_reason(
    rows: list[int], card: dict[str, Any], words: str
) -> None:
    with pytest.raises(RunError, match=words):
        check_run(Path("r"), trained_on(rows, **card), SPLITS)


def test_synthetic_images_are_not_taken_for_real() -> None:
    refuse_synthetic(SPLITS)
    made = dataclasses.replace(SPLITS.train, origin=np.array([0, 2, 0, 1, 0, 0, 0, 2], dtype=np.uint8))
    with pytest.raises(DataError, match="3 of its images are synthetic"):
        refuse_synthetic(dataclasses.replace(SPLITS, train=made))


def test_rebuilt_training_images_are_refused() -> None:
    class Rebuilding(Generator):
        available = (4, 4)

    model = dataclasses.replace(trained_on([0, 1, 2]), generator=Rebuilding())
    with pytest.raises(RunError, match="only rebuilds its own training images"):
        check_run(Path("run"), model, SPLITS)


def test_unlabelled_images_may_have_been_seen_where_they_are_those_of_the_splits() -> None:
    pixels = np.zeros((3, 8, 8, 1), dtype=np.uint8)
    splits = dataclasses.replace(SPLITS, unlabelled=UnlabelledImages(pixels, np.array([20, 21, 22])))
    model = trained_on([0, 20, 22], data={"source": "birds", "unlabelled": "3"})
    check_run(Path("r"), model, splits)
    with pytest.raises(RunError, match=r"saw 2 images outside .* and --unlabelled 3 of its training"):
        check_run(Path("r"), model, SPLITS)
