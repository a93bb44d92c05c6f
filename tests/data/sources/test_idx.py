import contextlib
import gzip
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from idx_files import write_idx
from torchvision.datasets import MNIST

from gangda.data.sources.idx import FASHION_MNIST, read_folder, read_idx
from gangda.errors import DataError, GangdaError

RNG = np.random.default_rng(0)
DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def write_part(
    folder: Path, part: str, count: int, size: int = 9, classes: int = 3, ending: str = ""
) -> None:
    write_idx(
        folder / f"{part}-images-idx3-ubyte{ending}", RNG.integers(0, 256, (count, size, size), np.uint8)
    )
    write_idx(folder / f"{part}-labels-idx1-ubyte{ending}", (np.arange(count) % classes).astype(np.uint8))


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "float32", "float64"])
def test_arrays_survive_the_round_trip(tmp_path, dtype, ending):
    array = (RNG.normal(size=(3, 4, 5)) * 50).astype(dtype)
    write_idx(tmp_path / f"a{ending}", array)
    again = read_idx(tmp_path / f"a{ending}")
    assert again.dtype == array.dtype
    np.testing.assert_array_equal(again, array)


def test_bytes_are_those_of_the_format(tmp_path):
    write_idx(tmp_path / "a", np.array([[1, 2, 3]], dtype=np.uint8))
    assert (tmp_path / "a").read_bytes() == bytes([0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 3, 1, 2, 3])


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_torchvision_reads_what_is_written(tmp_path, ending):
    raw = tmp_path / "MNIST" / "raw"
    for part in ("train", "t10k"):
        write_part(raw, part, 30, size=28, classes=10, ending=ending)
    ours = read_folder(raw)
    if ending:  # torchvision wants them unpacked
        for path in raw.glob("*.gz"):
            path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
    theirs = [MNIST(str(tmp_path), train=train) for train in (True, False)]
    np.testing.assert_array_equal(ours.pixels[..., 0], np.concatenate([part.data for part in theirs]))
    np.testing.assert_array_equal(ours.labels, np.concatenate([part.targets for part in theirs]))
    assert ours.test_rows.tolist() == list(range(30, 60))


def test_60000_images_take_less_than_half_a_second(tmp_path):
    write_idx(tmp_path / "train-images-idx3-ubyte", np.zeros((60000, 28, 28), dtype=np.uint8))
    best = min(_seconds(lambda: read_idx(tmp_path / "train-images-idx3-ubyte")) for _ in range(3))
    assert best < 0.5


def _seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def test_colour_images_have_four_dimensions(tmp_path):
    images = RNG.integers(0, 256, (6, 9, 9, 3), np.uint8)
    write_idx(tmp_path / "train-images-idx4-ubyte", images)
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.array([0, 1, 2] * 2, dtype=np.uint8))
    decoded = read_folder(tmp_path)
    np.testing.assert_array_equal(decoded.pixels, images)
    assert decoded.test_rows is None


@pytest.mark.parametrize("style", ["emnist-letters-{}-{}-idx{}-ubyte", "{}-{}.idx{}-ubyte"])
def test_other_spellings_and_labels_from_one(tmp_path, style):
    for part, count in (("train", 6), ("test", 3)):
        write_idx(tmp_path / style.format(part, "images", 3), np.zeros((count, 8, 8), dtype=np.uint8))
        labels = (np.arange(count) % 3 + 1).astype(np.uint8)
        write_idx(tmp_path / style.format(part, "labels", 1), labels)
    decoded = read_folder(tmp_path)
    assert decoded.class_names == ("1", "2", "3")
    assert decoded.labels.tolist() == [0, 1, 2] * 3
    assert len(decoded.test_rows) == 3


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")
def test_debians_fashion_mnist():
    decoded = read_folder(DEBIAN)
    assert decoded.pixels.shape == (70000, 28, 28, 1)
    assert decoded.class_names == FASHION_MNIST
    assert np.bincount(decoded.labels[:60000]).tolist() == [6000] * 10
    # An ankle boot, two T-shirts, a dress: the set's first.
    assert decoded.labels[:4].tolist() == [9, 0, 0, 3]


def truncate(folder):
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])


def truncate_gz(folder):
    path = folder / "train-images-idx3-ubyte"
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes())[:-20])
    path.unlink()


def labels_of(values, dtype=np.uint8):
    return lambda folder: write_idx(folder / "train-labels-idx1-ubyte", np.array(values, dtype=dtype))


def overwrite(data, name="train-images-idx3-ubyte"):
    return lambda folder: (folder / name).write_bytes(data)


