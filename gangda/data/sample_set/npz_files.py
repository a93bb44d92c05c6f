"""NPZ: files of some thousand images each, uncompressed, or one file with the names of another program.

Arrays: images uint8 (n, H, W, C), or (n, H, W) where Keras and MedMNIST have it so, and, for each image, the columns of
`metadata.SET_COLUMNS`; class_names (K,) text; origin_names, what the codes of `origin` mean.
"""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gangda.data.damaged import MALFORMED
from gangda.data.images import ORIGINS, IntArray, LabelledImages, concatenate
from gangda.data.sample_set.format import Format
from gangda.data.sample_set.index import SetHeader, SetIndex, read_bytes
from gangda.data.sample_set.metadata import SET_COLUMNS
from gangda.data.sources.npz import array_of
from gangda.errors import DataError
from gangda.runtime.hashed_file import sha256

FILE_BYTES = 16 * 2**20  # of pixels per file: memory does not grow with the set


# Names of images and labels; those of other programs are for one file, which then is in memory as a whole.
NAMES = {
    "npz": ("images", "labels"),
    "npz-keras": ("x_train", "y_train"),
    "npz-medmnist": ("train_images", "train_labels"),
    "npz-guided-diffusion": ("arr_0", "arr_1"),
}


class NpzWriter:
    """Writes `images[-i-of-n]-00000.npz` and so on, each of about `FILE_BYTES`; one for other programs."""

    def __init__(self, folder: Path, header: SetHeader, open_files: contextlib.ExitStack) -> None:
        self._folder, self._header = folder, header
        self._waiting: list[tuple[int, LabelledImages]] = []
        self._files: dict[str, str] = {}

    def write(self, images: LabelledImages, first: int) -> None:
        """Add images; write a file when enough are waiting."""
        self._waiting.append((first, images))
        if (
            self._header.format == "npz"
            and sum(waiting.pixels.nbytes for _, waiting in self._waiting) >= FILE_BYTES
        ):
            self._flush()

    def _flush(self) -> None:
        index = np.concatenate([np.arange(first, first + len(images)) for first, images in self._waiting])
        images = concatenate(*(images for _, images in self._waiting))
        self._waiting = []
        buffer = io.BytesIO()
        columns: dict[str, Any] = {
            name: index if name == "index" else getattr(images, name) for name in SET_COLUMNS
        }
        images_name, labels_name = NAMES[self._header.format]
        arrays = {images_name: images.pixels, labels_name: columns.pop("labels"), **columns}
        if images_name in ("x_train", "train_images") and images.image_shape[0] == 1:
            arrays[images_name] = images.pixels[..., 0]
        if labels_name == "train_labels":
            arrays[labels_name] = arrays[labels_name][:, None]
        np.savez(
            buffer,
            **arrays,
            class_names=np.array(self._header.class_names),
            origin_names=np.array(ORIGINS),  # what the codes of `origin` mean
        )
        name = f"images{self._header.suffix}-{len(self._files):05d}.npz"
        (self._folder / name).write_bytes(buffer.getbuffer())
        self._files[name] = sha256(buffer.getbuffer())

    def close(self) -> dict[str, str]:
        """Write the last file."""
        if self._waiting:
            self._flush()
        return self._files


def read_npz(folder: Path, index: SetIndex) -> Iterator[tuple[IntArray, LabelledImages]]:
    """The images of one shard, file by file; a DataError for one that is missing, changed, or has other arrays."""
    for name, digest in index.files.items():
        data = read_bytes(folder, name, digest)
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                images_name, labels_name = NAMES[index.format]
                columns: dict[str, Any] = {
                    key: array_of(arrays, labels_name if key == "labels" else key) for key in SET_COLUMNS
                }
                pixels = array_of(arrays, images_name)
            pixels = pixels[..., None] if pixels.ndim == 3 else pixels
            columns["labels"] = columns["labels"].reshape(-1)
            position = columns.pop("index")
            images = LabelledImages(pixels, class_names=index.class_names, **columns)
            if (position.dtype, position.shape) != (np.int64, (len(images),)):
                raise ValueError("the positions are not whole numbers (n,)")
            if images.image_shape != index.image_shape:
                raise ValueError("images of other shapes than the index says")
        except (*MALFORMED, DataError) as error:
            raise DataError(f"{folder / name}: damaged ({str(error)[:80]}); make the set again") from None
        yield position, images


NPZ = Format(NpzWriter, read_npz)
