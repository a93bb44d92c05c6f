"""The PNG format: class folders of one PNG per image, and a line of JSON about each in `metadata.jsonl`.

torchvision's ImageFolder reads the folders, Hugging Face's imagefolder the lines. The index lists the hash of the
metadata file, and its lines list those of the images, so that memory does not grow with the set. A shard writes
`metadata-i-of-n.jsonl`; once all are there, `metadata.unite_metadata` makes the one file that other readers look for.
"""

import contextlib
import errno
import io
import os
import re
import struct
import warnings
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from gangda.data.damaged import MALFORMED
from gangda.data.images import ORIGINS, IntArray, LabelledImages, UInt8Array
from gangda.data.sample_set.format import Format
from gangda.data.sample_set.index import SetHeader, SetIndex
from gangda.data.sample_set.metadata import MetadataWriter, read_lines
from gangda.errors import DataError
from gangda.runtime.hashed_file import sha256, verified
from gangda.runtime.machine import available_cores

CHUNK = 128  # images that a thread writes at a time
MAX_THREADS = 4  # more only wait for the GIL and for the file system's lock
SOFTWARE = "gangda: "  # and the origin, in a file's text
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # no file's name on Windows
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class PngWriter:
    """Writes `<class folder>/<index>-<origin>.png` and the metadata.

    Threads encode and write the images, a part of a batch each (compression and system calls release the GIL), while
    the caller makes the next ones. Lines come in the order of the batches.
    """

    def __init__(self, folder: Path, header: SetHeader, open_files: contextlib.ExitStack) -> None:
        self._folder, self._folders = folder, class_folders(header.class_names)
        self._made: set[int] = set()
        self._metadata = MetadataWriter(folder, header, open_files)
        self._threads = min(available_cores(), MAX_THREADS)
        self._pool = open_files.enter_context(ThreadPoolExecutor(self._threads))
        self._waiting: deque[tuple[LabelledImages, int, Future[list[dict[str, str]]]]] = deque()

    def write(self, images: LabelledImages, first: int) -> None:
        """Let the threads write the images; waits while two parts per thread are waiting."""
        for label in set(images.labels.tolist()) - self._made:
            (self._folder / self._folders[label]).mkdir()
            self._made.add(label)
        for start in range(0, len(images), CHUNK):
            part, number = images.take(range(start, min(start + CHUNK, len(images)))), first + start
            self._waiting.append((part, number, self._pool.submit(self._write_images, part, number)))
            if len(self._waiting) > 2 * self._threads:
                self._write_lines()

    def _write_images(self, images: LabelledImages, first: int) -> list[dict[str, str]]:
        """Write the files; their name and hash, for the lines."""
        own = []
        files = encode_png(images.pixels, images.origin)
        columns = zip(files, images.origin.tolist(), images.labels.tolist(), strict=True)
        for index, (data, origin, label) in enumerate(columns, first):
            name = f"{self._folders[label]}/{file_name(index, origin)}"
            # A Path each takes longer than the hash.
            handle = os.open(f"{self._folder}/{name}", _WRITE, 0o644)
            try:
                if os.write(handle, data) < len(data):  # the disk is full
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            finally:
                os.close(handle)
            own.append({"file_name": name, "sha256": sha256(data)})
        return own

    def _write_lines(self) -> None:
        """Wait for the images of the oldest part, and write its lines."""
        images, first, written = self._waiting.popleft()
        self._metadata.write(images, first, written.result())

    def close(self) -> dict[str, str]:
        """Wait for all images and close the metadata, the only file that the index lists."""
        while self._waiting:
            self._write_lines()
        return self._metadata.close()


def class_folders(class_names: Sequence[str]) -> tuple[str, ...]:
    """One folder name per class, such that alphabetical order is label order (as ImageFolder assumes).

    The class names themselves if they are in that order and valid on every file system; otherwise the label and the
    name (`3-dress`), with `_` for each character other than letters, digits, space, `.`, `_`, `+`, `-`.
    """
    names = list(class_names)
    distinct = len({name.casefold() for name in names}) == len(names)
    plain = all(n == _safe(n) and n[:1].isalnum() and not _DEVICE.fullmatch(n) for n in names)
    if distinct and plain and names == sorted(names):
        return tuple(names)
    width = len(str(len(names) - 1))
    return tuple(f"{label:0{width}d}-{_safe(name)}" for label, name in enumerate(names))


