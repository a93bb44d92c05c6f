"""NPZ archives: Keras' keys, MedMNIST's keys, plain `images` and `labels`, `X` and `y` (`_NAMES`). Never unpickled.

Images: (N, H, W) grey, (N, H, W, C) or (N, C, H, W) with C 1 or 3, distinguished by where the 1 or 3 is.
Values: one range over all parts, see `values.py`; NaN and infinity are refused.
Labels: whole numbers (N,) or (N, 1), one-hot (N, K), or strings; `class_names` names the numbers.
A validation part is merged into the training part. Without labels the images are unlabelled.
"""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gangda.data.class_names import check_class_names, in_natural_order, normalised, refuse_alike
from gangda.data.damaged import MALFORMED, refuse_bomb
from gangda.data.images import IntArray, UInt8Array
from gangda.data.sources.raw import (
    UNLABELLED,
    RawSource,
    check_labels,
    number_classes,
    same_channels,
    train_and_test,
)
from gangda.data.values import Span, ValueRange, judge, part_values
from gangda.errors import DataError

Array = npt.NDArray[Any]

# What the images and the labels of each part are called, in any case.
_NAMES = {
    "train": (
        # arr_0, arr_1: numpy.savez without names, as the samples of guided-diffusion are
        ("x_train", "train_images", "train_x", "images", "x", "data", "arr_0"),
        ("y_train", "train_labels", "train_y", "labels", "label", "y", "target", "targets", "arr_1"),
    ),
    "validation": (("x_val", "val_images", "val_x"), ("y_val", "val_labels", "val_y")),
    "test": (("x_test", "test_images", "test_x"), ("y_test", "test_labels", "test_y")),
}


def read(path: Path, given: Span | None = None, channels: int | None = None) -> RawSource:
    """The images of an NPZ file; `given`: the values that become 0 and 255; `channels`: see `DataConfig`.

    Raises DataError: missing, truncated, pickled, or arrays that are not labelled images; parts of different ranges.
    """
    arrays = _load(path)
    if "origin" in arrays and np.any(arrays["origin"]):
        raise DataError(f"{path}: part of a sample set of gangda's; give the folder with its index.json")
    images: dict[str, Array] = {}
    values: dict[str, Array | None] = {}
    unused = [name for name in arrays if name != "class_names"]
    for part, known in _NAMES.items():
        found, beside = (_only([name for name in some if name in arrays], path) for some in known)
        if found is not None:
            images[part], values[part] = arrays[found], None if beside is None else arrays[beside]
            unused = [name for name in unused if name not in (found, beside)]
    if "train" not in images:
        held = ", ".join(arrays) or "nothing"
        raise DataError(f"{path}: no x_train, train_images or images (it holds {held}); rename its arrays")
    pixels, value_range = _pixels(images, path, given)
    labels, names = _labels(values, arrays.get("class_names"), pixels, path)
    notes: tuple[str, ...] = (f"arrays that are not used: {', '.join(unused)}",) if unused else ()
    if "validation" in pixels:
        train, merged, told = same_channels(
            pixels["train"], pixels["validation"], "validation", str(path), channels
        )
        notes = (*notes, f"{len(labels['validation']):,} validation images were merged into train", *told)
        pixels["train"] = np.concatenate([train, merged])
        labels["train"] = np.concatenate([labels["train"], labels["validation"]])
    test = (pixels["test"], labels["test"]) if "test" in pixels else None
    learned = pixels["train"], labels["train"]
    return train_and_test(learned, test, names, str(path), notes, value_range, channels)


def _only(present: Sequence[str], path: Path) -> str | None:
    """The name that is present. Raises DataError: several are."""
    if len(present) > 1:
        raise DataError(f"{path}: {' and '.join(present)} are both there; keep one of them")
    return present[0] if present else None


