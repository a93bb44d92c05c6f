import json
import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

from gangda.config.schema import DataConfig
from gangda.data.sources import folder
from gangda.data.sources.folder import list_images
from gangda.errors import DataError


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GANGDA_CACHE", str(tmp_path_factory.mktemp("cache")))


def read(root: Path, size: int | None):
    return folder.read(root, DataConfig(source=str(root), image_size=size))


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
    assert listing.notes == (
        "skipped 2: files that are not images, such as README",
        "skipped 2: hidden files, or left behind by the system, such as .thumbs",
    )


def test_links_are_followed_and_loops_cannot_be_entered(classes, tmp_path):
    put(tmp_path / "elsewhere" / "far.png", 99)
    (classes / "bee").symlink_to(tmp_path / "elsewhere")
    (classes / "cat" / "near.png").symlink_to(tmp_path / "elsewhere" / "far.png")
    (classes / "cat" / "self").symlink_to(classes / "cat" / "self")  # an endless link without an image's name
    decoded = read(classes, None)
    assert decoded.class_names == ("ant", "bee", "cat")
    assert decoded.pixels[:, 0, 0, 0].tolist() == [10, 11, 12, 99, 0, 1, 2, 99]


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


def test_two_folders_of_one_part_are_said(tmp_path):
    for part in ("train", "training", "test"):
        for name in "ab":
            put(tmp_path / part / name / "0.png")
    notes = list_images(tmp_path).notes
    assert [note for note in notes if "together" in note] == ["train and training are taken together"]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda root: (root / "empty").mkdir(), "empty: class 'empty' has no images"),
        (deepen, "tabby: images lie one folder too deep; move them up into .*cat"),
        (nest, "images/ant: images lie one folder too deep; .* give --data .*images if"),
        (lambda root: put(root / "stray.png"), "beside folders lie images .1, such as stray.png."),
        (lambda root: (root / "cat" / "loop").symlink_to(root), "too deep; it is a link to .*: remove it"),
        (lambda root: put(root / "cat" / "test" / "0.png"), "move them to .*set/test/cat, and so all"),
        (lambda root: put(root / "test_set" / "cat" / "0.png"), "rename test_set to test if it holds"),
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
        (["train.zip", "readme.txt"], "no images .*; unpack train.zip, or give class folders"),
        (
            ["train/a/0.png", "train/b/0.png", "test/c/0.png"],
            "class 'c' has test images but no training images",
        ),
        (["train/a/0.png", "train/b/0.png", "test/0.png"], "test images have no class folders"),
        (["val/a/0.png", "test/a/0.png"], "has no folder train beside test; call that of the training"),
        (["train/a/0.png", "train/0.png"], "beside folders lie images"),
        (["train/a/0.png", "test/readme.txt"], "test: no images"),
    ],
)
def test_bad_splits_are_named(tmp_path, files, says):
    for name in files:
        put(tmp_path / name) if name.endswith(".png") else (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=says):
        read(tmp_path, None)


def test_what_is_no_image_is_passed_over_and_counted(classes):
    (classes / "cat" / "gone.png").symlink_to(classes / "nowhere")
    os.mkfifo(classes / "cat" / "x.png")
    (classes / "cat" / "Thumbs.db").write_bytes(b"x")
    put(classes / "ant" / "@eaDir" / "0.png")
    listing = list_images(classes)
    assert len(listing.files) == 6
    assert sorted(listing.notes) == [
        "skipped 1: links to nothing, such as gone.png",
        "skipped 1: neither files nor folders, such as x.png",
        "skipped 2: hidden files, or left behind by the system, such as @eaDir",
    ]


def test_a_file_is_an_image_by_its_content(classes):
    Image.new("RGB", (8, 8), (9, 9, 9)).save(classes / "cat" / "photo", format="JPEG")
    (classes / "cat" / "2.png").rename(classes / "cat" / "2.data")
    assert len(list_images(classes).files) == 7


