"""IDX files, plain or gzipped: the format of MNIST and similar sets.

A folder holds {train,t10k}-{images,labels}-idx?-ubyte[.gz]; "test" for "t10k", a prefix ("emnist-letters-")
and a dot before "idx" are understood too. Images are ubyte (N, H, W) or, for colour, (N, H, W, 3). If a file is there
plain and gzipped, the plain one is read. With only a train part, a fixed test split is drawn from it.

Source: LeCun, Cortes and Burges, the MNIST database: magic 0, 0, type, dimensions; sizes big-endian; then the values.
"""

import gzip
import math
import re
import string
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gangda.data import memmap
from gangda.data.images import IntArray, UInt8Array
from gangda.data.sources.raw import RawSource, check_labels, number_classes, train_and_test
from gangda.errors import DataError

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_NAME = re.compile(r"(.*[-_.])?(train|t10k|test)-(images|labels)[-.]idx\d-ubyte(\.gz)?", re.IGNORECASE)
_MOST_DIMENSIONS = 8
_GZIP = b"\x1f\x8b"  # the first bytes of a gzipped file, whatever its name
_CHUNK = 2**24  # bytes read at once
_MOST_DEFLATED = 1032  # deflate cannot compress any further: a header that claims more is damaged

# EMNIST's official files hold every image transposed. Source: Cohen 2017, EMNIST, and its page at NIST.
_EMNIST = re.compile(r"emnist-(byclass|bymerge|balanced|letters|digits|mnist)-", re.IGNORECASE)
_MERGED = string.digits + string.ascii_uppercase + "abdefghnqrt"  # other small letters look like capitals
_EMNIST_NAMES = {
    "byclass": string.digits + string.ascii_uppercase + string.ascii_lowercase,
    "bymerge": _MERGED,
    "balanced": _MERGED,
    "letters": string.ascii_lowercase,  # small and capital ones together, labels from 1
}
FASHION_MNIST = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def idx_header(shape: tuple[int, ...], code: int = 0x08) -> bytes:
    """The magic number and the dimensions of an array, by default of unsigned bytes."""
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, code, len(shape), *shape)


def read_idx(path: Path) -> npt.NDArray[Any]:
    """An IDX file as an array of its own shape and type; a DataError: missing, damaged, too long, or not IDX."""
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == _GZIP
        with gzip.open(path) if packed else path.open("rb") as file:
            zero, code, ndim = struct.unpack(">HBB", file.read(4))
            if zero or code not in _TYPES or not 1 <= ndim <= _MOST_DIMENSIONS:
                raise DataError(f"{path}: not an IDX file (wrong magic number); download or write it again")
            shape = struct.unpack(f">{ndim}I", file.read(4 * ndim))
            dtype = np.dtype(_TYPES[code])
            expected = math.prod(shape) * dtype.itemsize
            most = path.stat().st_size * (_MOST_DEFLATED if packed else 1)
            data, done = memmap.empty((expected if expected <= most else 0,)), 0
            while done < len(data) and (count := file.readinto(data.data[done : done + _CHUNK])):
                done += count
            if done < expected:
                raise EOFError(f"{expected:,} bytes expected")
            if file.read(1):
                raise EOFError(f"longer than its header says: {expected:,} bytes expected")
            array = data.view(dtype).reshape(shape)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except PermissionError:
        raise DataError(f"{path}: cannot be read; check its permissions") from None
    except (OSError, EOFError, ValueError, zlib.error, struct.error) as error:
        reason = f"truncated or damaged ({str(error)[:80]})"
        raise DataError(f"{path}: {reason}; download or write it again") from None
    return array.astype(dtype.newbyteorder("="), copy=False)


