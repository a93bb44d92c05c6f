import contextlib
import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gangda.data.sources.npz import read
from gangda.errors import DataError, GangdaError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (6, 9, 10), np.uint8)
LABELS = np.array([0, 1, 2] * 2)


@pytest.fixture
def save(tmp_path):
    def saved(**arrays):
        np.savez(tmp_path / "set.npz", **arrays)
        return tmp_path / "set.npz"

    return saved


def test_keras_keys(save):
    decoded = read(save(x_train=GREY, y_train=LABELS, x_test=GREY[:3], y_test=LABELS[:3]))
    np.testing.assert_array_equal(decoded.pixels[:6, ..., 0], GREY)
    assert decoded.labels.tolist() == [0, 1, 2] * 3
    assert decoded.test_rows.tolist() == [6, 7, 8]
    assert decoded.class_names == ("0", "1", "2")


def test_medmnist_keys_merge_validation_into_train(save):
    parts = {f"{part}_images": GREY[:3] for part in ("train", "val", "test")}
    labels = {f"{part}_labels": LABELS[:3, None] for part in ("train", "val", "test")}
    decoded = read(save(**parts, **labels))
    assert decoded.test_rows.tolist() == [6, 7, 8]
    assert decoded.notes == ("3 validation images were merged into train",)


def test_plain_keys_have_no_test_split(save):
    assert read(save(images=GREY, labels=LABELS)).test_rows is None


def test_images_alone_are_unlabelled(save):
    assert read(save(images=GREY)).class_names == ("unlabelled",)


@pytest.mark.parametrize(
    ("shape", "order"),
    [
        ((6, 9, 10, 1), None),
        ((6, 9, 10, 3), None),
        ((6, 1, 9, 10), (0, 2, 3, 1)),
        ((6, 3, 9, 10), (0, 2, 3, 1)),
    ],
)
def test_layout_is_recognised_by_the_channels(save, shape, order):
    images = RNG.integers(0, 256, shape, np.uint8)
    expected = images if order is None else images.transpose(order)
    np.testing.assert_array_equal(read(save(images=images, labels=LABELS)).pixels, expected)


@pytest.mark.parametrize(
    "images",
    [
        GREY.astype(np.int64),
        GREY.astype(np.float64),
        (GREY / 255).astype(np.float32),
        (GREY / 255).astype(np.float16),
        GREY / 127.5 - 1,
        (GREY.astype(np.uint16) * 257),
        np.asfortranarray(GREY),
    ],
    ids=["int64", "0..255", "0..1", "0..1 half", "-1..1", "16 bit", "fortran"],
)
def test_every_range_gives_the_same_pixels(save, images):
    tolerance = 1 if images.dtype == np.float16 else 0
    pixels = read(save(images=images, labels=LABELS)).pixels[..., 0]
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - GREY).max() <= tolerance


def test_the_value_range_is_that_of_all_parts(save):
    arrays = {"x_train": GREY.astype(float), "y_train": LABELS, "y_test": LABELS[:3]}
    decoded = read(save(**arrays, x_test=np.full((3, 9, 10), 40.0)))
    assert decoded.pixels[6:].max() == 40
    path = save(**arrays, x_test=np.full((3, 9, 10), 1.0))
    with pytest.raises(
        DataError, match="test images have values 0 to 1 but train images have values 0 to 255"
    ):
        read(path)
    assert read(path, (0, 255)).pixels[6:].max() == 1


RGB = RNG.integers(0, 256, (6, 9, 10, 3), np.uint8)


