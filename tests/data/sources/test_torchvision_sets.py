import hashlib
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from idx_files import write_idx
from torchvision import datasets

from gangda.config.schema import DataConfig
from gangda.data.sources import torchvision_sets
from gangda.data.sources.idx import FASHION_MNIST
from gangda.data.sources.torchvision_sets import find, load
from gangda.errors import DataError


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("GANGDA_DATA_FOLDER", str(tmp_path / "data"))
    monkeypatch.setattr(torchvision_sets, "SYSTEM_FOLDER", tmp_path / "system")
    return tmp_path / "data"


def put_idx(folder, classes=10):
    for part, count in (("train", 30), ("t10k", 20)):
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", np.zeros((count, 28, 28), dtype=np.uint8))
        write_idx(folder / f"{part}-labels-idx1-ubyte", (np.arange(count) % classes).astype(np.uint8))


@pytest.mark.parametrize("place", ["data/MNIST/raw", "data/mnist", "system/mnist"])
def test_idx_sets_are_found_in_each_place(root, place):
    assert find("mnist") is None
    put_idx(root.parent / place)
    assert find("mnist") == root.parent / place
    decoded = load(DataConfig(source="mnist"))
    assert (len(decoded.pixels), len(decoded.test_rows)) == (50, 20)
    assert decoded.class_names == tuple("0123456789")


def test_fashion_mnist_has_names(root):
    put_idx(root / "FashionMNIST" / "raw")
    assert load(DataConfig(source="fashion-mnist")).class_names == FASHION_MNIST


def test_wrong_files_under_a_known_name(root):
    put_idx(root / "mnist", classes=3)
    with pytest.raises(DataError, match="has 3 classes, not ten of mnist"):
        load(DataConfig(source="mnist"))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "mnist",
            r"put train-images-idx3-ubyte\[.gz\], .*t10k-labels-idx1-ubyte\[.gz\] into .*data/MNIST/raw$",
        ),
        ("fashion-mnist", "data/FashionMNIST/raw, or install Debian's package dataset-fashion-mnist$"),
        ("cifar10", "put cifar-10-python.tar.gz into .*data$"),
        ("cifar100", "put cifar-100-python.tar.gz into .*data$"),
    ],
)
def test_offline_says_what_to_put_where(root, name, says):
    with pytest.raises(DataError, match=says):
        load(DataConfig(source=name))
    assert not root.exists()


def test_only_the_missing_files_are_named(root):
    put_idx(root / "MNIST" / "raw")
    (root / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"or put t10k-labels-idx1-ubyte\[.gz\] into"):
        load(DataConfig(source="mnist"))


def test_download_only_when_asked_and_quietly(root, monkeypatch, capsys):
    def fetch(folder, download):
        assert download
        print("Downloading")
        put_idx(root / "MNIST" / "raw")

    monkeypatch.setattr(datasets, "MNIST", fetch)
    with pytest.raises(DataError):
        load(DataConfig(source="mnist"))
    assert len(load(DataConfig(source="mnist", download=True)).labels) == 50
    assert capsys.readouterr().out == ""


def test_a_failed_download_is_one_line(root, monkeypatch):
    def fail(folder, download):
        raise RuntimeError("Error downloading x:\nTried y, got:\n<urlopen error>")

    monkeypatch.setattr(datasets, "MNIST", fail)
    with pytest.raises(DataError, match=r"download failed .*put train-images-idx3") as caught:
        load(DataConfig(source="mnist", download=True))
    assert "\n" not in str(caught.value)


@pytest.fixture
def tiny_cifar(root, monkeypatch):
    """Two images per batch in CIFAR-10's own format, with checksums to match."""
    folder, known = root / "cifar-10-batches-py", {}
    folder.mkdir(parents=True)
    values = np.random.default_rng(0).integers(0, 256, (12, 3072), np.uint8)
    files = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    contents = {
        name: {"data": values[2 * at : 2 * at + 2], "labels": [2 * at % 10, (2 * at + 1) % 10]}
        for at, name in enumerate(files)
    }
    contents["batches.meta"] = {"label_names": [f"name {number}" for number in range(10)]}
    for name, content in contents.items():
        (folder / name).write_bytes(pickle.dumps(content))
        known[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [[name, known[name]] for name in files[:5]])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [["test_batch", known["test_batch"]]])
    meta = {"filename": "batches.meta", "key": "label_names", "md5": known["batches.meta"]}
    monkeypatch.setattr(datasets.CIFAR10, "meta", meta)
    return folder, values


def test_cifar_is_read_as_rgb(tiny_cifar):
    _, values = tiny_cifar
    decoded = load(DataConfig(source="cifar10"))
    np.testing.assert_array_equal(decoded.pixels, values.reshape(12, 3, 32, 32).transpose(0, 2, 3, 1))
    assert decoded.test_rows.tolist() == [10, 11]
    assert decoded.class_names[3] == "name 3"


def test_a_tampered_pickle_is_never_opened(tiny_cifar):
    folder, _ = tiny_cifar
    (folder / "data_batch_3").write_bytes(b"not what it was")
    with pytest.raises(DataError, match=r"corrupted.*delete it and put cifar-10-python\.tar\.gz"):
        load(DataConfig(source="cifar10"))


def test_an_intact_archive_is_unpacked_without_asking(tiny_cifar, root, monkeypatch):
    folder, _ = tiny_cifar
    archive = shutil.make_archive(str(root / "cifar-10-python"), "gztar", root, folder.name)
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", hashlib.md5(Path(archive).read_bytes()).hexdigest())
    shutil.rmtree(folder)
    assert len(load(DataConfig(source="cifar10")).labels) == 12
