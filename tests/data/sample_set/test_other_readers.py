"""Sets in every format, opened by the program that the format is for."""

import json
import zipfile

import numpy as np
import pytest
import torch
import torchvision
import yaml

from gangda.data.images import ORIGINS, generated_images, real_images
from gangda.data.sample_set import SetHeader, read_set, set_being_written
from gangda.data.sample_set.card import with_scores
from gangda.data.sources import npz as npz_source
from gangda.errors import DataError

NAMES = ("ant", "bee", "cät")
RNG = np.random.default_rng(0)
LABELS = np.array([0, 0, 1, 2, 2, 2])


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    for name in ("HF_HOME", "HF_DATASETS_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "hf"))
    monkeypatch.setattr("os.sync", lambda: None)


def write(out, form, channels=1):
    """Three real and three generated images; returns the pixels, uint8 (6, 8, 8, C)."""
    pixels = RNG.integers(0, 256, (6, 8, 8, channels), np.uint8)
    header = SetHeader(
        kind="augmented",
        format=form,
        key="k" * 16,
        class_names=NAMES,
        image_shape=(channels, 8, 8),
        total=(2, 1, 3),
        provenance={"seed": 7},
    )
    with set_being_written(out, header) as writer:
        writer.write(real_images(pixels[:3], LABELS[:3], NAMES), 0)
        writer.write(generated_images(pixels[3:], 2, NAMES, generator=np.zeros(3, np.int64)), 3)
    np.testing.assert_array_equal(read_set(out).images.pixels, pixels)
    assert read_set(out).images.labels.tolist() == LABELS.tolist()
    return pixels


def grey(image):
    return np.asarray(image)[..., None]


def test_torchvision_opens_an_idx_set_as_mnist(tmp_path):
    pixels = write(tmp_path / "set", "idx")
    mnist = torchvision.datasets.MNIST(tmp_path / "set")
    assert mnist.targets.tolist() == LABELS.tolist()
    np.testing.assert_array_equal(mnist.data.numpy()[..., None], pixels)


def test_image_folder_opens_a_png_set(tmp_path):
    pixels = write(tmp_path / "set", "png", 3)
    folder = torchvision.datasets.ImageFolder(tmp_path / "set")
    assert folder.classes == list(NAMES)
    assert folder.targets == LABELS.tolist()
    np.testing.assert_array_equal(np.stack([np.asarray(image) for image, _ in folder]), pixels)


def load(path, tmp_path, **how):
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    return datasets.load_dataset(path, split="train", cache_dir=str(tmp_path / "hf"), **how)


def check_metadata(found, pixels):
    assert found["label"] == LABELS.tolist()
    assert found["synthetic"] == [False] * 3 + [True] * 3
    assert found["seed"] == [None] * 3 + [7] * 3
    assert found["generator"] == [None] * 3 + [0] * 3
    np.testing.assert_array_equal(np.stack([grey(image) for image in found["image"]]), pixels)


@pytest.mark.parametrize("form", ["png", "zip"])
def test_hugging_face_reads_image_folders(form, tmp_path):
    pixels = write(tmp_path / "set", form)
    where = {
        "png": {"data_dir": str(tmp_path / "set")},
        "zip": {"data_files": str(tmp_path / "set/images.zip")},
    }
    found = load("imagefolder", tmp_path, **where[form])
    check_metadata({name: found[name][:] for name in found.column_names}, pixels)
    if form == "png":
        import datasets

        named = found.cast_column("label", datasets.ClassLabel(names=list(NAMES)))
        assert named.features["label"].int2str(2) == "cät"
        alone = load("imagefolder", tmp_path, data_files=str(tmp_path / "set/*/*.png"))
        assert alone.features["label"].names == list(NAMES)
        assert alone["label"][:] == LABELS.tolist()


def test_hugging_face_reads_parquet_with_class_names(tmp_path):
    pixels = write(tmp_path / "set", "parquet")
    found = load("parquet", tmp_path, data_files=str(tmp_path / "set/images.parquet"))
    assert found.features["label"].names == list(NAMES)
    check_metadata({name: found[name][:] for name in found.column_names}, pixels)
    by_folder = load(str(tmp_path / "set"), tmp_path)
    assert by_folder.features["label"].names == list(NAMES)


def test_webdataset_reads_tar_shards(tmp_path):
    webdataset = pytest.importorskip("webdataset")
    pixels = write(tmp_path / "set", "tar")
    shards = str(tmp_path / "set" / "images-{00000..00000}.tar")
    read = webdataset.WebDataset(shards, shardshuffle=False).decode("pil").to_tuple("png", "cls", "json")
    images, labels, rows = zip(*read, strict=True)
    # It decodes to RGB.
    np.testing.assert_array_equal(np.stack([np.asarray(image)[..., :1] for image in images]), pixels)
    assert list(labels) == LABELS.tolist()
    assert [row["origin"] for row in rows] == ["real"] * 3 + ["generated"] * 3


@pytest.mark.parametrize(
    ("form", "names", "shapes"),
    [
        ("npz", ("images", "labels"), ((6, 8, 8, 1), (6,))),
        ("npz-keras", ("x_train", "y_train"), ((6, 8, 8), (6,))),
        ("npz-medmnist", ("train_images", "train_labels"), ((6, 8, 8), (6, 1))),
        ("npz-guided-diffusion", ("arr_0", "arr_1"), ((6, 8, 8, 1), (6,))),
    ],
)
def test_numpy_reads_arrays_by_the_names_of_other_programs(form, names, shapes, tmp_path):
    pixels = write(tmp_path / "set", form)
    path = tmp_path / "set" / "images-00000.npz"
    with np.load(path) as arrays:
        images, labels = (arrays[name] for name in names)
        assert (images.shape, labels.shape) == shapes
        np.testing.assert_array_equal(images.reshape(pixels.shape), pixels)
        assert labels.ravel().tolist() == LABELS.tolist()
        assert arrays["class_names"].tolist() == list(NAMES)
        assert arrays["origin_names"][arrays["origin"]].tolist() == ["real"] * 3 + ["generated"] * 3
    with pytest.raises(DataError, match="part of a sample set"):
        npz_source.read(path)
    assert json.loads((tmp_path / "set" / "index.json").read_text())["origins"] == list(ORIGINS)


@pytest.mark.parametrize("form", ["tar", "zip", "npz", "idx"])
def test_files_are_the_same_bytes_when_made_again(form, tmp_path):
    RNG.bit_generator.state = np.random.default_rng(5).bit_generator.state
    write(tmp_path / "one", form)
    RNG.bit_generator.state = np.random.default_rng(5).bit_generator.state
    write(tmp_path / "two", form)
    files = [path for path in sorted((tmp_path / "one").rglob("*")) if path.is_file()]
    for path in files:
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()


def test_a_zip_unpacks_to_class_folders(tmp_path):
    pixels = write(tmp_path / "set", "zip")
    with zipfile.ZipFile(tmp_path / "set" / "images.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    folder = torchvision.datasets.ImageFolder(tmp_path / "unpacked")
    assert torch.tensor(folder.targets).tolist() == LABELS.tolist()
    np.testing.assert_array_equal(np.stack([np.asarray(image)[..., :1] for image, _ in folder]), pixels)


def test_a_data_card_has_hugging_faces_fields(tmp_path):
    write(tmp_path / "set", "png")
    head, text = (tmp_path / "set" / "README.md").read_text().split("---\n")[1:]
    fields = yaml.safe_load(head)
    assert fields["task_categories"] == ["image-classification"]
    assert fields["size_categories"] == ["n<1K"]
    assert "synthetic" in fields["tags"]
    for part in ("6 images of 3 classes, 8x8 grey", "## Intended use", "## Limits", "| cät | 3 |"):
        assert part in text
    card = f"---\n{head}---\n{text}"
    scored = with_scores(card, "By x.", [("fid", "0.5", "0.1")])
    assert scored.startswith(card.rstrip())
    assert scored.endswith(
        "## Scores\n\nBy x.\n\n| metric | samples | real images |\n| --- | --- | --- |\n| fid | 0.5 | 0.1 |\n"
    )
    assert with_scores(scored, "By x.", [("fid", "0.5", "0.1")]) == scored  # found again: it is replaced