def test_grey_parts_beside_rgb_become_rgb_and_all_become_grey_where_asked(save):
    parts = {
        "x_train": RGB,
        "y_train": LABELS,
        "x_val": GREY,
        "y_val": LABELS,
        "x_test": GREY,
        "y_test": LABELS,
    }
    decoded = read(save(**parts))
    np.testing.assert_array_equal(
        decoded.pixels[6:], np.repeat(np.concatenate([GREY, GREY])[..., None], 3, axis=3)
    )
    assert decoded.notes[1:] == tuple(
        f"the {part} images are grey: they became RGB, as the training images are"
        for part in ("validation", "test")
    )
    path = save(**{**parts, "x_train": GREY, "x_test": RGB})
    with pytest.raises(DataError, match=r"but test .*: they differ; --channels 1 makes all grey, 3 RGB"):
        read(path)
    grey, rgb = read(path, channels=1), read(path, channels=3)
    assert (grey.pixels.shape, rgb.pixels.shape) == ((18, 9, 10, 1), (18, 9, 10, 3))
    np.testing.assert_array_equal(grey.pixels[:6, ..., 0], GREY)
    np.testing.assert_array_equal(rgb.pixels[12:], RGB)
    assert grey.notes[1:] == ("RGB images among training and test images became grey (--channels)",)
    assert rgb.notes[1:] == ("the training images are grey: they became RGB, as the test images are",)


def test_booleans_are_black_and_white(save):
    assert set(np.unique(read(save(images=GREY > 99, labels=LABELS)).pixels)) == {0, 255}


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (LABELS[:, None], ("0", "1", "2")),
        (np.eye(3)[LABELS], ("0", "1", "2")),
        (LABELS.astype(float), ("0", "1", "2")),
        (LABELS + 1, ("1", "2", "3")),
        (np.array(["ant", "bee", "cat"] * 2), ("ant", "bee", "cat")),
        (np.array([b"ant", b"bee", b"cat"] * 2), ("ant", "bee", "cat")),
    ],
)
def test_every_kind_of_labels(save, labels, names):
    decoded = read(save(images=GREY, labels=labels))
    assert decoded.labels.tolist() == LABELS.tolist()
    assert decoded.class_names == names


@pytest.mark.parametrize(
    ("images", "labels"), [("X", "y"), ("X_train", "Y_train"), ("data", "target"), ("images", "label")]
)
def test_usual_names_are_known_in_any_case(save, images, labels):
    decoded = read(save(**{images: GREY, labels: LABELS}))
    assert decoded.labels.tolist() == LABELS.tolist()


def test_arrays_that_are_not_used_are_said(save):
    others = {"valid_images": GREY, "y_test": LABELS, "class_names": np.array(["x", "y", "z"])}
    decoded = read(save(x_train=GREY, y_train=LABELS, **others))
    assert decoded.notes == ("arrays that are not used: valid_images, y_test",)


def test_class_names_are_used(save):
    decoded = read(save(images=GREY, labels=LABELS, class_names=np.array(["x", "y", "z"])))
    assert decoded.class_names == ("x", "y", "z")


