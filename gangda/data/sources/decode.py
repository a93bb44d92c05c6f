"""From image files to pixels, with one rule for everything that a file may be.

- EXIF rotation is applied.
- Transparency (alpha, or a transparent palette entry) is laid on white.
- Grey values of 16 or 32 bits, or floats, are scaled by the range of all such files (`values.py`).
- Palette, CMYK, YCbCr and the like become RGB; of an animation, the first frame is taken.
- The longer side is centre-cropped to a square, which is resized (bilinear, antialiased).
- Without a requested size: the shorter side of the most common image size, within 8 to 64 pixels.
- The set is grey if every pixel of every image has R = G = B; else RGB.
"""

import itertools
import logging
import re
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from gangda.data import memmap
from gangda.data.confounds import FileFacts
from gangda.data.images import UInt8Array
from gangda.data.own_output import origin_of
from gangda.data.sources.raw import own_size
from gangda.data.values import BYTES, SHORTS, PartValues, Span, ValueRange, judge
from gangda.errors import DataError
from gangda.runtime.machine import available_cores

EXTENSIONS = (
    ".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".pnm",
    ".jfif",
)  # fmt: skip
_FIRST_BYTES = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8|BM....\0\0\0\0|II\*\0|MM\0\*|RIFF....WEBP", re.DOTALL
)

_TRANSPARENT = ("RGBA", "RGBa", "LA", "La", "PA")
_SIDEWAYS = range(5, 9)  # EXIF orientations that swap width and height
_ORIENTATION = 0x0112
_BROKEN = (
    OSError, EOFError, ValueError, KeyError, TypeError, IndexError, OverflowError, MemoryError, RuntimeError,
    SyntaxError, AttributeError, struct.error, zlib.error,
)  # fmt: skip
_CHUNK = 4096  # images decoded at once
T = TypeVar("T")

logging.getLogger("PIL").addHandler(logging.NullHandler())  # errors are reported once, by us


def is_image(path: Path) -> bool:
    """Whether a file begins as JPEG, PNG, GIF, BMP, TIFF and WebP files do, whatever its name."""
    try:
        with path.open("rb") as file:
            return _FIRST_BYTES.match(file.read(16)) is not None
    except OSError:
        return False


class Decoded(NamedTuple):
    """All files, decoded to one size."""

    pixels: UInt8Array  # uint8 (N, S, S, 1 or 3)
    notes: tuple[str, ...]  # what was done to them
    value_range: ValueRange | None  # of the files whose values are not 8 bits; None where all are
    facts: FileFacts


def decode_all(
    files: Collection[Path], image_size: int | None, num_train: int | None = None, given: Span | None = None
) -> Decoded:
    """Decode all files, the first `num_train` (default: all) of them training images, to one size.

    `given`: values that become 0 and 255 in files of more than 8 bits. Memory does not grow with their number (see
    `memmap.py`). Raises DataError: a file is corrupt, too large, or of a kind that has no rule; parts have different
    ranges of values. The message names it.
    """
    size, notes = (image_size, ()) if image_size else _common_size(files)
    pixels, rows = memmap.empty((len(files), size, size, 1)), list[_Row]()
    for part in _chunks(files):
        found = _map_files(lambda image, path: _decode(image, path, size), part)
        pixels = _put(pixels, len(rows), np.stack([rgb for rgb, _ in found]))
        rows += [row for _, row in found]
    facts, wide = _columns(rows), [number for number, row in enumerate(rows) if row.extremes]
    value_range = None
    if wide:
        value_range = _wide_range(rows, wide, len(files) if num_train is None else num_train, given)
        chosen = [path for path, row in zip(files, rows, strict=True) if row.extremes]
        for start in range(0, len(wide), _CHUNK):
            part = chosen[start : start + _CHUNK]
            again = _map_files(lambda image, _: square_rgb(image, size, value_range), part)
            for number, rgb in zip(wide[start : start + _CHUNK], again, strict=True):
                pixels = _put(pixels, number, rgb[None])
    return Decoded(pixels, notes, value_range, facts)


class _Row(NamedTuple):
    """What one file is; `extremes`: whether whole numbers, lowest and highest, where its values are not 8 bits."""

    format: str
    width: int
    height: int
    channels: int
    origin: int
    extremes: tuple[bool, float, float] | None


def _decode(image: Image.Image, path: Path, size: int) -> tuple[UInt8Array, _Row]:
    """Pixels (black where their range is still to be found) and facts of one opened file."""
    width, height = _upright(image)
    origin = origin_of(path.name, image.info.get("Software"))
    facts = (image.format or "", width, height, len(image.getbands()), origin)
    if not _is_wide(image.mode):
        return square_rgb(image, size), _Row(*facts, None)
    values = _wide_values(image)
    extremes = (values.dtype.kind == "i", float(values.min()), float(values.max()))
    return np.zeros((size, size, 3), np.uint8), _Row(*facts, extremes)


def _columns(rows: Sequence[_Row]) -> FileFacts:
    formats = tuple(sorted({row.format for row in rows}))
    codes = np.array([formats.index(row.format) for row in rows], dtype=np.int64)
    width, height, channels = np.array([row[1:4] for row in rows], dtype=np.int64).reshape(-1, 3).T
    origins = np.array([row.origin for row in rows], dtype=np.uint8)
    return FileFacts(formats, codes, width, height, channels, origins)


