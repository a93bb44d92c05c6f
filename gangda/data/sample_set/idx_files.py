"""IDX, the format of MNIST: `train-images-idx3-ubyte` (idx4 for RGB) and `train-labels-idx1-ubyte` in `MNIST/raw`.

There `torchvision.datasets.MNIST(set)` looks for them; it wants to see test files, too, which are empty. A line about
every image is in `metadata.jsonl`. A shard's files are called `i-of-n-train-...`: each pair is a valid IDX set.
"""

import contextlib
import hashlib
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gangda.data.images import IntArray, LabelledImages, UInt8Array
from gangda.data.sample_set.format import Format
from gangda.data.sample_set.index import SetHeader, SetIndex, read_bytes
from gangda.data.sample_set.metadata import MetadataWriter, read_lines
from gangda.data.sources.idx import idx_header
from gangda.errors import DataError

RAW = "MNIST/raw"
NO_TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


class _IdxFile:
    """An IDX file of unsigned bytes that grows; its header is written last, when the count is known."""

    def __init__(self, path: Path, item_shape: tuple[int, ...], open_files: contextlib.ExitStack) -> None:
        self._file = open_files.enter_context(path.open("w+b"))
        self._item_shape, self._count = item_shape, 0
        self._file.write(idx_header((0, *item_shape)))

    def write(self, items: UInt8Array) -> None:
        """Append whole items."""
        self._file.write(np.ascontiguousarray(items).data)
        self._count += len(items)

    def close(self) -> str:
        """Write the header; the file's hex SHA-256."""
        self._file.seek(0)
        self._file.write(idx_header((self._count, *self._item_shape)))
        self._file.seek(0)
        digest = hashlib.file_digest(self._file, "sha256").hexdigest()
        self._file.close()
        return digest


def idx_names(suffix: str, channels: int) -> tuple[str, str]:
    """Names of the images and labels files of a shard."""
    front = f"{RAW}/{suffix.removeprefix('-')}-" if suffix else f"{RAW}/"
    return f"{front}train-images-idx{3 if channels == 1 else 4}-ubyte", f"{front}train-labels-idx1-ubyte"


class IdxWriter:
    """Writes one pair of IDX files, and the metadata."""

    def __init__(self, folder: Path, header: SetHeader, open_files: contextlib.ExitStack) -> None:
        if len(header.class_names) > 256:
            raise DataError(f"IDX holds up to 256 classes, not {len(header.class_names)}; use --format npz")
        channels, height, width = header.image_shape
        self._item_shape = (height, width) if channels == 1 else (height, width, channels)
        (folder / RAW).mkdir(parents=True)
        if not header.suffix:
            for name, shape in ((NO_TEST[0], (0, *self._item_shape)), (NO_TEST[1], (0,))):
                (folder / RAW / name).write_bytes(idx_header(shape))
        self._names = idx_names(header.suffix, channels)
        self._images = _IdxFile(folder / self._names[0], self._item_shape, open_files)
        self._labels = _IdxFile(folder / self._names[1], (), open_files)
        self._metadata = MetadataWriter(folder, header, open_files)

    def write(self, images: LabelledImages, first: int) -> None:
        """Append the images."""
        self._images.write(images.pixels.reshape(len(images), *self._item_shape))
        self._labels.write(images.labels.astype(np.uint8))
        self._metadata.write(images, first, [{}] * len(images))

    def close(self) -> dict[str, str]:
        """Finish the files."""
        digests = (self._images.close(), self._labels.close())
        return {**dict(zip(self._names, digests, strict=True)), **self._metadata.close()}


def read_idx_set(folder: Path, index: SetIndex) -> Iterator[tuple[IntArray, LabelledImages]]:
    """The images of one shard, a thousand at a time. Raises DataError: a file missing, changed or damaged."""
    channels, height, width = index.image_shape
    count, names = sum(index.counts), idx_names(index.suffix, channels)
    metadata = [item for item in index.files.items() if item[0] not in names]
    if len(index.files) != 3 or len(metadata) != 1:
        raise DataError(f"{folder}: the index lacks {names[0]}, {names[1]} or metadata; make it again")
    item = (height, width) if channels == 1 else (height, width, channels)
    arrays = []
    for name, shape in zip(names, ((count, *item), (count,)), strict=True):
        data, start = read_bytes(folder, name, index.files[name]), idx_header(shape)
        if not data.startswith(start) or len(data) - len(start) != math.prod(shape):
            raise DataError(f"{folder / name}: its header does not fit the set's index; make the set again")
        arrays.append(np.frombuffer(data, dtype=np.uint8, offset=len(start)))
    pixels, right_labels = arrays[0].reshape(count, height, width, channels), arrays[1]
    done = 0
    for columns, lines in read_lines(folder, *metadata[0]):
        rows = slice(done, done + len(lines))
        done += len(lines)
        if not np.array_equal(columns["labels"], right_labels[rows]):
            raise DataError(f"{folder}: labels and metadata disagree; make the set again")
        yield columns.pop("index"), LabelledImages(pixels[rows], class_names=index.class_names, **columns)


IDX = Format(IdxWriter, read_idx_set)
