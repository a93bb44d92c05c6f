"""The PNG format: class folders of one PNG per image, and a line of JSON about each in `metadata.jsonl`.

torchvision's ImageFolder reads the tree, Hugging Face's imagefolder the lines. The index lists the metadata
file by its hash and the metadata lists every image by its own, so that memory does not grow with the set. A
shard writes `metadata-i-of-n.jsonl`; once all are there, `set_metadata.unite_metadata` makes the one file
that other readers look for.
"""

import contextlib
import errno
import io
import os
import struct
import warnings
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from gangda.data.images import ORIGINS, UInt8Array
from gangda.data.sample_set.batches import ImageBatch, class_folders
from gangda.data.sample_set.index import SetHeader
from gangda.data.sample_set.metadata import MetadataWriter, read_lines
from gangda.data.sources.npz import MALFORMED
from gangda.errors import DataError
from gangda.runtime.device import available_cores
from gangda.runtime.hashed_file import sha256, verified

TOGETHER = 128  # images that a thread writes at a time
MOST_THREADS = 4  # beyond, they only wait for the interpreter's lock and for the file system's
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class PngWriter:
    """Writes `<class folder>/<index>-<origin>.png` and the metadata.

    Images are encoded and written by threads, a part of a piece each (compression and system calls let go of the
    interpreter's lock), while the caller makes the next ones. Lines come in the order of the pieces.
    """

    def __init__(self, folder: Path, header: SetHeader, open_files: contextlib.ExitStack) -> None:
        self._folder, self._folders = folder, class_folders(header.class_names)
        self._made: set[int] = set()
        self._metadata = MetadataWriter(folder, header, open_files)
        self._threads = min(available_cores(), MOST_THREADS)
        self._pool = open_files.enter_context(ThreadPoolExecutor(self._threads))
        self._waiting: deque[tuple[ImageBatch, Future[list[dict[str, str]]]]] = deque()

    def write(self, piece: ImageBatch) -> None:
        """Have the images written; waits while there is work in hand for every thread and as much again."""
        for label in set(piece.labels.tolist()) - self._made:
            (self._folder / self._folders[label]).mkdir()
            self._made.add(label)
        for start in range(0, len(piece), TOGETHER):
            part = piece.part(slice(start, start + TOGETHER))
            self._waiting.append((part, self._pool.submit(self._write_images, part)))
            if len(self._waiting) > 2 * self._threads:
                self._settle()

    def _write_images(self, piece: ImageBatch) -> list[dict[str, str]]:
        """Write the files; what their lines say of them."""
        own = []
        columns = (piece.index.tolist(), piece.origin.tolist(), piece.labels.tolist())
        for data, index, origin, label in zip(encode_png(piece.pixels), *columns, strict=True):
            name = f"{self._folders[label]}/{_file_name(index, origin)}"
            handle = os.open(f"{self._folder}/{name}", _WRITE, 0o644)  # a Path each costs more than the hash
            try:
                if os.write(handle, data) < len(data):  # the disk has filled up on the way
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            finally:
                os.close(handle)
            own.append({"file_name": name, "sha256": sha256(data)})
        return own

    def _settle(self) -> None:
        """Wait for the oldest part, and write its lines."""
        piece, written = self._waiting.popleft()
        self._metadata.write(piece, written.result())

    def close(self) -> dict[str, str]:
        """Wait for all, and close the metadata; it is the one file that the index lists."""
        while self._waiting:
            self._settle()
        return self._metadata.close()


def _file_name(index: int, origin: int) -> str:
    return f"{index:08d}-{ORIGINS[origin]}.png"


def encode_png(pixels: UInt8Array) -> Iterator[bytes]:
    """uint8 (n, H, W, C) -> the PNG file of each image, 8 bits, grey or RGB, rows unfiltered.

    Four times as fast as Pillow at 28x28, where its cost is not the compression.

    Source: PNG specification (ISO/IEC 15948), sections 5 and 11.
    """
    count, height, width, channels = pixels.shape
    # Each row begins with filter type 0.
    rows = np.zeros((count, height, 1 + width * channels), dtype=np.uint8)
    rows[:, :, 1:] = pixels.reshape(count, height, -1)
    colour = 0 if channels == 1 else 2
    head = _SIGNATURE + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))
    tail = _chunk(b"IEND", b"")
    for image in rows:
        yield head + _chunk(b"IDAT", zlib.compress(image.tobytes(), 1)) + tail


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def read_png(folder: Path, index: Mapping[str, Any]) -> Iterator[ImageBatch]:
    """The images of one shard, a thousand at a time.

    Raises:
        DataError: damaged metadata; an image missing, changed, of another shape, or outside the set.
    """
    folders, shape = class_folders(index["class_names"]), tuple(index["image_shape"])
    for linked in (folder / name for name in folders if (folder / name).is_symlink()):
        raise DataError(f"{linked}: a link instead of a class folder; do not use this set")
    for name, digest in index["files"].items():
        for columns, lines in read_lines(folder, name, digest):
            pixels = np.empty((len(lines), shape[1], shape[2], shape[0]), dtype=np.uint8)
            for position, line in enumerate(lines):
                label, index_, origin = (
                    columns[column][position] for column in ("labels", "index", "origin")
                )
                if not 0 <= label < len(folders):
                    raise DataError(
                        f"{folder / name}: label {label} of {len(folders)} classes; make the set again"
                    )
                # Made from checked columns, not taken from the line: it cannot lead out of the set.
                path = f"{folder}/{folders[label]}/{_file_name(index_, origin)}"
                pixels[position] = _read_image(path, str(line.get("sha256")), shape)
            yield ImageBatch(pixels=pixels, **columns)


def _read_image(path: str, digest: str, shape: tuple[int, int, int]) -> UInt8Array:
    """uint8 (H, W, C).

    Raises:
        DataError: missing, a link, changed, or of another shape.
    """
    from PIL import Image

    try:
        with os.fdopen(os.open(path, _READ), "rb") as file:
            data = file.read()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); make the set again") from None
    verified(data, digest, path, cure="make the set again")
    channels, height, width = shape
    try:
        # Only PNG: what else the bytes may claim to be is no concern of this reader.
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            mode, size = image.mode, image.size
            if (*size, mode) == (width, height, "L" if channels == 1 else "RGB"):
                array: UInt8Array = np.asarray(image, dtype=np.uint8).reshape(height, width, channels)
                return array
    except (*MALFORMED, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: no readable PNG ({str(error)[:80]}); make the set again") from None
    raise DataError(f"{path}: {mode} {size} where the set's images are {shape}; make the set again")
