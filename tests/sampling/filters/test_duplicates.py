import dataclasses
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from gangda.config.schema import DataConfig
from gangda.data.images import real_images
from gangda.data.loading import load_splits
from gangda.data.splits import DataSplits, UnlabelledImages
from gangda.sampling.filters import duplicates
from gangda.sampling.filters.base import FilterContext
from gangda.sampling.filters.duplicates import Duplicates, min_distances_of


@pytest.fixture(scope="module")
def splits() -> DataSplits:
    return load_splits(DataConfig(validation=0.2), 0)


def build(splits: DataSplits, **parts: Any) -> Duplicates:
    nothing, known = cast(Any, None), dataclasses.replace(splits, **parts)
    model = cast(Any, SimpleNamespace(row_ids=known.usable_rows))
    return Duplicates.build(FilterContext(model, nothing, lambda: known, seed=0, fit_seed=0, context=nothing))


@pytest.mark.parametrize("held", [True, False])
def test_copies_go_and_new_images_stay(
    splits: DataSplits, held: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the samples are training images, moved by a pixel or not; the others are other real images."""
    train, test = splits.train, splits.test
    monkeypatch.setattr(duplicates, "MIN_HELD_OUT", 100)
    chosen = build(splits, validation=splits.validation.take(range(len(splits.validation) if held else 50)))
    about = chosen.as_dict()
    assert about["reference"].startswith("validation" if held else "training")
    assert about["compared"] == len(splits.validation if held else train)
    narrow = (train.pixels[:, :, 6:] == 0).all((1, 2, 3))  # a step to the right loses nothing of these
    kept, shifted = [], 0
    for label in range(10):
        predicate = chosen.predicate(label, 0)
        copies, new = train.pixels[train.labels == label][:12], test.pixels[test.labels == label]
        moved = np.roll(train.pixels[narrow & (train.labels == label)][:12], 1, axis=2)
        moved[:, :, 0] = moved[:, :, 1]
        said = predicate(np.concatenate([copies, moved, new]))
        assert (said[: 12 + len(moved)] == "copy").all()
        kept += (said[12 + len(moved) :] == "").tolist()
        shifted += len(moved)
    assert shifted > 20
    assert np.mean(kept) > 0.93


def test_repeats_go_within_a_block(splits: DataSplits) -> None:
    chosen = build(splits)
    new = splits.test.pixels[:4]
    predicate, label = chosen.predicate(0, 0), 0
    first = predicate(np.concatenate([new, new[:2]]))
    fresh = first[:4] == ""
    assert fresh.any()
    assert [reason for reason, new_one in zip(first[4:], fresh, strict=False) if new_one] == ["repeat"] * int(
        fresh[:2].sum()
    )
    assert (predicate(new)[fresh] == "repeat").all(), "across attempts"
    assert (chosen.predicate(label, 1)(new)[fresh] == "").all(), "another block knows nothing of it"


def test_copies_of_unlabelled_images_go_where_the_generator_was_trained_on_them(splits: DataSplits) -> None:
    new = splits.test.take(range(100))
    seen = UnlabelledImages(new.pixels[:50], new.row_id[:50])
    plain, chosen = (build(splits, unlabelled=one).predicate(0, 0)(new.pixels) for one in (None, seen))
    assert (plain[:50] == "").mean() > 0.9
    assert (chosen[:50] == "copy").all()
    assert (chosen[50:] == plain[50:]).mean() > 0.9


def test_min_distances_by_hand() -> None:
    """Class b's images lie ten times as far apart as class a's: each class has a distance of its own."""
    labels = np.repeat([0, 1], 100)
    images = real_images(np.zeros((200, 8, 8, 1), dtype=np.uint8), labels, ("a", "b", "none"))
    relative = np.tile(np.linspace(0.5, 1.5, 100), 2)
    distances = relative * np.where(labels == 0, 2.0, 20.0)
    edges = min_distances_of(images, distances)
    assert edges[1] == pytest.approx(10 * edges[0])
    assert (distances <= edges[labels]).mean() == pytest.approx(0.01)
    assert edges[2] > 0
    assert (min_distances_of(images, np.zeros(200)) == 0).all()
