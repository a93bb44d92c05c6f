"""What the functions take as data: a name, a path, arrays, a torch Dataset, or what `load` returned."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.utils.data import Dataset

from gangda.data.images import LabelledImages
from gangda.data.paths import cache_root
from gangda.data.splits import DataSplits
from gangda.errors import DataError
from gangda.runtime.files import being_written


@dataclass(frozen=True, eq=False)
class Data:
    """Images that `load` has read and split; given to another function, the options count there too."""

    options: Mapping[str, Any]  # `data` and what else was given, by option name
    splits: DataSplits

    @property
    def train(self) -> LabelledImages:
        """Training images."""
        return self.splits.train

    @property
    def validation(self) -> LabelledImages:
        """Images held back from the training images, by which things are chosen."""
        return self.splits.validation

    @property
    def test(self) -> LabelledImages:
        """Test images."""
        return self.splits.test

    @property
    def class_names(self) -> tuple[str, ...]:
        """In label order."""
        return self.train.class_names

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth knowing about these images."""
        return self.splits.notes

    def __repr__(self) -> str:
        parts = [f"{name}={len(getattr(self, name)):,}" for name in ("train", "validation", "test")]
        return f"Data({self.splits.name}, {len(self.class_names)} classes, {', '.join(parts)})"


def options_with(data: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with those of `data`; what is given to the function itself counts more.

    Raises DataError: `data` is nothing that can be read.
    """
    if data is None:
        return dict(options)
    if isinstance(data, Data):
        return {**data.options, **options}
    return {"data": source_of(data), **options}


def source_of(data: Any) -> str:
    """The name or path of data; arrays are written to an NPZ file in the cache first.

    Raises DataError: it is nothing that can be read.
    """
    if isinstance(data, str | os.PathLike):
        return os.fspath(data)
    if isinstance(data, LabelledImages):
        return str(store(data.pixels, data.labels, data.class_names))
    if isinstance(data, Dataset):
        return str(store(*_items(data)))
    if isinstance(data, tuple | list) and len(data) in (2, 3):
        return str(store(*data))
    what = "a name, a path, (images, labels), (images, labels, class names) or a torch Dataset"
    raise DataError(f"data of type {type(data).__name__}: give {what}")


def store(images: Any, labels: Any, class_names: Sequence[str] | None = None) -> Path:
    """Arrays as an NPZ file in the cache folder, named by their content, where runs and workers find them again.

    Args:
        images: (N, H, W), (N, H, W, C) or (N, C, H, W), uint8 or any range that NPZ files may have.
        labels: (N,) whole numbers or texts.
    """
    pixels, values = _array(images), _array(labels)
    if values.dtype.kind == "O":
        values = values.astype(str)
    if pixels.dtype.kind not in "buif" or pixels.ndim not in (3, 4) or values.shape[:1] != pixels.shape[:1]:
        what = f"images {pixels.shape} of {pixels.dtype} and labels {values.shape}"
        raise DataError(f"{what}: give numbers (N, H, W[, C]) and (N,)")
    names = {} if class_names is None else {"class_names": np.array([str(name) for name in class_names])}
    arrays = {"images": pixels, "labels": values, **names}
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    path = cache_root() / "arrays" / f"arrays-{digest.hexdigest()[:12]}.npz"
    if not path.is_file():
        with being_written(path) as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]  # of the file's keywords
    return path


def _array(values: Any) -> npt.NDArray[Any]:
    try:
        return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    except (ValueError, TypeError) as error:  # of unequal lengths, or a type that NumPy does not have
        raise DataError(f"images or labels: no array ({str(error)[:80]})") from None


def _items(dataset: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any], Sequence[str] | None]:
    """All images and labels of a map-style torch Dataset, as its transforms make them, and its `classes`."""
    if not hasattr(dataset, "__len__"):
        raise DataError("an iterable Dataset has no length; give arrays, or one with __len__ and __getitem__")
    pairs = [dataset[i] for i in range(len(dataset))]
    if not pairs or not all(isinstance(pair, tuple | list) and len(pair) >= 2 for pair in pairs):
        raise DataError("the Dataset's items are not (image, label); give arrays instead")
    parts = {name: [_array(pair[at]) for pair in pairs] for at, name in enumerate(("images", "labels"))}
    for name, arrays in parts.items():
        if len({array.shape for array in arrays}) > 1:
            raise DataError(f"the Dataset's {name} differ in size; give it a transform that makes them alike")
    return np.stack(parts["images"]), np.stack(parts["labels"]), getattr(dataset, "classes", None)