def find_parts(folder: Path) -> dict[tuple[str, str], Path]:
    """IDX files by ("train" or "test", "images" or "labels"); a DataError where they are not one set.

    Labels of one set beside images of another would fit as well, where their numbers are equal.
    """
    found: dict[tuple[str, str], Path] = {}
    sets: dict[str, str] = {}
    try:
        paths = sorted(folder.iterdir())  # "name" sorts before "name.gz": the plain file comes first
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}); check its permissions") from None
    for path in paths:
        match = _NAME.fullmatch(path.name)
        if not match or path.is_dir():
            continue
        key = ("train" if match[2].lower() == "train" else "test", match[3].lower())
        known = found.setdefault(key, path)
        if known != path and path.name != known.name + ".gz":
            raise DataError(f"{folder}: {known.name} and {path.name} are both there; keep one set per folder")
        sets.setdefault((match[1] or "").lower(), path.name)
    if len(sets) > 1:
        first, second, *_ = sets.values()
        raise DataError(f"{folder}: {first} and {second} are of different sets; keep one set per folder")
    return found


def read_folder(folder: Path, channels: int | None = None) -> RawSource:
    """The images of a folder of IDX files; `channels`: see `DataConfig`.

    Classes are named by their numbers; in a folder called "fashion-mnist" or "FashionMNIST", by the ten articles; of
    EMNIST's files (emnist-letters-train-...), which are turned upright, by their characters.
    Raises DataError: files missing, damaged, or not fitting together.
    """
    parts = find_parts(folder)
    if ("train", "images") not in parts:
        there = ", ".join(path.name for path in parts.values()) or "nothing like it"
        raise DataError(f"{folder}: train-images-idx3-ubyte is missing (there is only {there}); add it")
    pixels, labels = _read_part(folder, parts, "train")
    labels, names = number_classes(labels, str(parts["train", "labels"]))
    test = None
    if ("test", "images") in parts:
        test_pixels, test_labels = _read_part(folder, parts, "test")
        test = test_pixels, test_labels - int(names[0])
        check_labels(test[1], names, str(parts["test", "labels"]))
    called = {folder.resolve().name.lower(), folder.resolve().parent.name.lower()}
    if called & {"fashion-mnist", "fashionmnist", "fashion_mnist"} and names == tuple(map(str, range(10))):
        names = FASHION_MNIST
    emnist = _EMNIST.match(parts["train", "images"].name)
    notes: tuple[str, ...] = ()
    if emnist:
        known = tuple(_EMNIST_NAMES.get(emnist[1].lower(), ""))
        names = known if len(known) == len(names) else names
        notes = ("EMNIST's files hold images transposed: they are turned upright",)
        pixels = pixels.swapaxes(1, 2).copy()
        test = None if test is None else (test[0].swapaxes(1, 2).copy(), test[1])
    return train_and_test((pixels, labels), test, names, str(folder), notes, channels=channels)


def _read_part(folder: Path, parts: dict[tuple[str, str], Path], part: str) -> tuple[UInt8Array, IntArray]:
    images = parts[part, "images"]
    if (part, "labels") not in parts:
        wanted = re.sub(r"idx\d", "idx1", images.name.replace("images", "labels"))
        raise DataError(f"{folder}: {wanted} is missing beside {images.name}; add it")
    pixels, labels = read_idx(images), read_idx(parts[part, "labels"])
    if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4) or 0 in pixels.shape[1:]:
        what = f"{pixels.dtype} {pixels.shape}"
        raise DataError(f"{images}: holds {what}; expected ubyte (N, H, W) or (N, H, W, 3)")
    pixels = pixels[..., None] if pixels.ndim == 3 else pixels
    if pixels.shape[3] not in (1, 3):
        raise DataError(f"{images}: images have {pixels.shape[3]} channels; expected 1 or 3")
    where = parts[part, "labels"]
    if labels.ndim != 1 or labels.dtype.kind not in "ui":
        raise DataError(f"{where}: holds {labels.dtype} {labels.shape}; expected whole numbers (N,)")
    if len(labels) != len(pixels):
        raise DataError(f"{where}: {len(labels):,} labels for {len(pixels):,} images; each image needs one")
    return pixels, labels.astype(np.int64)
