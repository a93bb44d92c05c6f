import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gangda.config import catalog
from gangda.config.schema import DataConfig
from gangda.data.images import GENERATED, LabelledImages, generated_images
from gangda.data.loading import found_sets, load_source, load_splits
from gangda.data.sample_set import SetHeader, set_being_written
from gangda.errors import DataError, UsageError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory, monkeypatch):
    for name in ("GANGDA_CACHE", "GANGDA_DATA_FOLDER"):
        monkeypatch.setenv(name, str(tmp_path_factory.mktemp(name)))


def put_folder(root: Path, counts: dict[str, int], size: tuple[int, int] = (9, 9)) -> Path:
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = RNG.integers(0, 256, (*reversed(size), 3), np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


def put_npz(path: Path, classes: int = 3, size: int = 9) -> Path:
    images = RNG.integers(0, 256, (10 * classes, size, size), np.uint8)
    np.savez(path, images=images, labels=np.arange(10 * classes) % classes)
    return path


def put_set(
    out: Path,
    images: LabelledImages,
    config: DataConfig,
    fingerprint: str,
    fakes: int = 6,
    parent: np.ndarray | None = None,
    **header,
) -> Path:
    """An augmented set (a sample set where `images` is empty) of some generated images behind the real ones."""
    channels, height, width = images.image_shape
    pixels = RNG.integers(0, 256, (fakes, height, width, channels), np.uint8)
    labels = np.arange(fakes) % images.num_classes
    total = images.counts() + np.bincount(labels, minlength=images.num_classes)
    about = SetHeader(
        **{"kind": "augmented", "format": "npz", "key": "k"} | header,
        class_names=images.class_names,
        image_shape=images.image_shape,
        total=tuple(total.tolist()),
        data={"config": dataclasses.asdict(config), "seed": 0, "fingerprint": fingerprint},
    )
    with set_being_written(out, about) as writer:
        writer.write(images, 0)
        writer.write(generated_images(pixels, labels, images.class_names, parent=parent), len(images))
    return out


def test_digits_are_the_default():
    splits = load_splits(DataConfig(), 0)
    assert splits.train.image_shape == (1, 8, 8)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [1292, 145, 360]
    assert splits.fingerprint == "4a09b091a79d462c"  # runs are found again by it


def test_row_ids_are_unique_and_do_not_depend_on_the_seed():
    pixels = {}
    for seed in (0, 1):
        splits = load_splits(DataConfig(per_class=20), seed)
        parts = (splits.train, splits.validation, splits.test)
        rows = np.concatenate([part.row_id for part in parts])
        assert len(np.unique(rows)) == len(rows)
        for part in parts:
            for row, image in zip(part.row_id.tolist(), part.pixels, strict=True):
                np.testing.assert_array_equal(pixels.setdefault(row, image), image)


def test_fingerprint_is_of_the_content_and_the_size(tmp_path):
    put_npz(tmp_path / "a.npz")
    (tmp_path / "b.npz").write_bytes((tmp_path / "a.npz").read_bytes())

    def of(name, **options):
        return load_source(DataConfig(source=str(tmp_path / name), **options)).fingerprint

    first = of("a.npz")
    assert of("b.npz") == of("a.npz", per_class=2, validation=0.3) == of("a.npz", image_size=9) == first
    assert of("a.npz", image_size=10) != first
    put_npz(tmp_path / "b.npz")
    assert of("b.npz") != first


@pytest.mark.parametrize("size", [8, 28, 64])
@pytest.mark.parametrize("kind", ["digits", "folder", "npz"])
def test_any_source_comes_at_the_size_asked_for(tmp_path, kind, size):
    source = {
        "digits": lambda: "digits",
        "folder": lambda: str(put_folder(tmp_path / "set", {"a": 4, "b": 4})),
        "npz": lambda: str(put_npz(tmp_path / "set.npz")),
    }[kind]()
    splits = load_splits(DataConfig(source=source, image_size=size), 0)
    assert splits.train.image_shape[1:] == splits.test.image_shape[1:] == (size, size)


def test_folders_give_the_same_from_the_cache(tmp_path):
    config = DataConfig(source=str(put_folder(tmp_path / "set", {"a": 6, "b": 2}, size=(12, 9))))
    first, again = load_splits(config, 0), load_splits(config, 0)
    assert first.fingerprint == again.fingerprint
    assert first.notes == again.notes
    assert "images are 12x9" in first.notes[0]
    np.testing.assert_array_equal(first.train.pixels, again.train.pixels)
    assert isinstance(load_source(config).train.pixels, np.memmap)
    assert again.test.counts().tolist() == [1, 1]
    put_folder(tmp_path / "more", {"c": 2})
    (tmp_path / "more" / "c").rename(tmp_path / "set" / "c")
    assert load_source(config).train.num_classes == 3


def test_unlabelled_images_are_one_class(tmp_path):
    put_folder(tmp_path, {"flat": 5})
    splits = load_splits(DataConfig(source=str(tmp_path / "flat")), 0)
    assert not splits.labelled
    assert (len(splits.train), len(splits.test)) == (4, 1)


def test_many_classes(tmp_path):
    splits = load_splits(DataConfig(source=str(put_npz(tmp_path / "set.npz", classes=120)), per_class=4), 0)
    assert splits.train.counts().tolist() == [4] * 120


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")
def test_the_same_set_by_name_and_by_path():
    named, path = (load_source(DataConfig(source=source)) for source in ("fashion-mnist", str(DEBIAN)))
    assert (named.fingerprint, named.train.class_names) == (path.fingerprint, path.train.class_names)
    assert ("fashion-mnist", str(DEBIAN)) in found_sets()


def test_found_sets_names_all_of_them():
    found = dict(found_sets())
    assert tuple(found) == tuple(catalog.SOURCES)
    assert found["digits"] == "built in"
    assert found["mnist"] is None


@pytest.mark.parametrize("format", ["png", "npz", "idx"])
def test_an_augmented_set_takes_the_test_split_of_its_source(tmp_path, format):
    config = DataConfig(per_class=10)
    real = load_splits(config, 3)
    put_set(tmp_path / "set", real.train, config, real.fingerprint, format=format)
    splits = load_splits(DataConfig(source=str(tmp_path / "set"), validation=0.2), 0)
    assert splits.test.row_id.tolist() == real.test.row_id.tolist()
    assert not splits.validation.origin.any()
    assert (splits.train.origin == GENERATED).sum() == 6
    assert set(splits.validation.row_id.tolist()) < set(real.train.row_id.tolist())
    assert splits.notes == ("its test split is that of digits",)


def test_an_augmented_set_whose_source_changed_tests_on_its_own_real_images(tmp_path):
    source = put_npz(tmp_path / "set.npz")
    config = DataConfig(source=str(source))
    real = load_splits(config, 0)
    out = put_set(tmp_path / "augmented", real.train, config, real.fingerprint)
    for spoil, says in ((lambda: put_npz(source), "has changed"), (source.unlink, "cannot be loaded")):
        spoil()
        splits = load_splits(DataConfig(source=str(out)), 0)
        assert says in splits.notes[0]
        assert len(splits.test) > 0
        assert not splits.test.origin.any()
        assert not set(splits.test.row_id.tolist()) & set(splits.train.row_id.tolist())


def test_a_set_of_other_channels_than_its_source_says_so(tmp_path):
    config = DataConfig(per_class=10)
    real = load_splits(config, 3)
    rgb = dataclasses.replace(real.train, pixels=real.train.pixels.repeat(3, axis=3))
    put_set(tmp_path / "set", rgb, config, real.fingerprint)
    note = load_splits(DataConfig(source=str(tmp_path / "set")), 0).notes[0]
    assert note == "the data it was made from (digits) has other channels; its test split is not used"


def test_options_that_do_nothing_are_said(tmp_path):
    config = DataConfig(per_class=10)
    real = load_splits(config, 3)
    source = str(put_set(tmp_path / "set", real.train, config, real.fingerprint))
    given = {"value_range": (0, 9), "deduplicate": True, "channels": 3}
    notes = load_splits(DataConfig(source=source, **given), 0).notes
    what = "not used, as the images of a set that gangda wrote are known"
    assert f"--value-range and --channels and --deduplicate: {what}" in notes
    digits = load_splits(DataConfig(**given), 0)
    assert digits.train.image_shape == (3, 8, 8)
    assert "--value-range: not used, as the images of --data digits are known" in digits.notes


def test_a_set_made_from_its_sources_test_images_is_refused(tmp_path):
    config = DataConfig(per_class=10)
    real = load_splits(config, 3)
    for name, parents in (("train", real.train.row_id[:6]), ("test", real.test.row_id[:6])):
        put_set(tmp_path / name, real.train, config, real.fingerprint, parent=parents)
    assert len(load_splits(DataConfig(source=str(tmp_path / "train"), validation=0), 0).train) == 96
    with pytest.raises(
        DataError, match=r"test: 6 of its images are made from test images; make the set again$"
    ):
        load_splits(DataConfig(source=str(tmp_path / "test")), 0)


def test_a_sample_set_is_training_material_only(tmp_path):
    real = load_splits(DataConfig(), 0)
    missing = DataConfig(source="/nowhere/at/all")
    put_set(tmp_path / "set", real.train.take([]), missing, "f", fakes=20, kind="samples")
    splits = load_splits(DataConfig(source=str(tmp_path / "set")), 0)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (20, 0, 0)


def test_a_set_that_names_itself_as_its_source_ends(tmp_path):
    real = load_splits(DataConfig(), 0)
    put_set(tmp_path / "set", real.train, DataConfig(source=str(tmp_path / "set")), "f")
    assert "names the set itself" in load_source(DataConfig(source=str(tmp_path / "set"))).notes[0]


def one_class(path):
    return str(put_folder(path / "set", {"cats": 4}))


def empty_train_class(path):
    images = np.zeros((4, 9, 9), np.uint8)
    names = np.array(["a", "b", "c"])
    np.savez(path / "set.npz", images=images, labels=[0, 0, 2, 2], class_names=names)
    return str(path / "set.npz")


def text(path):
    (path / "set.txt").write_text("hello")
    return str(path / "set.txt")


@pytest.mark.parametrize(
    ("source", "error", "says"),
    [
        (lambda path: "digit", DataError, "did you mean 'digits'.* or give the path"),
        (lambda path: path.joinpath("my_icons").mkdir() or "my_icon", DataError, "did you mean 'my_icons'"),
        (lambda path: "", DataError, "unknown data set ''"),
        (lambda path: "a\0b/c", DataError, "no such file"),
        (lambda path: "x" * 5000, DataError, "unknown data set"),
        (lambda path: str(path / "nothing"), DataError, "nothing: no such file or folder"),
        (lambda path: str(path), DataError, "no images"),
        (text, DataError, "unknown kind of file"),
        (one_class, DataError, r"one class only \('cats'\)"),
        (empty_train_class, DataError, "class 'b' has no training images"),
    ],
)
def test_bad_sources_are_one_clear_line(tmp_path, source, error, says, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=says) as caught:
        load_splits(DataConfig(source=source(tmp_path)), 0)
    assert "\n" not in str(caught.value)


def test_wrong_number_of_class_counts_is_a_usage_error():
    with pytest.raises(UsageError, match="3 numbers for 10 classes"):
        load_splits(DataConfig(class_counts=(1, 2, 3)), 0)
