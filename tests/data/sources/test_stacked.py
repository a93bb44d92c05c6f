"""Stacked sets: what is in the channels, what the labels say, and that test images stay apart."""

import dataclasses

import numpy as np
import pytest

from gangda.config.schema import DataConfig
from gangda.data.images import real_images
from gangda.data.loading import load_source, load_splits
from gangda.data.paths import located
from gangda.data.sources import stacked
from gangda.data.splits import SourceImages
from gangda.errors import DataError


def source(classes=3, count=40, channels=1, test=True):
    """Every image has one value, different from all others and with its class as the remainder."""
    values = np.arange(count * classes)
    pixels = np.broadcast_to(values[:, None, None, None], (len(values), 8, 8, channels)).astype(np.uint8)
    whole = real_images(pixels, values % classes, [f"c{i}" for i in range(classes)])
    held = np.arange(classes * 10)
    train = whole.take(np.arange(len(held), len(whole)))
    return SourceImages("toy", "f", train if test else whole, whole.take(held) if test else None)


def test_channels_hold_images_of_the_classes_that_the_label_names():
    made = stacked.stack(source())
    for part in (made.train, made.test):
        values = part.pixels[:, 0, 0].astype(int)
        assert (part.labels == 9 * (values[:, 0] % 3) + 3 * (values[:, 1] % 3) + values[:, 2] % 3).all()
        assert (part.pixels == part.pixels[:, :1, :1]).all()
    assert made.train.class_names[5] == "c0,c1,c2"


def test_test_stacks_are_made_of_test_images_only():
    made = stacked.stack(source())
    assert made.test.pixels.max() < 30 <= made.train.pixels.min()
    assert set(np.unique(made.test.pixels)) == set(range(30))
    assert not set(made.test.row_id) & set(made.train.row_id)


def test_without_a_test_split_the_fixed_fifth_is_used():
    made = stacked.stack(source(test=False))
    assert not set(np.unique(made.test.pixels)) & set(np.unique(made.train.pixels))


def test_alarms_about_the_source_are_those_of_the_stacked_set(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (60, 8, 8), np.uint8)
    labels = np.arange(60) % 2
    arrays = {
        "x_train": pixels[:40],
        "y_train": labels[:40],
        "x_test": pixels[30:60],
        "y_test": labels[30:60],
    }
    np.savez(tmp_path / "set.npz", **arrays)
    alarms = load_splits(DataConfig(source=f"stacked:{tmp_path / 'set.npz'}"), 0).alarms
    assert [alarm for alarm in alarms if "10 of 30 test images are also trained on" in alarm]


def test_modes_have_equal_counts_and_the_set_is_always_the_same():
    made = stacked.stack(source(4))
    assert len(made.train) == 25_600
    assert len(made.test) == 6_400
    assert (made.train.counts() == 400).all()
    assert made.train.content_hash() == stacked.stack(source(4)).train.content_hash()


def test_channels_are_drawn_independently():
    values = stacked.stack(source()).train.pixels[:, 0, 0].astype(float)
    assert np.abs(np.corrcoef(values // 3, rowvar=False)[np.triu_indices(3, 1)]).max() < 0.03


def test_channels_can_be_separated_again():
    made = stacked.stack(source())
    apart = stacked.channels_apart(made.train)
    assert len(apart) == 3 * len(made.train)
    assert apart.class_names == ("c0", "c1", "c2")
    assert (apart.labels == apart.pixels[:, 0, 0, 0].astype(int) % 3).all()
    assert (apart.pixels[len(made.train) : 2 * len(made.train), ..., 0] == made.train.pixels[..., 1]).all()


@pytest.mark.parametrize("names", [("a", "b"), tuple("abcdefgh"), ("a,a,a", "b")])
def test_other_sets_are_not_taken_for_stacked(names):
    assert stacked.channel_classes(names) is None
    with pytest.raises(DataError, match="not a stacked set"):
        stacked.channels_apart(real_images(np.zeros((1, 8, 8, 3), np.uint8), [0], names))


def test_from_the_command_line():
    config = DataConfig(source="stacked:digits")
    splits = load_splits(config, 0)
    assert splits.name == "stacked-digits"
    assert splits.train.image_shape == (3, 8, 8)
    assert splits.train.num_classes == 1000
    assert len(splits.train) + len(splits.validation) == 25_600
    assert splits.fingerprint == load_source(config).fingerprint
    assert stacked.channel_classes(splits.train.class_names) == tuple("0123456789")
    assert load_source(dataclasses.replace(config, image_size=12)).train.image_shape == (3, 12, 12)


def test_records_name_the_inner_path_in_full(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert located(DataConfig(source="stacked:digits")).source == "stacked:digits"
    assert located(DataConfig(source="stacked:here")).source == f"stacked:{tmp_path / 'here'}"


@pytest.mark.parametrize(
    ("inner", "says"),
    [
        (source(channels=3), "RGB"),
        (source(classes=11, count=20), "2 to 10 classes"),
        (dataclasses.replace(source(), labelled=False), "labelled"),
        (dataclasses.replace(source(), test=source().test.take([0, 1])), "'c2' lacks"),
    ],
)
def test_sources_that_cannot_be_stacked(inner, says):
    with pytest.raises(DataError, match=says) as raised:
        stacked.stack(inner)
    assert "\n" not in str(raised.value)


def test_a_source_that_is_not_there():
    with pytest.raises(DataError, match="unknown data set 'digitz'"):
        load_source(DataConfig(source="stacked:digitz"))
