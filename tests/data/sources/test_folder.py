import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

from gangda.data.sources.folder import list_images, read
from gangda.errors import DataError


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GANGDA_CACHE", str(tmp_path_factory.mktemp("cache")))


def put(path: Path, value: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), value).save(path)


@pytest.fixture
def classes(tmp_path) -> Path:
    for number in range(3):
        put(tmp_path / "set" / "cat" / f"{number}.png", number)
        put(tmp_path / "set" / "ant" / f"{number}.png", 10 + number)
    return tmp_path / "set"


def test_classes_and_images_are_in_image_folders_order(classes):
    put(classes / "Zebra" / "10.PNG", 20)
    put(classes / "Zebra" / "9.PNG", 21)
    decoded, theirs = read(classes, None), ImageFolder(str(classes))
    assert list(decoded.class_names) == theirs.classes == ["Zebra", "ant", "cat"]
    assert decoded.labels.tolist() == theirs.targets
    np.testing.assert_array_equal(
        decoded.pixels[:, 0, 0, 0], [np.asarray(image)[0, 0, 0] for image, _ in theirs]
    )
    assert decoded.test_rows is None


@pytest.mark.parametrize("names", [("train", "test", "val"), ("Training", "Testing", "VALID")])
def test_split_folders_and_merged_validation(tmp_path, names):
    for part, count in zip(names, (3, 2, 1), strict=True):
        for number in range(count):
            put(tmp_path / part / "a" / f"{number}.png")
            put(tmp_path / part / "b" / f"{number}.png")
    decoded = read(tmp_path, None)
    assert decoded.test_rows.tolist() == [8, 9, 10, 11]
    assert decoded.labels.tolist() == [0, 0, 0, 1, 1, 1, 0, 1, 0, 0, 1, 1]
    assert "2 validation images were merged into train" in decoded.notes[0]


def test_a_class_may_be_called_train(classes):
    put(classes / "train" / "locomotive.png")
    assert list_images(classes).class_names == ("ant", "cat", "train")


def test_flat_folders_are_unlabelled(tmp_path):
    for number in range(4):
        put(tmp_path / "flat" / f"{number}.png")
        put(tmp_path / "split" / "train" / f"{number}.png")
    put(tmp_path / "split" / "test" / "0.png")
    assert read(tmp_path / "flat", None).class_names == ("unlabelled",)
    split = read(tmp_path / "split", None)
    assert split.class_names == ("unlabelled",)
    assert split.test_rows.tolist() == [4]


def test_hidden_files_are_ignored_and_others_counted(classes):
    put(classes / ".thumbs" / "a.png")
    put(classes / "cat" / "._0.png")
    (classes / "cat" / "notes.txt").write_text("hello")
    (classes / "README").write_text("hello")
    listing = list_images(classes)
    assert len(listing.files) == 6
    assert listing.notes == ("skipped 2 files that are not images, such as README",)


def test_links_are_followed_and_loops_cannot_be_entered(classes, tmp_path):
    put(tmp_path / "elsewhere" / "far.png", 99)
    (classes / "bee").symlink_to(tmp_path / "elsewhere")
    (classes / "cat" / "near.png").symlink_to(tmp_path / "elsewhere" / "far.png")
    (classes / "cat" / "self").symlink_to(classes / "cat" / "self")  # an endless link without an image's name
    decoded = read(classes, None)
    assert decoded.class_names == ("ant", "bee", "cat")
    assert decoded.pixels[:, 0, 0, 0].tolist() == [10, 11, 12, 99, 0, 1, 2, 99]


def dangle(root):
    (root / "cat" / "gone.png").symlink_to(root / "nowhere")


def corrupt(root):
    path = root / "cat" / "1.png"
    path.write_bytes(path.read_bytes()[:40])


def deepen(root):
    put(root / "cat" / "tabby" / "0.png")


def nest(root):
    for name in ("ant", "cat"):
        (root / name).rename(root.parent / f"{name}_")
    for name in ("ant", "cat"):
        (root / "images").mkdir(exist_ok=True)
        (root.parent / f"{name}_").rename(root / "images" / name)


def unreadable(root):
    (root / "cat" / "x.png").mkdir()
    (root / "cat" / "x.png").rmdir()
    os.mkfifo(root / "cat" / "x.png")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda root: (root / "empty").mkdir(), "empty: class 'empty' has no images"),
        (deepen, "tabby: images lie one folder too deep; move them up into .*cat"),
        (nest, "images/ant: images lie one folder too deep; .* give --data .*images if"),
        (lambda root: put(root / "stray.png"), "1 images .such as stray.png. lie beside folders"),
        (lambda root: (root / "cat" / "loop").symlink_to(root), "loop: images lie one folder too deep"),
        (dangle, "gone.png: a link to nothing"),
        (unreadable, "x.png: a link to nothing, or not a file"),
        (corrupt, r"cat/1.png: cannot be decoded"),
        (lambda root: put(root / "train" / "cat" / "0.png"), "'ant' lies beside it"),
    ],
)
def test_bad_folders_are_named(classes, spoil, says):
    spoil(classes)
    with pytest.raises(DataError, match=says):
        read(classes, None)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (["readme.txt"], "no images"),
        (
            ["train/a/0.png", "train/b/0.png", "test/c/0.png"],
            "class 'c' has test images but no training images",
        ),
        (["train/a/0.png", "train/b/0.png", "test/0.png"], "class 'unlabelled' has test images"),
        (["train/a/0.png", "train/0.png"], "lie beside folders"),
        (["train/a/0.png", "test/readme.txt"], "test: no images"),
    ],
)
def test_bad_splits_are_named(tmp_path, files, says):
    for name in files:
        put(tmp_path / name) if name.endswith(".png") else (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=says):
        read(tmp_path, None)
