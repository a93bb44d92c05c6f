"""The NPZ format: files of some thousand images each, uncompressed, without pickles.

Arrays: images uint8 (n, H, W, C) and, for each image, the columns of `batches.COLUMNS`; class_names (K,) text.
"""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gangda.data.sample_set.batches import COLUMNS, ImageBatch, join
from gangda.data.sample_set.index import SetHeader, SetIndex, read_bytes
from gangda.data.sources.npz import MALFORMED, array_of
from gangda.errors import DataError
from gangda.runtime.hashed_file import sha256

FILE_BYTES = 16 * 2**20  # of pixels per file: memory does not grow with the set


class NpzWriter:
    """Writes `images[-i-of-n]-00000.npz` and so on, each of about `FILE_BYTES`."""

    def __init__(self, folder: Path, header: SetHeader, open_files: contextlib.ExitStack) -> None:
        self._folder, self._header = folder, header
        self._waiting: list[ImageBatch] = []
        self._files: dict[str, str] = {}

    def write(self, batch: ImageBatch) -> None:
        """Add images; write a file when enough are waiting."""
        self._waiting.append(batch)
        if sum(waiting.pixels.nbytes for waiting in self._waiting) >= FILE_BYTES:
            self._flush()

    def _flush(self) -> None:
        batch = join(self._waiting, self._header.image_shape)
        self._waiting = []
        buffer = io.BytesIO()
        columns: dict[str, Any] = {name: getattr(batch, name) for name in COLUMNS}
        np.savez(buffer, images=batch.pixels, class_names=np.array(self._header.class_names), **columns)
        name = f"images{self._header.suffix}-{len(self._files):05d}.npz"
        (self._folder / name).write_bytes(buffer.getbuffer())
        self._files[name] = sha256(buffer.getbuffer())

    def close(self) -> dict[str, str]:
        """Write the last file."""
        if self._waiting:
            self._flush()
        return self._files


def read_npz(folder: Path, index: SetIndex) -> Iterator[ImageBatch]:
    """The images of one shard, file by file.

    Raises:
        DataError: a file missing, changed, or not holding the arrays it should.
    """
    channels, height, width = index.image_shape
    for name, digest in index.files.items():
        data = read_bytes(folder, name, digest)
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                columns: dict[str, Any] = {key: array_of(arrays, key) for key in COLUMNS}
                batch = ImageBatch(pixels=array_of(arrays, "images"), **columns)
        except MALFORMED as error:
            raise DataError(f"{folder / name}: damaged ({str(error)[:80]}); make the set again") from None
        right = batch.pixels.dtype == np.uint8 and batch.pixels.shape[1:] == (height, width, channels)
        for column, kind in COLUMNS.items():
            values = getattr(batch, column)
            right = right and values.dtype == kind and values.shape == (len(batch.pixels),)
        if not right:
            raise DataError(
                f"{folder / name}: arrays of other shapes or types than the index says; make the set again"
            )
        yield batch
