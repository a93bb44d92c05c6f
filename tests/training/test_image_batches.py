"""How often each class is shown while training."""

import numpy as np
import pytest
import torch

from gangda.config.schema import Recipe, Runtime, TrainConfig
from gangda.data.images import real_images
from gangda.errors import UsageError
from gangda.runtime.device import prepare
from gangda.training.image_batches import ResidentImages, batches

COUNTS = (900, 90, 9, 0, 1)


@pytest.fixture
def images() -> ResidentImages:
    labels = np.repeat(np.arange(5), COUNTS)
    pixels = np.arange(1000, dtype=np.int32).view(np.uint8).reshape(1000, 2, 2, 1)
    order = np.random.default_rng(0).permutation(1000)
    mixed = real_images(pixels[order], labels[order], list("abcde"))
    return ResidentImages(mixed, 3, prepare(Runtime(device="cpu", precision="fp32", threads=1)))


def shown(images: ResidentImages, recipe: Recipe, turns: int = 200) -> torch.Tensor:
    """Share of each class in so many batches."""
    batch = batches(images, TrainConfig(recipe=recipe))
    labels = torch.cat([batch(turn)[1] for turn in range(turns)])
    return labels.bincount(minlength=5) / len(labels)


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        ("natural", [0.9, 0.09, 0.009, 0.0, 0.001]),
        ("sqrt", [30 / 43.487, 9.487 / 43.487, 3 / 43.487, 0.0, 1 / 43.487]),
        ("balanced", [0.25, 0.25, 0.25, 0.0, 0.25]),
    ],
)
def test_classes_are_shown_as_often_as_asked(images, sampling, expected):
    share = shown(images, Recipe(batch_size=50, class_sampling=sampling))
    assert share.tolist() == pytest.approx(expected, abs=0.02)
    assert share[3] == 0


def test_an_image_goes_with_its_label_and_all_are_shown(images):
    batch = batches(images, TrainConfig(recipe=Recipe(batch_size=500, class_sampling="balanced")))
    seen = set()
    for turn in range(40):
        x, y = batch(turn)
        rows = [int(torch.nonzero((images.pixels == value).flatten(1).all(1))[0]) for value in _bytes(x[:20])]
        assert images.labels[rows].tolist() == y[:20].tolist()
        seen |= {(int(label), value.tobytes()) for value, label in zip(_bytes(x).numpy(), y, strict=True)}
    assert len([label for label, _ in seen if label == 2]) == 9
    assert len([label for label, _ in seen if label == 1]) > 85


def _bytes(x: torch.Tensor) -> torch.Tensor:
    return ((x + 1) * 127.5).round().to(torch.uint8)


def test_a_turn_is_the_same_whatever_came_before(images):
    recipe = Recipe(batch_size=8, class_sampling="sqrt")
    again, straight = batches(images, TrainConfig(recipe=recipe)), batches(images, TrainConfig(recipe=recipe))
    straight(0)
    assert all(torch.equal(a, b) for a, b in zip(again(7), straight(7), strict=True))
    assert not torch.equal(again(7)[1], again(8)[1])


def test_unknown_ways_are_refused():
    with pytest.raises(UsageError, match="did you mean 'sqrt'"):
        Recipe(class_sampling="sqr")
