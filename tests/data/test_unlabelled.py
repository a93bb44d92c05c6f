import dataclasses
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gangda.config.fields import recorded
from gangda.config.schema import DataConfig
from gangda.data.images import real_images
from gangda.data.loading import load_source, load_splits
from gangda.data.paths import located
from gangda.data.splits import SourceImages, draw_splits
from gangda.data.unlabelled import OF_CONTENT, content_rows, with_unlabelled
from gangda.errors import DataError, UsageError

FEW = DataConfig(per_class=10, unlabelled="60")


def digits(folder: Path | str, per_class: int | None = 10):
    return load_splits(DataConfig(per_class=per_class, unlabelled=str(folder)), 0)


def saved(root: Path, images: dict[str, np.ndarray]) -> Path:
    for name, pixels in images.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return root


def noise(count: int, *shape: int, seed: int = 1) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8))


def test_rows_lie_outside_every_split_and_fewer_lie_inside_more():
    splits, fewer = load_splits(FEW, 3), load_splits(dataclasses.replace(FEW, unlabelled="20"), 3)
    rows = splits.unlabelled.row_id
    assert len(rows) == len(np.unique(rows)) == 60
    for part in (splits.train, splits.validation, splits.test):
        assert not np.isin(rows, part.row_id).any()
    assert np.isin(fewer.unlabelled.row_id, rows).all()
    whole = load_source(FEW).train
    assert (whole.pixels[np.searchsorted(whole.row_id, rows)] == splits.unlabelled.pixels).all()
    assert not hasattr(splits.unlabelled, "labels")


def test_rows_depend_on_the_seed_alone_and_the_splits_not_on_them():
    splits, again, other = (load_splits(FEW, seed) for seed in (3, 3, 4))
    assert (splits.unlabelled.row_id == again.unlabelled.row_id).all()
    assert not np.array_equal(splits.unlabelled.row_id, other.unlabelled.row_id)
    without = load_splits(dataclasses.replace(FEW, unlabelled=None), 3)
    assert (without.train.row_id == splits.train.row_id).all()
    assert without.fingerprint == splits.fingerprint


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_labels_of_other_images_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    labels = np.arange(80) % 2
    pixels = rng.integers(0, 256, (80, 8, 8, 1), np.uint8)
    config = DataConfig(per_class=6, unlabelled="15")

    def drawn(labels):
        source = SourceImages("s", "f", real_images(pixels, labels, ("a", "b")), None)
        test = real_images(pixels[:2], labels[:2], ("a", "b"), 500)
        source = dataclasses.replace(source, train=source.train.without(np.arange(2)), test=test)
        splits = draw_splits(source, config, 0)
        return splits, with_unlabelled(splits, source, config, 0).unlabelled

    splits, before = drawn(labels)
    for one, two in rng.choice(np.arange(2, 80), (40, 2)):  # swaps that leave the subset as it is
        swapped = labels.copy()
        swapped[[one, two]] = swapped[[two, one]]
        other = drawn(swapped)[0]
        same = all(
            np.array_equal(getattr(part, column), getattr(known, column))
            for part, known in ((other.train, splits.train), (other.validation, splits.validation))
            for column in ("row_id", "labels")
        )
        labels = swapped if same else labels
    after = drawn(labels)[1]
    assert (after.row_id == before.row_id).all()
    assert (after.pixels == before.pixels).all()


def test_images_of_the_source_that_equal_one_of_a_split_are_passed_over():
    pixels = np.array(noise(40, 8, 8, 1))
    pixels[20:39] = pixels[0]  # also that of a test image
    train = real_images(pixels, np.arange(40) % 2, ("a", "b"))
    source = SourceImages("s", "f", train, real_images(pixels[:1], [0], ("a", "b"), 100))
    config = DataConfig(per_class=4, unlabelled="4")
    splits = with_unlabelled(draw_splits(source, config, 0), source, config, 0)
    assert not (splits.unlabelled.pixels == pixels[0]).all(axis=(1, 2, 3)).any()