def header(*sizes, code=8):
    return struct.pack(f">BBBB{len(sizes)}I", 0, 0, code, len(sizes), *sizes)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (truncate, "train-images-idx3-ubyte: truncated"),
        (truncate_gz, "train-images-idx3-ubyte.gz: truncated"),
        (overwrite(b""), "train-images-idx3-ubyte: truncated"),
        (overwrite(b"\x89PNG....."), "not an IDX file"),
        (overwrite(header(2**31, 2**31, 2**31) + b"1"), r"truncated .*bytes expected"),
        (overwrite(header(6, 9, 9) + bytes(487)), "longer than its header says"),
        (overwrite(header(6, 9, 0)), "expected ubyte"),
        (overwrite(header(3, 9, 9, 2) + bytes(486)), "2 channels"),
        (overwrite(header(6, 9, 9, code=0x0D) + bytes(4 * 486)), "expected ubyte"),
        (overwrite(header(0, 9, 9)), "6 labels for 0 images"),
        (labels_of([0, 1, 2]), "3 labels for 6 images"),
        (labels_of([[0], [1], [2]] * 2), "expected whole numbers"),
        (labels_of([0, 1, 2, 0, 1, 200]), "none is 3"),
        (labels_of([0, 1, 2, 0, 1, -1], np.int16), "labels run from -1 to 2"),
        (lambda folder: (folder / "train-labels-idx1-ubyte").unlink(), "train-labels-idx1-ubyte is missing"),
        (lambda folder: (folder / "train-images-idx3-ubyte").unlink(), "train-images-idx3-ubyte is missing"),
        (lambda folder: write_part(folder, "t10k", 4, size=8), "they differ"),
        (lambda folder: write_part(folder, "t10k", 4, classes=4), "label 3 of image 3 is out of range"),
        (lambda folder: write_part(folder, "t10k", 0), "its test split holds no images"),
        (lambda folder: write_part(folder, "emnist-train", 3), "keep one set per folder"),
        (
            lambda folder: write_part(folder, "emnist-digits-test", 3),
            "emnist-digits-test-images-idx3-ubyte and train-images-idx3-ubyte are of different sets",
        ),
        (
            lambda folder: (folder / "train-labels-idx1-ubyte").rename(
                folder / "kmnist-train-labels-idx1-ubyte"
            ),
            "are of different sets; keep one set per folder",
        ),
    ],
)
def test_bad_folders_are_named(tmp_path, spoil, says):
    write_part(tmp_path, "train", 6)
    spoil(tmp_path)
    with pytest.raises(DataError, match=says):
        read_folder(tmp_path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_idx(tmp_path / "a")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=40), st.integers(0, 20), st.booleans())
def test_any_bytes_are_read_or_a_clear_error(tmp_path, noise, where, zipped):
    data = bytearray(header(2, 3, 3) + bytes(18))
    data[where : where + len(noise)] = noise
    path = tmp_path / ("fuzz.gz" if zipped else "fuzz")
    path.write_bytes(gzip.compress(bytes(data)) if zipped and len(noise) % 2 else bytes(data))
    with contextlib.suppress(GangdaError):
        read_idx(path)


@pytest.mark.parametrize(
    ("name", "classes", "first", "last"),
    [
        ("letters", 26, "a", "z"),
        ("balanced", 47, "0", "t"),
        ("byclass", 62, "0", "z"),
        ("digits", 10, "0", "9"),
    ],
)
def test_emnist_is_turned_upright_and_named_by_its_characters(tmp_path, name, classes, first, last):
    pixels = RNG.integers(0, 256, (classes, 9, 9), np.uint8)
    labels = (np.arange(classes) + (name == "letters")).astype(np.uint8)
    for part in ("train", "test"):
        write_idx(tmp_path / f"emnist-{name}-{part}-images-idx3-ubyte.gz", pixels)
        write_idx(tmp_path / f"emnist-{name}-{part}-labels-idx1-ubyte.gz", labels)
    found = read_folder(tmp_path)
    assert (found.class_names[0], found.class_names[-1], len(found.class_names)) == (first, last, classes)
    for part in (found.pixels[:classes, :, :, 0], found.pixels[classes:, :, :, 0]):
        np.testing.assert_array_equal(part, pixels.transpose(0, 2, 1))
    assert found.labels.tolist() == [*range(classes)] * 2
    assert found.notes == ("EMNIST's files hold images transposed: they are turned upright",)


def test_gzip_is_known_by_content_whatever_the_name(tmp_path):
    write_part(tmp_path, "train", 6)
    for path, turned in zip(sorted(tmp_path.iterdir()), (gzip.compress, bytes), strict=True):
        path.write_bytes(turned(path.read_bytes()))  # packed under a plain name
    plain = read_folder(tmp_path).pixels
    for path in sorted(tmp_path.iterdir()):
        data = path.read_bytes()
        path.rename(f"{path}.gz").write_bytes(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
    np.testing.assert_array_equal(read_folder(tmp_path).pixels, plain)


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    write_part(tmp_path, "train", 6)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match="cannot be read; check its permissions"):
        read_folder(tmp_path)