def _load(path: Path) -> dict[str, Array]:
    """Arrays by name, in lower case."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(f"{path}: one array; save it with numpy.savez(images=..., labels=...)")
            size = sum(entry.file_size for entry in (archive.zip.infolist() if archive.zip else ()))
            refuse_bomb(path, size, "save it with numpy.savez")
            twice = [name for name, count in Counter(map(str.lower, archive.files)).items() if count > 1]
            if twice:
                raise DataError(f"{path}: holds '{twice[0]}' in two spellings; keep one of them")
            return {name.lower(): array_of(archive, name) for name in archive.files}
    except PermissionError:
        raise DataError(f"{path}: cannot be read; check its permissions") from None
    except MALFORMED as error:
        if "pickle" in str(error).lower() or "object array" in str(error).lower():
            raise DataError(f"{path}: holds pickled objects, which can run code; save plain arrays") from None
        raise DataError(f"{path}: truncated or no NPZ archive ({str(error)[:80]}); write it again") from None


def array_of(archive: np.lib.npyio.NpzFile, name: str) -> Array:
    """An array of an archive; raises what is in `MALFORMED` if it is missing or damaged."""
    array = archive[name]
    if not isinstance(array, np.ndarray):  # NumPy then returns bytes
        raise ValueError(f"{name} is no array")
    return array


def _pixels(
    parts: dict[str, Array], path: Path, given: Span | None
) -> tuple[dict[str, UInt8Array], ValueRange]:
    nhwc = {part: _channels_last(values, part, path) for part, values in parts.items()}
    for part, values in nhwc.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            bad = int(np.count_nonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1)))
            raise DataError(f"{path}: {bad:,} {part} images hold NaN or infinity; repair or leave them out")
    found = [part_values(f"{part} images", values) for part, values in nhwc.items()]
    value_range = judge(found, str(path), given)
    return {part: value_range.to_bytes(values) for part, values in nhwc.items()}, value_range


def _channels_last(values: Array, part: str, path: Path) -> Array:
    if values.dtype.kind not in "buif":
        raise DataError(f"{path}: {part} images are {values.dtype}; expected numbers")
    if values.ndim == 3:
        values = values[..., None]
    if values.ndim != 4 or 0 in values.shape:
        what = f"{part} images have shape {values.shape}"
        side = math.isqrt(values.shape[1]) if values.ndim == 2 else 0
        example = (
            f", such as ({len(values)}, {side}, {side})" if side > 1 and side**2 == values.shape[1] else ""
        )
        raise DataError(f"{path}: {what}; expected (N, H, W) or (N, H, W, C), none of them 0{example}")
    first, last = values.shape[1] in (1, 3), values.shape[3] in (1, 3)
    if first == last:
        problem = "could be (N, H, W, C) or (N, C, H, W)" if first else "have neither 1 nor 3 channels"
        raise DataError(f"{path}: {part} images of shape {values.shape} {problem}; use (N, H, W, 1 or 3)")
    return values if last else values.transpose(0, 2, 3, 1)


def _labels(
    parts: dict[str, Array | None], class_names: Array | None, pixels: dict[str, UInt8Array], path: Path
) -> tuple[dict[str, IntArray], tuple[str, ...]]:
    """Labels of each part from 0, and the class names."""
    if all(values is None for values in parts.values()):
        return {part: np.zeros(len(pixels[part]), dtype=np.int64) for part in parts}, (UNLABELLED,)
    flat: dict[str, Array] = {}
    for part, values in parts.items():
        if values is None:
            raise DataError(f"{path}: {part} images have no labels beside them; add {part} labels")
        flat[part] = _one_number_each(values, part, path)
        if len(flat[part]) != len(pixels[part]):
            what = f"{len(flat[part]):,} {part} labels for {len(pixels[part]):,} images"
            raise DataError(f"{path}: {what}; each needs one")
    if len({values.dtype.kind for values in flat.values()}) > 1:
        raise DataError(f"{path}: labels are strings in one part and numbers in another; make them agree")
    training = np.concatenate([values for part, values in flat.items() if part != "test"])
    labels: dict[str, IntArray] = {}
    if training.dtype.kind == "U":
        refuse_alike((name for values in flat.values() for name in values.tolist()), str(path))
        names = check_class_names(in_natural_order(set(training.tolist())), str(path))
        label_of = {name: label for label, name in enumerate(names)}
        for part, values in flat.items():
            if unknown := set(values.tolist()) - set(names):
                name = min(map(str, unknown))
                raise DataError(f"{path}: class '{name}' has {part} images but no training images")
            labels[part] = np.array([label_of[name] for name in values.tolist()], dtype=np.int64)
        return labels, names
    if class_names is None:
        _, names = number_classes(training, str(path))
        labels = {part: values - int(names[0]) for part, values in flat.items()}
    else:
        if class_names.ndim != 1 or class_names.dtype.kind not in "US":
            what = f"class_names is {class_names.dtype} {class_names.shape}, no text (K,)"
            raise DataError(f"{path}: {what}; give the K names as strings")
        names, labels = check_class_names([_text(name) for name in class_names.tolist()], str(path)), flat
    for values in labels.values():
        check_labels(values, names, str(path))
    return labels, names


def _text(name: str | bytes) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name


def _one_number_each(values: Array, part: str, path: Path) -> Array:
    """(N,) int64, or (N,) strings."""
    if values.ndim == 2 and values.shape[1] > 1 and values.dtype.kind in "buif":
        if not (np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all()):
            what = f"{part} labels {values.shape} are multi-label: rows do not have exactly one 1"
            raise DataError(f"{path}: {what}; gangda takes one class per image")
        return values.argmax(axis=1).astype(np.int64)  # type: ignore[no-any-return]
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1 or values.dtype.kind not in "buifUS":
        what = f"{part} labels are {values.dtype} {values.shape}"
        raise DataError(f"{path}: {what}; expected (N,), (N, 1) or one-hot (N, K)")
    if values.dtype.kind in "US":
        return np.array([normalised(_text(value)) for value in values.tolist()], dtype=np.str_)
    if values.dtype.kind == "f" and not (np.isfinite(values).all() and (values == np.rint(values)).all()):
        raise DataError(f"{path}: {part} labels are not whole numbers; give one class per image")
    if len(values) and not -(2**31) < float(values.min()) <= float(values.max()) < 2**31:
        raise DataError(f"{path}: {part} labels run from {values.min()} to {values.max()}; use 0 to K-1")
    return values.astype(np.int64)