def test_rows_are_in_no_group_of_a_validation_or_test_image(tmp_path):
    shots = {f"{name}/{subject}_{shot}.png" for name in "ab" for subject in range(10) for shot in range(4)}
    saved(tmp_path, dict(zip(sorted(shots), noise(80, 8, 8), strict=True)))
    config = DataConfig(
        source=str(tmp_path), per_class=8, validation=0.25, unlabelled="20", group_by="^([0-9])_"
    )
    for seed in range(3):
        splits = load_splits(config, seed)
        subjects = [
            set((rows % 40 // 4).tolist())
            for rows in (splits.unlabelled.row_id, splits.validation.row_id, splits.test.row_id)
        ]
        assert all(subjects)
        assert not subjects[0] & (subjects[1] | subjects[2])


def test_a_folder_flat_or_nested_gives_the_same_images(tmp_path):
    images = noise(6, 8, 8)
    flat = saved(tmp_path / "flat", {f"{i}.png": one for i, one in enumerate(images)})
    nested = saved(tmp_path / "nested", {f"{i}/x/{i}.png": one for i, one in enumerate(images)})
    (nested / "notes.txt").write_text("no image")
    first, second = digits(flat).unlabelled, digits(nested).unlabelled
    assert (first.pixels[..., 0] == np.array(images)).all()
    assert (first.pixels == second.pixels).all()
    assert (first.row_id == second.row_id).all()
    assert (first.row_id >= OF_CONTENT).all()
    assert first.folder == second.folder != ""


def test_a_folder_takes_size_and_channels_of_the_source(tmp_path):
    large = saved(tmp_path / "large", {f"{i}.png": one for i, one in enumerate(noise(3, 20, 30))})
    assert digits(large).unlabelled.pixels.shape == (3, 8, 8, 1)
    colour = saved(tmp_path / "colour", {"x.png": noise(1, 8, 8, 3)[0]})
    with pytest.raises(DataError, match="colour images, those of digits are 8x8 grey"):
        digits(colour)
    pictures = {f"{c}/{i}.png": noise(1, 8, 8, 3, seed=9 * c + i)[0] for c in range(2) for i in range(8)}
    source = saved(tmp_path / "rgb", pictures)
    grey = load_splits(DataConfig(source=str(source), unlabelled=str(large)), 0).unlabelled
    assert grey.pixels.shape == (3, 8, 8, 3)
    assert (grey.pixels == grey.pixels[..., :1]).all()


def test_a_folder_is_read_as_the_source_is(tmp_path):
    ones = saved(tmp_path / "ones", {f"{i}.png": one // 128 for i, one in enumerate(noise(4, 8, 8))})
    found = digits(ones)
    assert set(np.unique(found.unlabelled.pixels)) == {0, 255}
    assert f"--unlabelled {ones}: values 0 to 1: scaled to 0-255" in found.notes
    wide = saved(tmp_path / "wide", {"0.png": np.hstack([np.full((8, 6), 9, np.uint8), *noise(2, 8, 9)])})
    (wide / "1.png").write_bytes(b"no image")
    colour = saved(tmp_path / "colour", {"x.png": noise(1, 8, 8, 3)[0]})
    given = DataConfig(per_class=10, unlabelled=str(wide), fit="stretch", skip_broken=True, no_cache=True)
    stretched = load_splits(given, 0)
    assert (stretched.unlabelled.pixels[0, :, 0, 0] == 9).all()
    assert any("1 broken files are left out" in note for note in stretched.notes)
    grey = load_splits(DataConfig(per_class=10, unlabelled=str(colour), channels=1), 0)
    assert grey.unlabelled.pixels.shape == (1, 8, 8, 1)
    limited = load_splits(
        DataConfig(per_class=10, unlabelled=str(colour), channels=1, value_range=(0, 50)), 0
    )
    assert [
        alarm for alarm in limited.alarms if f"--unlabelled {colour}: 1 of 1 images go far beyond" in alarm
    ]


def deep(root: Path, names: list[str], high: int, seed: int) -> Path:
    images = np.random.default_rng(seed).integers(0, high + 1, (len(names), 8, 8)).astype(np.uint16)
    return saved(root, dict(zip(names, images, strict=True)))


TWO_CLASSES, MORE = [f"{'ab'[i % 2]}/{i:02}.png" for i in range(40)], [f"{i}.png" for i in range(20)]


def test_a_folder_is_scaled_as_the_source_is(tmp_path):
    source, folder = (
        deep(tmp_path / "set", TWO_CLASSES, 4095, 1),
        deep(tmp_path / "more", MORE, 3600, 2),
    )
    config = DataConfig(source=str(source), unlabelled=str(folder))
    splits = load_splits(config, 0)
    assert 220 < splits.unlabelled.pixels.max() < 230
    assert f"--unlabelled {folder}: its own values, 0 to 3,600, are scaled as those of set" in " ".join(
        splits.notes
    )
    tested = load_source(config).train.row_id.tolist().index(splits.test.row_id[0])
    shutil.copy(source / sorted(TWO_CLASSES)[tested], folder / "test.png")
    with pytest.raises(DataError, match=r"1 of its images are test images, such as .*test\.png"):
        load_splits(config, 0)


@pytest.mark.parametrize("high", [255, 400, 6000, 65535])
def test_a_folder_of_another_range_than_the_source_is_refused(tmp_path, high):
    source, folder = (
        deep(tmp_path / "set", TWO_CLASSES, 4095, 1),
        deep(tmp_path / "more", MORE, high, 2),
    )
    config = DataConfig(source=str(source), unlabelled=str(folder))
    with pytest.raises(
        DataError, match=r"its values are 0 to .*, those of set 0 to 4,09\d; scale them alike"
    ):
        load_splits(config, 0)
    given = dataclasses.replace(config, value_range=(0, 65535))
    assert len(load_splits(given, 0).unlabelled) == 20


def test_images_of_the_splits_are_left_out_or_refused(tmp_path):
    splits = load_splits(DataConfig(per_class=10), 0)
    others = {f"other{i}.png": one for i, one in enumerate(noise(4, 8, 8))}
    known = {"t.png": splits.train.pixels[0, ..., 0], "v.png": splits.validation.pixels[0, ..., 0]}
    repeated = {"twice.png": others["other0.png"]}
    folder = saved(tmp_path / "some", {**others, **known, **repeated})
    found = digits(folder)
    assert (found.unlabelled.pixels[..., 0] == np.array(list(others.values()))).all()
    notes = " ".join(found.notes)
    assert "2 training or validation images are left out" in notes
    assert "1 repeated images are left out" in notes
    saved(folder, {"a/test.png": splits.test.pixels[5, ..., 0], "b.png": splits.test.pixels[6, ..., 0]})
    with pytest.raises(DataError, match=r"2 of its images are test images, such as .*b\.png"):
        digits(folder)
    with pytest.raises(DataError, match="all its images are training or validation images"):
        digits(saved(tmp_path / "known", known))


def test_copies_of_test_images_that_are_not_exact_are_left_out_of_a_folder(tmp_path):
    splits = load_splits(DataConfig(per_class=10), 0)
    first, second, third = splits.test.pixels[:3, ..., 0]
    lighter = (first * 0.8 + 10).astype(np.uint8)
    others = {f"other{i}.png": one for i, one in enumerate(noise(4, 8, 8))}
    folder = saved(tmp_path / "some", {**others, "a.png": lighter, "b.png": second[:, ::-1].copy()})
    Image.fromarray(third).save(folder / "c.jpg", quality=95)
    found = digits(folder)
    assert (found.unlabelled.pixels[..., 0] == np.array(list(others.values()))).all()
    left = r"3 near, mirrored or turned copies of test images, such as .*a\.png, are left out"
    assert re.search(left, " ".join(found.notes))
    with pytest.raises(DataError, match=r"all its images are .* or copies of test images"):
        digits(saved(tmp_path / "copies", {"a.png": lighter}))


def test_the_hash_of_a_folder_changes_with_its_images_and_not_with_the_seed(tmp_path):
    folder = saved(tmp_path / "set", {f"{i}.png": one for i, one in enumerate(noise(4, 8, 8))})
    config = DataConfig(per_class=10, unlabelled=str(folder))
    before = {load_splits(config, seed).unlabelled.folder for seed in (0, 1)}
    saved(folder, {"0.png": noise(1, 8, 8, seed=5)[0]})
    assert len(before) == 1
    assert load_splits(config, 0).unlabelled.folder not in before


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"per_class": 139, "unlabelled": "60"}, r"60: 47 training images are left .* ask for fewer"),
        ({"unlabelled": "5"}, "no training images are left outside the subset; give --per-class"),
        ({"per_class": 10, "unlabelled": "nowhere/at/all"}, "no such folder"),
    ],
)
def test_what_cannot_be_had_is_said(config, words):
    with pytest.raises(DataError, match=words):
        load_splits(DataConfig(**config), 0)


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "x.txt").write_text("no image")
    with pytest.raises(DataError, match="no images at or below it"):
        digits(tmp_path)


@pytest.mark.parametrize("value", ["0", "-3", ""])
def test_a_number_of_images_is_above_0(value):
    with pytest.raises(UsageError, match=r"--unlabelled .*above 0.*a folder"):
        DataConfig(unlabelled=value)


def test_records_name_unlabelled_images_only_where_there_are_some(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "unlabelled" not in recorded(DataConfig())
    assert recorded(located(DataConfig(unlabelled="few")))["unlabelled"] == str(tmp_path / "few")
    assert recorded(located(FEW))["unlabelled"] == "60"


def test_rows_made_of_content_tell_images_apart():
    pixels = np.array(noise(50, 8, 8, 1))
    assert len(np.unique(content_rows(pixels))) == 50
    assert (content_rows(pixels[::-1]) == content_rows(pixels)[::-1]).all()
