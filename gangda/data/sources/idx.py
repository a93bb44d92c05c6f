"""IDX files, plain or gzipped: the format of MNIST and its kin.

A folder holds {train,t10k}-{images,labels}-idx?-ubyte[.gz]; "test" for "t10k", a prefix ("emnist-letters-")
and a dot before "idx" are understood too. Images are ubyte (N, H, W) or, for colour, (N, H, W, 3). Where both
forms of a file are there, the plain one is read. With only a train part, a fixed test split is drawn from it.

Source: LeCun, Cortes and Burges, the MNIST database: magic 0, 0, type, dimensions; sizes big-endian; then the
values.
"""

import gzip
import io
import math
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gangda.data import memmap
from gangda.data.images import IntArray, UInt8Array
from gangda.data.sources.raw import Decoded, check_labels, joined, number_classes
from gangda.errors import DataError
from gangda.runtime.files import write_bytes

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CODES = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}
_NAME = re.compile(r"(?:.*[-_.])?(train|t10k|test)-(images|labels)[-.]idx\d-ubyte(\.gz)?", re.IGNORECASE)
_MOST_DIMENSIONS = 8
_CHUNK = 2**24  # bytes read at once
_MOST_DEFLATED = 1032  # the deflate format cannot shrink anything further: a larger claim is a damaged header

FASHION_MNIST = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def write_idx(path: Path, array: npt.NDArray[Any]) -> None:
    """Write an array as IDX, atomically; gzipped if the name ends in .gz. Same array, same bytes.

    Raises:
        DataError: a type that IDX does not have.
    """
    if array.dtype.name not in _CODES or not 1 <= array.ndim <= 255:
        what = f"{array.dtype} with {array.ndim} dimensions"
        raise DataError(f"{path}: IDX cannot hold {what}; use one of {', '.join(_CODES)}")
    code = _CODES[array.dtype.name]
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    data = header + array.astype(_TYPES[code], copy=False).tobytes()
    write_bytes(path, gzip.compress(data, compresslevel=6, mtime=0) if path.suffix == ".gz" else data)


def read_idx(path: Path) -> npt.NDArray[Any]:
    """Read an IDX file into an array of its own shape and type (native byte order).

    Raises:
        DataError: missing, truncated, too long, or not IDX.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            zero, code, ndim = struct.unpack(">HBB", file.read(4))
            if zero or code not in _TYPES or not 1 <= ndim <= _MOST_DIMENSIONS:
                raise DataError(f"{path}: not an IDX file (wrong magic number); download or write it again")
            shape = struct.unpack(f">{ndim}I", file.read(4 * ndim))
            dtype = np.dtype(_TYPES[code])
            expected = math.prod(shape) * dtype.itemsize
            if expected > path.stat().st_size * (_MOST_DEFLATED if path.suffix == ".gz" else 1):
                raise DataError(
                    f"{path}: truncated: its header promises {expected:,} bytes; download or write it again"
                )
            data, more = _filled(memmap.empty((expected,)), file), file.read(1)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise DataError(
            f"{path}: truncated or damaged ({str(error)[:80]}); download or write it again"
        ) from None
    if len(data) != expected or more:
        wrong = "truncated" if len(data) < expected else "longer than its header says"
        raise DataError(f"{path}: {wrong} ({expected:,} bytes expected); download or write it again")
    try:
        array = data.view(dtype).reshape(shape)
    except ValueError as error:  # no values, and dimensions beyond all sense
        raise DataError(f"{path}: damaged header ({error}); download or write it again") from None
    return array.astype(dtype.newbyteorder("="), copy=False)


def _filled(buffer: UInt8Array, file: io.BufferedIOBase) -> UInt8Array:
    """As much of the buffer as the file fills."""
    view, done = buffer.data, 0
    while done < len(buffer) and (count := file.readinto(view[done : done + _CHUNK])):
        done += count
    return buffer[:done]


def find_parts(folder: Path) -> dict[tuple[str, str], Path]:
    """The IDX files of a folder by (part, kind): part "train" or "test", kind "images" or "labels".

    Raises:
        DataError: two files for the same place (several sets in one folder).
    """
    found: dict[tuple[str, str], Path] = {}
    try:
        paths = sorted(folder.iterdir())  # "name" sorts before "name.gz": the plain file comes first
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}); check its permissions") from None
    for path in paths:
        match = _NAME.fullmatch(path.name)
        if not match or path.is_dir():
            continue
        place = ("train" if match[1].lower() == "train" else "test", match[2].lower())
        known = found.setdefault(place, path)
        if known != path and path.name != known.name + ".gz":
            raise DataError(f"{folder}: {known.name} and {path.name} are both there; keep one set per folder")
    return found


def read_folder(folder: Path) -> Decoded:
    """The images of a folder of IDX files.

    Classes are named by their numbers, and by the ten articles where the folder is called "fashion-mnist" or
    "FashionMNIST".

    Raises:
        DataError: files missing, damaged, or not fitting together.
    """
    parts = find_parts(folder)
    if ("train", "images") not in parts:
        raise DataError(
            f"{folder}: train-images-idx3-ubyte is missing (there is only {_listed(parts)}); add it"
        )
    train = _read_part(folder, parts, "train")
    test = _read_part(folder, parts, "test") if ("test", "images") in parts else None
    labels, names = number_classes(train[1], str(parts["train", "labels"]))
    first = int(names[0])
    if test is not None:
        test = (test[0], test[1] - first)
        check_labels(test[1], names, str(parts["test", "labels"]))
    return joined((train[0], labels), test, _names_for(folder, names), str(folder))


def _read_part(folder: Path, parts: dict[tuple[str, str], Path], part: str) -> tuple[UInt8Array, IntArray]:
    if (part, "labels") not in parts:
        wanted = (
            parts[part, "images"]
            .name.replace("images", "labels")
            .replace("idx3", "idx1")
            .replace("idx4", "idx1")
        )
        raise DataError(f"{folder}: {wanted} is missing beside {parts[part, 'images'].name}; add it")
    pixels, labels = read_idx(parts[part, "images"]), read_idx(parts[part, "labels"])
    if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4) or 0 in pixels.shape[1:]:
        what = f"{pixels.dtype} {pixels.shape}"
        raise DataError(f"{parts[part, 'images']}: holds {what}; expected ubyte (N, H, W) or (N, H, W, 3)")
    pixels = pixels[..., None] if pixels.ndim == 3 else pixels
    if pixels.shape[3] not in (1, 3):
        raise DataError(f"{parts[part, 'images']}: images have {pixels.shape[3]} channels; expected 1 or 3")
    if labels.ndim != 1 or labels.dtype.kind not in "ui":
        raise DataError(
            f"{parts[part, 'labels']}: holds {labels.dtype} {labels.shape}; expected whole numbers (N,)"
        )
    if len(labels) != len(pixels):
        raise DataError(
            f"{parts[part, 'labels']}: {len(labels):,} labels for {len(pixels):,} images; each image needs one"
        )
    return pixels, labels.astype(np.int64)


def _names_for(folder: Path, names: tuple[str, ...]) -> tuple[str, ...]:
    called = {folder.resolve().name.lower(), folder.resolve().parent.name.lower()}
    fashion = called & {"fashion-mnist", "fashionmnist", "fashion_mnist"}
    return FASHION_MNIST if fashion and names == tuple(map(str, range(10))) else names


def _listed(parts: dict[tuple[str, str], Path]) -> str:
    return ", ".join(path.name for path in parts.values()) or "nothing like it"