def test_numbered_classes_are_in_natural_order(tmp_path):
    for name in ("1", "2", "10"):
        put(tmp_path / name / "0.png")
    listing = list_images(tmp_path)
    assert listing.class_names == ("1", "2", "10")
    assert listing.notes == ("classes in natural order: 0=1, 1=2, 2=10",)


def test_spellings_of_unicode_are_one_class(tmp_path):
    for form in ("NFC", "NFD"):
        put(tmp_path / unicodedata.normalize(form, "café") / f"{form}.png")
    put(tmp_path / "tea" / "0.png")
    listing = list_images(tmp_path)
    assert listing.class_names == ("café", "tea")
    assert listing.labels.tolist() == [0, 0, 1]
    assert "spellings are taken as one" in listing.notes[0]


def test_names_that_differ_in_leading_zeros_are_refused(classes):
    for name in ("1", "01"):
        put(classes / name / "0.png")
    with pytest.raises(DataError, match="'01' and '1' differ only in how a number is written"):
        list_images(classes)


@pytest.mark.parametrize("other", ["Cat", "cat ", " CAT"])
def test_names_that_differ_in_case_or_blanks_are_refused(classes, other):
    put(classes / other / "0.png")
    with pytest.raises(DataError, match="differ only in case or blanks"):
        list_images(classes)


def test_names_that_are_not_utf8_are_refused_at_once(classes, monkeypatch):
    os.close(os.open(os.fsencode(classes / "cat") + b"/caf\xe9.png", os.O_CREAT | os.O_WRONLY))
    with pytest.raises(DataError, match=r"cat: 1 names are not UTF-8, such as caf\\xe9\.png; rename"):
        list_images(classes)
    monkeypatch.setattr("sys.getfilesystemencoding", lambda: "ascii")
    with pytest.raises(
        DataError, match=r"cat: 1 names are not ASCII, .*; set a UTF-8 locale, such as LC_ALL=C\.UTF-8"
    ):
        list_images(classes)


def test_an_empty_class_in_the_test_folder_is_allowed(tmp_path):
    for name in ("train/a/0.png", "train/b/0.png", "test/a/0.png"):
        put(tmp_path / name)
    (tmp_path / "test" / "b").mkdir()
    assert list_images(tmp_path).labels.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("place", "name", "content"),
    [
        ("experiments/digits-pca-12345678", "plan.json", {"kind": "plan of a comparison"}),
        ("runs/d-pca-1", "run.json", {"finished": False}),
        ("samples/s", "index.json", {"kind": "samples"}),
        ("elsewhere", "scores.json", {"metrics": []}),
    ],
)
def test_folders_that_gangda_wrote_are_passed_over(classes, place, name, content):
    put(classes / place / "0.png")
    (classes / place / name).write_text(json.dumps({"format_version": 1, **content}))
    listing = list_images(classes)
    assert listing.class_names == ("ant", "cat")
    assert listing.notes == (f"skipped 1: folders that gangda wrote, such as {place.split('/')[0]}",)


def test_a_class_may_be_called_samples(classes):
    put(classes / "samples" / "0.png")
    (classes / "cat" / "index.json").write_text("[]")
    assert list_images(classes).class_names == ("ant", "cat", "samples")


def swap_contents(first, second):
    """Exchange the contents of two files of equal size, and set their times back."""
    before = [path.stat() for path in (first, second)]
    contents = [path.read_bytes() for path in (second, first)]
    assert len(contents[0]) == len(contents[1])
    for path, data, state in zip((first, second), contents, before, strict=True):
        path.write_bytes(data)
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def test_a_changed_file_of_the_same_size_and_time_is_seen(tmp_path):
    for name, value in (("a", 10), ("b", 200)):
        (tmp_path / name).mkdir()
        Image.new("L", (8, 8), value).save(tmp_path / name / "0.bmp")
    assert read(tmp_path, None).pixels[:, 0, 0, 0].tolist() == [10, 200]
    swap_contents(tmp_path / "a" / "0.bmp", tmp_path / "b" / "0.bmp")
    assert read(tmp_path, None).pixels[:, 0, 0, 0].tolist() == [200, 10]
