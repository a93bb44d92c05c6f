"""From image files to pixels, with one rule for everything that a file may be.

- EXIF rotation is applied.
- Transparency (alpha, or a transparent palette entry) is laid on white.
- 16-bit grey is divided by 257 and rounded, so that 65535 becomes 255; wider values are refused.
- Palette, CMYK, YCbCr and the like become RGB; of an animation, the first frame is taken.
- The longer side is centre-cropped to a square, which is resized (bilinear, antialiased).
- Without a requested size: the shorter side of the most common image size, within 8 to 64 pixels.
- The set is grey if every pixel of every image has R = G = B; else RGB.
"""

import logging
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps

from gangda.data import memmap
from gangda.data.images import UInt8Array
from gangda.data.sources.raw import own_size, scale_16_bit
from gangda.errors import DataError
from gangda.runtime.machine import available_cores

EXTENSIONS = (
    ".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".pnm",
)  # fmt: skip

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


def decode_all(files: Collection[Path], image_size: int | None) -> tuple[UInt8Array, tuple[str, ...]]:
    """Decode all files to one size: uint8 (N, S, S, 1 or 3), and notes on what was done to them.

    Memory does not grow with their number (see `memmap.py`).
    Raises DataError: a file is corrupt, too large, or of a kind that has no rule; the message names it.
    """
    size, notes = (image_size, ()) if image_size else _common_size(files)
    pixels, done = memmap.empty((len(files), size, size, 1)), 0
    for part in _chunks(files):
        rgb = np.stack(_map_files(lambda image: square_rgb(image, size), part))
        if pixels.shape[3] == 1 and (rgb != rgb[..., :1]).any():  # the first that is not grey
            grey, pixels = pixels, memmap.empty((len(files), size, size, 3))
            for start in range(0, done, _CHUNK):
                pixels[start : start + _CHUNK] = grey[start : start + _CHUNK]
        pixels[done : done + len(part)] = rgb[..., : pixels.shape[3]]
        done += len(part)
    return pixels, notes


def _chunks(files: Iterable[Path]) -> Iterator[list[Path]]:
    rest = iter(files)
    while part := list(islice(rest, _CHUNK)):
        yield part


def _map_files(work: Callable[[Image.Image], T], files: Sequence[Path]) -> list[T]:
    """The result of `work` on each opened image, computed on all cores (Pillow decodes without the GIL)."""

    def opened(path: Path) -> T:
        try:
            with Image.open(path) as image:
                return work(image)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise DataError(f"{path}: over {Image.MAX_IMAGE_PIXELS:,} pixels; make it smaller") from None
        except _BROKEN as error:
            reason = str(error).replace(str(path), "").replace("''", "").strip()[:80]
            reason = (reason or type(error).__name__) if path.stat().st_size else "the file is empty"
            raise DataError(f"{path}: cannot be decoded ({reason}); repair or remove it") from None

    with warnings.catch_warnings(), ThreadPoolExecutor(available_cores()) as threads:
        warnings.simplefilter("ignore")  # odd metadata is not the user's concern
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return list(threads.map(opened, files))


def _common_size(files: Collection[Path]) -> tuple[int, tuple[str, ...]]:
    """The side of the most common image size (of equally common ones, the larger), and a note on the others."""

    def upright(image: Image.Image) -> tuple[int, int]:
        width, height = image.size
        return (height, width) if image.getexif().get(_ORIENTATION) in _SIDEWAYS else (width, height)

    sizes: Counter[tuple[int, int]] = Counter()
    for part in _chunks(files):
        sizes.update(_map_files(upright, part))
    (width, height), count = max(sizes.items(), key=lambda item: (item[1], item[0]))
    size = own_size(height, width)
    if len(sizes) == 1 and (width, height) == (size, size):
        return size, ()
    what = f"images are {width}x{height}"
    if len(sizes) > 1:
        what = f"images have {len(sizes):,} sizes, most often {width}x{height} ({count:,} of {len(files):,})"
    done = f"centre-cropped to squares and resized to {size}x{size} (--image-size chooses another)"
    return size, (f"{what}: {done}",)


def square_rgb(image: Image.Image, size: int) -> UInt8Array:
    """One opened image as uint8 (size, size, 3), by the rules above."""
    rgb = to_rgb(ImageOps.exif_transpose(image))
    side = min(rgb.size)
    left, top = (rgb.width - side) // 2, (rgb.height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(rgb.resize((size, size), Image.Resampling.BILINEAR, box=box))


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode to RGB, by the rules above. Raises ValueError: grey values that need more than 16 bits."""
    if image.mode == "I" or image.mode.startswith("I;"):
        values = np.asarray(image.convert("I"))
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("grey values beyond 16 bits")
        return Image.fromarray(scale_16_bit(values)).convert("RGB")
    if image.mode == "F":
        raise ValueError("floating-point pixels; save it with 8 or 16 bits")
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        opaque = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", opaque.size, "white"), opaque).convert("RGB")
    return image.convert("RGB")