def _wide_range(rows: Sequence[_Row], wide: Sequence[int], num_train: int, given: Span | None) -> ValueRange:
    """The range of the files that are not 8 bits; full 16 bits go beside files of 8 bits."""
    parts = []
    for name, whole in itertools.product(("training", "test"), (True, False)):
        chosen = [
            extremes[1:]
            for number in wide
            if (extremes := rows[number].extremes)
            and extremes[0] == whole
            and (number < num_train) == (name == "training")
        ]
        if chosen:
            lows, highs = np.array(chosen, dtype=np.float64).T
            parts.append(
                PartValues(f"{name} files of {'16 or more bits' if whole else 'floats'}", whole, lows, highs)
            )
    found = judge(parts, "images", given)
    if len(wide) < len(rows) and given is None and (found.low, found.high) not in (BYTES, SHORTS):
        narrow = len(rows) - len(wide)
        raise DataError(
            f"{narrow:,} files have 8 bits (0 to 255), {len(wide):,} more, with {found.note.partition(':')[0]}; "
            "save them alike, or give --value-range LOW,HIGH for the latter"
        )
    return found


def _put(pixels: UInt8Array, start: int, rgb: UInt8Array) -> UInt8Array:
    """Write images (n, S, S, 3) at a position; the array, which becomes RGB with the first image that is not grey."""
    if pixels.shape[3] == 1 and (rgb != rgb[..., :1]).any():
        grey, pixels = pixels, memmap.empty((*pixels.shape[:3], 3))
        for first in range(0, len(pixels), _CHUNK):
            pixels[first : first + _CHUNK] = grey[first : first + _CHUNK]
    pixels[start : start + len(rgb)] = rgb[..., : pixels.shape[3]]
    return pixels


def _chunks(files: Iterable[Path]) -> Iterator[list[Path]]:
    rest = iter(files)
    while part := list(islice(rest, _CHUNK)):
        yield part


def _map_files(work: Callable[[Image.Image, Path], T], files: Sequence[Path]) -> list[T]:
    """The result of `work` on each opened image and its path, on all cores (Pillow decodes without the GIL)."""

    def opened(path: Path) -> T | DataError:
        try:
            with Image.open(path) as image:
                return work(image, path)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            return DataError(f"{path}: over {Image.MAX_IMAGE_PIXELS:,} pixels; make it smaller")
        except PermissionError:
            return DataError(f"{path}: cannot be read; check its permissions")
        except _BROKEN as error:
            reason = str(error).replace(str(path), "").replace("''", "").strip()[:80]
            reason = (reason or type(error).__name__) if path.stat().st_size else "the file is empty"
            return DataError(f"{path}: cannot be decoded ({reason}); repair or remove it")

    with warnings.catch_warnings(), ThreadPoolExecutor(available_cores()) as threads:
        warnings.simplefilter("ignore")  # odd metadata is not the user's concern
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        found = list(threads.map(opened, files))
    broken = {
        path: result for path, result in zip(files, found, strict=True) if isinstance(result, DataError)
    }
    if broken:
        others = [f"{path.parent.name}/{path.name}" for path in list(broken)[1:]]
        more = f" (and {len(others):,} more: {', '.join(others[:10])}{', ...' * (len(others) > 10)})"
        raise DataError(f"{next(iter(broken.values()))}{more if others else ''}")
    return [result for result in found if not isinstance(result, DataError)]


def _common_size(files: Collection[Path]) -> tuple[int, tuple[str, ...]]:
    """The side of the most common image size (of equally common ones, the larger), and a note on the others."""

    sizes: Counter[tuple[int, int]] = Counter()
    for part in _chunks(files):
        sizes.update(_map_files(lambda image, _: _upright(image), part))
    (width, height), count = max(sizes.items(), key=lambda item: (item[1], item[0]))
    size = own_size(height, width)
    if len(sizes) == 1 and (width, height) == (size, size):
        return size, ()
    what = f"images are {width}x{height}"
    if len(sizes) > 1:
        what = f"images have {len(sizes):,} sizes, most often {width}x{height} ({count:,} of {len(files):,})"
    done = f"centre-cropped to squares and resized to {size}x{size} (--image-size chooses another)"
    return size, (f"{what}: {done}",)


def _upright(image: Image.Image) -> tuple[int, int]:
    """Width and height after EXIF rotation."""
    width, height = image.size
    return (height, width) if image.getexif().get(_ORIENTATION) in _SIDEWAYS else (width, height)


def square_rgb(image: Image.Image, size: int, value_range: ValueRange | None = None) -> UInt8Array:
    """One opened image as uint8 (size, size, 3), by the rules above."""
    rgb = to_rgb(ImageOps.exif_transpose(image), value_range)
    side = min(rgb.size)
    left, top = (rgb.width - side) // 2, (rgb.height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(rgb.resize((size, size), Image.Resampling.BILINEAR, box=box))


def to_rgb(image: Image.Image, value_range: ValueRange | None = None) -> Image.Image:
    """Any mode to RGB, by the rules above; `value_range` is for values that are not 8 bits."""
    if value_range is not None and _is_wide(image.mode):
        return Image.fromarray(value_range.to_bytes(_wide_values(image))).convert("RGB")
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        opaque = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", opaque.size, "white"), opaque).convert("RGB")
    return image.convert("RGB")


def _is_wide(mode: str) -> bool:
    return mode in ("I", "F") or mode.startswith("I;")


def _wide_values(image: Image.Image) -> npt.NDArray[Any]:
    """Values that are not 8 bits, int32 or float32 (H, W). Raises ValueError: NaN or infinity."""
    values = np.asarray(image if image.mode == "F" else image.convert("I"))
    if not np.isfinite(values).all():
        raise ValueError("its values are NaN or infinite")
    return values
