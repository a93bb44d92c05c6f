"""What `load_splits` finds wrong with a source and does about it: copies, leaks, synthetic and constant images."""

import numpy as np
import pytest
from PIL import Image

from gangda.config.schema import DataConfig
from gangda.data.loading import load_source, load_splits
from gangda.data.sample_set.png import encode_png
from gangda.errors import DataError, UsageError

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (60, 8, 8, 1), dtype=np.uint8)
LABELS = np.arange(60) % 2


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GANGDA_CACHE", str(tmp_path_factory.mktemp("cache")))


def save(path, **arrays):
    np.savez(path / "set.npz", **arrays)
    return str(path / "set.npz")


def loaded(source, seed=0, **options):
    return load_splits(DataConfig(source=source, **options), seed)


def contents(images):
    return {row.tobytes() for row in images.pixels}


@pytest.mark.parametrize("seed", range(3))
def test_drawn_splits_keep_identical_images_together(tmp_path, seed):
    source = save(tmp_path, images=np.concatenate([NOISE, NOISE[:40]]), labels=np.r_[LABELS, LABELS[:40]])
    splits = loaded(source, seed, validation=0.2)
    parts = [contents(part) for part in (splits.train, splits.validation, splits.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 60
    assert 14 <= len(splits.test) <= 20
    assert len(splits.validation) > 8
    assert splits.checks["copies"] == [20, 20]
    assert splits.checks["test_images_in_train"] == 0
    assert splits.alarms == (
        "40 of 100 images are identical to another; identical ones stay in one split; "
        "--deduplicate keeps the first of each",
    )


def test_a_leak_into_its_own_test_split_is_an_alarm_and_can_be_dropped(tmp_path):
    arrays = {"x_train": NOISE[:40], "y_train": LABELS[:40], "y_test": LABELS[:20]}
    source = save(tmp_path, **arrays, x_test=np.concatenate([NOISE[:5], NOISE[40:55]]))
    splits = loaded(source)
    assert splits.alarms[0].startswith(
        "ALARM: 5 of 60 images are identical to another, 5 of 20 test images are also"
    )
    assert splits.alarms[0] in splits.notes
    clean = loaded(source, deduplicate=True)
    assert (len(clean.train) + len(clean.validation), len(clean.test)) == (40, 15)
    assert clean.alarms == ()
    assert clean.checks["dropped"] == 5
    assert "5 images that equal an earlier one are left out (--deduplicate)" in clean.notes
    assert clean.fingerprint != splits.fingerprint


def test_one_image_under_two_classes_is_an_alarm(tmp_path):
    source = save(tmp_path, images=np.concatenate([NOISE, NOISE[:1]]), labels=np.r_[LABELS, 1])
    splits = loaded(source)
    assert splits.checks["contradicting"] == 2
    assert (
        "ALARM: 1 of 61 images are identical to another, 2 stand under different classes (0, 1)"
        in splits.alarms[0]
    )
    clean = loaded(source, deduplicate=True)
    assert clean.alarms == ()
    assert (
        "1 images that equal an earlier one are left out (--deduplicate), 1 of them under another class: "
        "the first one's is kept"
    ) in clean.notes


def put_subjects(root):
    """Two classes of eight subjects, six shots of each that differ by a little noise."""
    for name in "ab":
        (root / name).mkdir(parents=True)
        for subject in range(8):
            base = RNG.integers(0, 90, (16, 16), dtype=np.uint8)
            for shot in range(6):
                pixels = base + RNG.integers(0, 4, (16, 16), dtype=np.uint8)
                Image.fromarray(pixels).save(root / name / f"{subject}_{shot}.png")
    return str(root)


def test_similar_images_across_a_split_are_an_alarm_and_stay_together_by_name(tmp_path):
    source = put_subjects(tmp_path / "set")
    assert "test images are nearly the same as one trained on" in loaded(source).alarms[0]
    splits = loaded(source, group_by="([0-9]+)_")
    assert splits.alarms == ()
    assert splits.checks["near_copies"] == 96
    subjects = [
        set((part.row_id // 6 % 8).tolist()) for part in (splits.train, splits.validation, splits.test)
    ]
    assert sum(map(len, subjects)) == 8
    assert all(subjects)


def test_turned_training_images_in_the_test_split_are_an_alarm(tmp_path):
    arrays = {"x_train": NOISE[:40], "y_train": LABELS[:40], "y_test": LABELS[:20]}
    tested = np.concatenate([NOISE[:5, :, ::-1], NOISE[40:55]])
    splits = loaded(save(tmp_path, **arrays, x_test=tested))
    what = (
        "ALARM: 5 of 20 test images are mirrored or turned copies of images trained on: accuracy is flattered"
    )
    assert splits.alarms[0].startswith(what)
    assert splits.checks["test_images_turned_in_train"] == 5
    assert splits.checks["test_images_nearly_in_train"] == 0
    arrays["y_test"] = 1 - arrays["y_test"]  # in another class it is another thing
    assert loaded(save(tmp_path, **arrays, x_test=tested)).alarms == ()


def test_group_by_needs_file_names_and_a_group():
    with pytest.raises(UsageError, match="have no file names"):
        loaded("digits", group_by="(.)")
    for pattern in ("abc", "("):
        with pytest.raises(UsageError, match=f"--group-by '{pattern.replace('(', '.')}"):
            DataConfig(group_by=pattern)


def test_a_class_of_one_image_many_times_cannot_be_split(tmp_path):
    source = save(
        tmp_path, images=np.concatenate([NOISE, NOISE[:1], NOISE[:1]])[58:], labels=np.array([0, 0, 1, 1])
    )
    with pytest.raises(DataError, match="all images of class '1' are in one group"):
        loaded(source)


@pytest.mark.parametrize("renamed", [False, True])
def test_gangdas_own_images_are_known_again(tmp_path, renamed):
    for name in "ab":
        (tmp_path / "set" / name).mkdir(parents=True)
    origins = np.repeat(np.arange(3, dtype=np.uint8), 20)
    for number, (origin, data) in enumerate(zip(origins, encode_png(NOISE, origins), strict=True)):
        name = (
            f"{number}.png" if renamed else f"{number:08d}-{('real', 'traditional', 'generated')[origin]}.png"
        )
        (tmp_path / "set" / "ab"[number % 2] / name).write_bytes(data)
    splits = loaded(str(tmp_path / "set"))
    assert splits.checks["synthetic"] == [20, 20]
    assert "ALARM: 40 of 60 images were made by gangda" in splits.alarms[0]
    assert not splits.test.origin.any()
    assert not splits.validation.origin.any()
    assert (splits.train.origin != 0).sum() == 40


@pytest.mark.parametrize("end", ["png", "jpg"])
def test_gangdas_own_images_in_a_test_folder_are_refused(tmp_path, end):
    for part in ("train", "test"):
        for number, data in enumerate(encode_png(NOISE[:20])):
            path = tmp_path / part / "ab"[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    path.unlink()
    Image.fromarray(NOISE[19, ..., 0]).save(path.with_name(f"00000019-generated.{end}"))
    with pytest.raises(
        DataError, match="1 of 20 test images were made by gangda, by their names or text; take"
    ):
        loaded(str(tmp_path))


def test_nearly_constant_images_are_an_alarm(tmp_path):
    flat = (NOISE // 100).astype(np.uint8) + 100
    source = save(tmp_path, images=np.concatenate([NOISE, flat]), labels=np.r_[LABELS, LABELS])
    splits = loaded(source)
    assert splits.checks["constant"] == [30, 30]
    assert any(alarm.startswith("ALARM: 60 of 120 images are nearly constant") for alarm in splits.alarms)


@pytest.mark.parametrize("kind", ["npz", "png"])
def test_dark_values_of_8_bits_are_scaled(tmp_path, kind):
    small = (NOISE // 15).astype(np.uint8)
    if kind == "npz":
        source = save(tmp_path, images=small, labels=LABELS)
    else:
        source = str(tmp_path / "set")
        for number, image in enumerate(small):
            (tmp_path / "set" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[..., 0]).save(tmp_path / "set" / "ab"[number % 2] / f"{number}.png")
    images = load_source(DataConfig(source=source))
    assert images.train.pixels.max() == 255
    assert "values 0 to 17: scaled to 0-255" in images.notes
    assert load_source(DataConfig(source=source, value_range=(0, 255))).train.pixels.max() == 17


def test_what_was_read_is_always_said(tmp_path):
    assert loaded(save(tmp_path, images=NOISE, labels=LABELS)).notes[0] == "values 0 to 255: as they are"


def test_a_range_that_many_images_leave_is_an_alarm(tmp_path):
    source = save(tmp_path, images=NOISE, labels=LABELS)
    (alarm,) = loaded(source, value_range=(0, 100)).alarms
    assert alarm.startswith("ALARM: 60 of 60 images go far beyond values 0 to 100")


def test_sources_without_twins_are_as_they_were():
    splits = loaded("digits", per_class=20)
    assert (splits.fingerprint, splits.alarms, splits.notes) == ("4a09b091a79d462c", (), ())
    assert [part.content_hash() for part in (loaded("digits").train, loaded("digits").test)] == [
        "3338840966ed6d36",
        "7efec7874a0e66c5",
    ]