def _safe(name: str) -> str:
    """At most 40 characters, each valid on every file system."""
    return re.sub(r"[^\w .+-]", "_", name)[:40].rstrip(" .")


def file_name(index: int, origin: int) -> str:
    """Name of an image in its class folder."""
    return f"{index:08d}-{ORIGINS[origin]}.png"


def encode_png(pixels: UInt8Array, origins: UInt8Array | None = None) -> Iterator[bytes]:
    """uint8 (n, H, W, C) -> each image's PNG file, 8 bits, unfiltered; with `origins` (n,), the file tells its own.

    Source: ISO/IEC 15948, sections 5 and 11.
    """
    count, height, width, channels = pixels.shape
    # Each row begins with filter type 0.
    rows = np.zeros((count, height, 1 + width * channels), dtype=np.uint8)
    rows[:, :, 1:] = pixels.reshape(count, height, -1)
    colour = 0 if channels == 1 else 2
    head = _SIGNATURE + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))
    tail = _chunk(b"IEND", b"")
    marks = [_chunk(b"tEXt", b"Software\0" + f"{SOFTWARE}{origin}".encode()) for origin in ORIGINS]
    told = [b""] * count if origins is None else [marks[origin] for origin in origins]
    for image, mark in zip(rows, told, strict=True):
        yield head + mark + _chunk(b"IDAT", zlib.compress(image.tobytes(), 1)) + tail


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def read_png(folder: Path, index: SetIndex) -> Iterator[tuple[IntArray, LabelledImages]]:
    """The images of one shard, a thousand at a time; a DataError where one is missing, changed or of another shape."""
    folders, shape = class_folders(index.class_names), index.image_shape
    for linked in (folder / name for name in folders if (folder / name).is_symlink()):
        raise DataError(f"{linked}: a link instead of a class folder; do not use this set")
    for name, digest in index.files.items():
        for columns, lines in read_lines(folder, name, digest):
            pixels = np.empty((len(lines), shape[1], shape[2], shape[0]), dtype=np.uint8)
            for position, line in enumerate(lines):
                label, index_, origin = (
                    columns[column][position] for column in ("labels", "index", "origin")
                )
                if not 0 <= label < len(folders):
                    raise DataError(f"{folder / name}: label {label} of {len(folders)} classes; remake it")
                # From checked columns, not from the line's own name: it cannot lead out of the set.
                path = f"{folder}/{folders[label]}/{file_name(index_, origin)}"
                pixels[position] = _read_image(path, str(line.get("sha256")), shape)
            yield columns.pop("index"), LabelledImages(pixels, class_names=index.class_names, **columns)


def _read_image(path: str, digest: str, shape: tuple[int, int, int]) -> UInt8Array:
    """uint8 (H, W, C)."""
    try:
        with os.fdopen(os.open(path, _READ), "rb") as file:
            data = file.read()
    except PermissionError:
        raise DataError(f"{path}: cannot be read; check its permissions") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); make the set again") from None
    verified(data, digest, path, cure="make the set again")
    return decode_png(data, shape, path)


def images_of(
    columns: dict[str, Any], files: Sequence[bytes], index: SetIndex, where: Path
) -> tuple[IntArray, LabelledImages]:
    """Positions and images of PNG files with their columns; a DataError about `where` as of `decode_png`."""
    channels, height, width = index.image_shape
    pixels = np.empty((len(files), height, width, channels), dtype=np.uint8)
    for row, data in enumerate(files):
        pixels[row] = decode_png(data, index.image_shape, str(where))
    return columns.pop("index"), LabelledImages(pixels, class_names=index.class_names, **columns)


def decode_png(data: bytes, shape: tuple[int, int, int], path: str) -> UInt8Array:
    """uint8 (H, W, C) of a PNG's bytes; a DataError about `path` unless it is one of this shape (C, H, W)."""
    from PIL import Image

    channels, height, width = shape
    try:
        # Only PNG: no other decoder sees these bytes.
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            mode, size = image.mode, image.size
            if (*size, mode) == (width, height, "L" if channels == 1 else "RGB"):
                return np.asarray(image, dtype=np.uint8).reshape(height, width, channels)
    except (*MALFORMED, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: not a readable PNG ({str(error)[:80]}); make the set again") from None
    raise DataError(f"{path}: {mode} {size} where the set's images are {shape}; make the set again")


PNG = Format(PngWriter, read_png)