NAN = np.where(GREY > 250, np.nan, 0.5)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"a": GREY}, "no x_train"),
        ({}, "no x_train"),
        ({"images": GREY, "x_train": GREY}, "both there"),
        ({"images": NAN, "labels": LABELS}, "images hold NaN"),
        ({"images": GREY * 1j, "labels": LABELS}, "expected numbers"),
        ({"X": GREY, "x": GREY}, "'x' in two spellings"),
        ({"images": GREY, "labels": LABELS, "y": LABELS}, "labels and y are both there"),
        ({"images": GREY.reshape(6, 90), "labels": LABELS}, r"have shape \(6, 90\).* none of them 0$"),
        ({"images": GREY[:, :, :9].reshape(6, 81), "labels": LABELS}, r"such as \(6, 9, 9\)"),
        ({"images": GREY[:0], "labels": LABELS[:0]}, "none of them 0"),
        ({"images": np.zeros((6, 9, 9, 2), np.uint8), "labels": LABELS}, "neither 1 nor 3"),
        ({"images": np.zeros((6, 3, 9, 3), np.uint8), "labels": LABELS}, "could be"),
        ({"images": GREY, "labels": LABELS[:5]}, "5 train labels for 6 images"),
        ({"images": GREY, "labels": LABELS - 1}, "labels run from -1 to 1"),
        ({"images": GREY, "labels": LABELS * 2}, "none is 1"),
        ({"images": GREY, "labels": LABELS + 0.5}, "not whole numbers"),
        ({"images": GREY, "labels": np.full(6, np.nan)}, "not whole numbers"),
        ({"images": GREY, "labels": LABELS.astype(np.uint64) + 2**63}, "use 0 to K-1"),
        ({"images": GREY, "labels": np.ones((6, 3))}, "multi-label"),
        ({"images": GREY, "labels": np.zeros((6, 1, 1))}, "expected"),
        ({"images": GREY, "labels": LABELS, "class_names": np.array(["x", "y"])}, "label 2 of image 2 is out of range"),
        ({"images": GREY, "labels": LABELS, "class_names": np.array(["x", "x", "y"])}, "names must differ"),
        ({"images": GREY, "labels": LABELS, "class_names": np.arange(3)}, "no text"),
        ({"images": GREY, "labels": LABELS, "origin": np.full(6, 2)}, "part of a sample set"),
        ({"x_train": GREY, "y_train": LABELS, "x_test": GREY}, "test images have no labels"),
        ({"x_train": GREY, "y_train": LABELS, "x_test": GREY, "y_test": LABELS + 1}, "out of range"),
        ({"x_train": GREY, "y_train": LABELS, "x_test": GREY[:, :8], "y_test": LABELS}, "they differ"),
        ({"x_train": GREY, "y_train": LABELS, "x_val": GREY[:, :8], "y_val": LABELS}, "but validation .*: they differ"),
        ({"x_train": GREY, "y_train": LABELS.astype(str), "x_test": GREY, "y_test": LABELS}, "strings in one part"),
        ({"x_train": GREY, "y_train": LABELS.astype(str), "x_test": GREY, "y_test": np.array(["9"] * 6)}, "class '9'"),
        ({"images": np.array([None] * 6), "labels": LABELS}, "pickled"),
        ({"images": GREY, "labels": np.array([None] * 6)}, "pickled"),
    ],
)  # fmt: skip
def test_bad_arrays_are_named(save, arrays, says):
    with pytest.raises(DataError, match=says) as caught:
        read(save(**arrays))
    assert "set.npz" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_archives(tmp_path, save):
    whole = save(images=GREY, labels=LABELS).read_bytes()
    buffer = io.BytesIO()
    np.save(buffer, GREY)
    for name, data in {
        "cut": whole[:-30],
        "text": b"hello",
        "empty": b"",
        "array": buffer.getvalue(),
    }.items():
        (tmp_path / f"{name}.npz").write_bytes(data)
        with pytest.raises(DataError, match=f"{name}.npz"):
            read(tmp_path / f"{name}.npz")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 1400), st.binary(min_size=1, max_size=12), st.booleans())
def test_any_bytes_are_read_or_a_clear_error(tmp_path, where, noise, packed):
    buffer = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(buffer, images=GREY, labels=LABELS)
    data = bytearray(buffer.getvalue())
    data[where % len(data) : where % len(data) + len(noise)] = noise
    (tmp_path / "fuzz.npz").write_bytes(bytes(data))
    with contextlib.suppress(GangdaError):
        read(tmp_path / "fuzz.npz")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["u1", "i8", "f4", "f8", "?", "U3", "S2", "c8", "M8[s]"]),
    st.sampled_from(["u1", "i8", "f4", "?", "U3", "S2", "c8", "M8[s]", "u8"]),
    st.lists(st.integers(0, 4), max_size=5),
    st.lists(st.integers(0, 4), max_size=3),
)
def test_any_arrays_are_read_or_a_clear_error(tmp_path, kind, label_kind, shape, label_shape):
    np.savez(tmp_path / "fuzz.npz", images=np.zeros(shape, kind), labels=np.zeros(label_shape, label_kind))
    with contextlib.suppress(GangdaError):
        read(tmp_path / "fuzz.npz")
