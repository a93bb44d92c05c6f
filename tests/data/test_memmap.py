import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from idx_files import write_idx
from PIL import Image

from gangda.classifying.fit import fit_classifier
from gangda.config.schema import ClassifierConfig, DataConfig, Recipe
from gangda.data import memmap
from gangda.data.images import concatenate, real_images
from gangda.data.loading import load_splits
from gangda.data.sources import idx
from gangda.data.sources.decode import decode_all
from gangda.data.sources.raw import to_square
from gangda.training.image_batches import ResidentImages

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def large(tmp_path, monkeypatch):
    """Whatever is above 4 KiB is large."""
    monkeypatch.setenv("GANGDA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(memmap, "LARGE", 4096)


def images(count: int, channels: int = 1):
    pixels = RNG.integers(0, 256, (count, 8, 8, channels), np.uint8)
    return real_images(pixels, np.arange(count) % 2, ["a", "b"])


def test_only_large_arrays_are_mapped_and_their_file_is_unlinked(tmp_path):
    small, big = memmap.empty((4096,)), memmap.empty((4097,))
    assert not isinstance(small, np.memmap)
    assert isinstance(big, np.memmap)
    big[:] = 7
    assert big.sum() == 7 * 4097
    assert list((tmp_path / "cache" / "images").iterdir()) == []


def test_taken_and_joined_images_are_the_same_and_mapped():
    whole = images(300)
    rows = RNG.permutation(300)[:200]
    taken, both = whole.take(rows), concatenate(whole, whole)
    np.testing.assert_array_equal(taken.pixels, whole.pixels[rows])
    np.testing.assert_array_equal(both.pixels, np.concatenate([whole.pixels, whole.pixels]))
    resized = to_square(whole.pixels, 9)
    assert all(isinstance(part, np.memmap) for part in (taken.pixels, both.pixels, resized))
    assert not isinstance(whole.take(rows[:3]).pixels, np.memmap)


def test_images_taken_from_a_mapped_set_are_mapped_sooner(monkeypatch):
    monkeypatch.setattr(memmap, "PART", 1024)
    small, big = images(60), images(200)
    in_file = concatenate(big, big)
    assert memmap.in_file(in_file.pixels)
    rows = RNG.permutation(60)[:40]
    assert not isinstance(small.take(rows).pixels, np.memmap)
    taken = in_file.take(rows).pixels
    assert isinstance(taken, np.memmap)
    np.testing.assert_array_equal(taken, in_file.pixels[rows])
    assert not isinstance(in_file.take(rows[:10]).pixels, np.memmap)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_large_idx_files_are_read_into_a_mapped_file(tmp_path, monkeypatch, ending):
    monkeypatch.setattr(idx, "_CHUNK", 999)
    pixels = RNG.integers(0, 256, (100, 8, 8), np.uint8)
    path = tmp_path / f"train-images-idx3-ubyte{ending}"
    write_idx(path, pixels)
    read = idx.read_idx(path)
    assert isinstance(read, np.memmap)
    np.testing.assert_array_equal(read, pixels)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_without_room_on_the_disk_it_is_in_memory(monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    array = memmap.empty((5000,))
    assert not isinstance(array, np.memmap)
    assert array.shape == (5000,)


def test_a_tensor_of_a_large_set_is_the_mapping_itself(recwarn):
    pixels = memmap.empty((100, 8, 8, 1))
    pixels[:] = 3
    tensor = memmap.as_tensor(pixels)
    pixels[5] = 4
    assert tensor[5, 0, 0, 0] == 4
    in_memory = np.zeros((100, 8, 8, 1), np.uint8)
    copied = memmap.as_tensor(in_memory)
    in_memory[5] = 1
    assert copied.max() == 0
    assert not recwarn.list


@pytest.mark.parametrize("channels", [1, 3])
def test_batches_and_classifiers_are_the_same_bytes(channels, context, monkeypatch):
    whole = images(120, channels)
    mapped_set = concatenate(whole.take(range(60)), whole.take(range(60, 120)))
    assert memmap.in_file(mapped_set.pixels)
    config = ClassifierConfig(classifier_steps=5, classifier_batch=16)

    def answers(train):
        resident = ResidentImages(train, 3, context)
        batches = [resident.take(resident.rows(step, Recipe().batch_size)) for step in range(6)]
        fitted = fit_classifier(train, config, seed=1, context=context)
        return [x for x, _ in batches], fitted.fingerprint

    ours = answers(mapped_set)
    monkeypatch.setattr(memmap, "LARGE", 2**30)
    theirs = answers(whole)
    assert ours[1] == theirs[1]
    for x, y in zip(ours[0], theirs[0], strict=True):
        assert torch.equal(x, y)
        assert x.stride() == y.stride()


def put(path: Path, value: int, mode: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (8, 8), value if mode == "L" else (value, 0, 1)).save(path)


def test_a_large_folder_is_never_copied_into_memory(tmp_path, monkeypatch):
    for number in range(80):
        put(tmp_path / "set" / "a" / f"{number:02}.png", number)
        put(tmp_path / "set" / "b" / f"{number:02}.png", 100 + number)
    monkeypatch.setattr(memmap, "CHUNK", 7)
    splits = load_splits(DataConfig(source=str(tmp_path / "set")), 0)
    assert isinstance(splits.train.pixels, np.memmap)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (116, 12, 32)
    for part in (splits.train, splits.validation, splits.test):
        expected = part.row_id + np.where(part.labels == 1, 100 - 80, 0)
        np.testing.assert_array_equal(part.pixels[:, 0, 0, 0], expected)
    monkeypatch.setattr(memmap, "LARGE", 2**30)
    again = load_splits(DataConfig(source=str(tmp_path / "set")), 0)
    assert not isinstance(again.train.pixels, np.memmap)
    np.testing.assert_array_equal(again.train.pixels, splits.train.pixels)
    assert again.fingerprint == splits.fingerprint


def test_a_late_colour_image_makes_the_earlier_ones_rgb(tmp_path, monkeypatch):
    monkeypatch.setattr("gangda.data.memmap.CHUNK", 4)
    for number in range(10):
        put(tmp_path / f"{number}.png", number, "RGB" if number == 9 else "L")
    paths = [tmp_path / f"{number}.png" for number in range(10)]
    pixels = decode_all(paths, 8).pixels
    assert pixels.shape == (10, 8, 8, 3)
    assert pixels[:, 0, 0].tolist() == [*([number] * 3 for number in range(9)), [9, 0, 1]]
    assert decode_all(paths[:9], 8)[0].shape == (9, 8, 8, 1)
