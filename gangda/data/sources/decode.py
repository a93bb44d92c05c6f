"""From image files to pixels, with one rule for everything that a file may be.

- EXIF rotation is applied.
- Transparency (alpha, or a transparent palette entry) is laid on white.
- Grey values of 16 or 32 bits, or floats, are scaled by the range of all such files (`values.py`).
- Palette, CMYK, YCbCr and the like become RGB; of an animation, or several pages, the first is taken.
- `fit`: the longer side is centre-cropped (`crop`), the shorter one is filled with black (`pad`), or the image is
  stretched to a square, which is resized (bilinear, antialiased).
- Without a requested size: the shorter side (without cropping: the longer one) of the most common image size, within
  8 to 64 pixels.
- AVIF needs a Pillow with it, HEIC the package pillow-heif: else such files are skipped, see `scan.py`.
- The set is grey if every pixel of every image has R = G = B; else RGB.
"""

import itertools
import logging
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image

from gangda.data import memmap
from gangda.data.confounds import FileFacts
from gangda.data.damaged import MALFORMED
from gangda.data.images import IntArray, UInt8Array
from gangda.data.own_output import origin_of
from gangda.data.sources.pixels import (
    is_turned,
    is_wide,
    jpeg_quality,
    square_rgb,
    stored_bits,
    upright_size,
    wide_values,
)
from gangda.data.sources.raw import AS_RGB, SMALLEST, own_size, size_notes
from gangda.data.sources.scan import by_folder
from gangda.data.values import BYTES, SHORTS, PartValues, Span, ValueRange, judge
from gangda.errors import DataError
from gangda.runtime.machine import available_cores

FITS = ("crop", "pad", "stretch")
_AT_ONCE = 32  # images that a thread decodes: handing over small ones singly costs as much as decoding them
_SHOWN = 10  # names of broken files
_MIXED = 0.1  # of the files of 16 bits: of either depth, from where it is told
_DIM = 16  # what the upper 8 of 16 bits stay below where values fill 12
_SAMPLE = 256  # files by which the size of all is guessed
# Pixels of a file from which threads help; of smaller ones, Python's own part is longer than Pillow's without the GIL,
# and two threads take twice as long as one.
_WORTH_THREADS = 96 * 96
T = TypeVar("T")

logging.getLogger("PIL").addHandler(logging.NullHandler())  # errors are reported once, by us


class Decoded(NamedTuple):
    """All files, decoded to one size."""

    pixels: UInt8Array  # uint8 (N, S, S, 1 or 3)
    notes: tuple[str, ...]  # what was done to them
    value_range: ValueRange | None  # of the files whose values are not 8 bits; None where all are
    facts: FileFacts
    broken: IntArray  # int64, positions of files that are left out


def decode_all(
    files: Collection[Path],
    image_size: int | None,
    num_train: int | None = None,
    given: Span | None = None,
    *,
    fit: str = "crop",
    skip_broken: bool = False,
) -> Decoded:
    """Decode all files, the first `num_train` (default: all) of them training images, to one size.

    `given`: values that become 0 and 255 in files of more than 8 bits; `skip_broken`: leave broken files out. Memory
    does not grow with their number (see `memmap.py`). Raises DataError: files are corrupt, too large, or of a kind that
    has no rule (the message names them); parts have different ranges of values.
    """
    # Of a few files first: mostly all have their size, so that each is read once.
    sizes = _sizes_of_some(files)
    threads = available_cores() if np.median([w * h for w, h in sizes] or 0) >= _WORTH_THREADS else 1
    size = image_size or _common_size(sizes, fit)
    pixels, found, errors = decode_files(files, size, fit, threads)
    right = image_size or _common_size(((row.width, row.height) for row in found if row), fit)
    if right != size:
        size = right
        pixels, found, errors = decode_files(files, size, fit, threads)
    notes, train = [], len(files) if num_train is None else num_train
    broken = np.flatnonzero([row is None for row in found])
    if errors:
        _refuse_broken(errors, skip_broken and len(errors) < len(files))
        where = f"({by_folder(list(errors))}; --skip-broken)"
        notes.append(f"{len(errors):,} broken files are left out {where}: {_listed(list(errors))}")
        files, train = [path for path in files if path not in errors], train - int((broken < train).sum())
        pixels = memmap.take(pixels, np.delete(np.arange(len(pixels)), broken))
    rows = [row for row in found if row is not None]
    facts, wide = _columns(rows), [number for number, row in enumerate(rows) if row.extremes]
    value_range = None
    if wide:
        value_range = _wide_range(rows, wide, train, given)
        chosen = [path for path, row in zip(files, rows, strict=True) if row.extremes]
        for start in range(0, len(wide), memmap.CHUNK):
            part = chosen[start : start + memmap.CHUNK]
            again = _map_files(lambda image, _: square_rgb(image, size, value_range, fit), part, threads)
            for number, rgb in zip(wide[start : start + memmap.CHUNK], again, strict=True):
                if isinstance(rgb, DataError):
                    raise rgb
                pixels = _put(pixels, number, rgb[None])
    notes += [
        *size_notes(Counter((row.width, row.height) for row in rows), size, fit),
        *_row_notes(rows, pixels),
    ]
    return Decoded(pixels, tuple(notes), value_range, facts, broken)


def decode_files(
    files: Collection[Path], size: int, fit: str, threads: int
) -> tuple[UInt8Array, list["_Row | None"], dict[Path, DataError]]:
    """Pixels of all files, black where a file is broken; facts; and the errors."""
    pixels, found = memmap.empty((len(files), size, size, 1)), list[_Row | None]()
    errors: dict[Path, DataError] = {}
    for part in _chunks(files):
        results = _map_files(lambda image, path: _decode(image, path, size, fit), part, threads)
        errors |= {path: one for path, one in zip(part, results, strict=True) if isinstance(one, DataError)}
        blank = np.zeros((size, size, 3), np.uint8)
        decoded = [(blank, None) if isinstance(one, DataError) else one for one in results]
        pixels = _put(pixels, len(found), np.stack([rgb for rgb, _ in decoded]))
        found += [row for _, row in decoded]
    return pixels, found, errors


def _refuse_broken(errors: Mapping[Path, DataError], skip: bool) -> None:
    """Raise the first of these errors with the names of all files, unless they are skipped."""
    if not skip:
        others = f" (and {len(errors) - 1:,} more: {_listed(list(errors)[1:])})" if len(errors) > 1 else ""
        raise DataError(f"{next(iter(errors.values()))}{others}; --skip-broken leaves such files out")


def _listed(paths: Sequence[Path]) -> str:
    names = ", ".join(f"{path.parent.name}/{path.name}" for path in paths[:_SHOWN])
    return f"{names}{', ...' * (len(paths) > _SHOWN)}"


def _row_notes(rows: Sequence["_Row"], pixels: UInt8Array) -> Iterator[str]:
    """Grey files among colour ones, and files of several images."""
    grey, several = (sum(getattr(row, name) for row in rows) for name in ("grey", "several"))
    if grey and pixels.shape[3] == 3:
        yield f"{grey:,} of {len(rows):,} images are grey{AS_RGB}others are"
    if turned := sum(row.turned for row in rows):
        yield f"{turned:,} of {len(rows):,} images are turned upright, as their EXIF says"
    highs = [row.extremes[2] for row in rows if row.extremes and row.extremes[0]]
    # What twelve bits fill, and what they cannot hold: cameras and scanners write them as they are into files of 16.
    twelve, more = (
        sum(low < high <= most for high in highs) for low, most in ((2**11, 2**12), (2**13, np.inf))
    )
    if min(twelve, more) > _MIXED * len(highs):
        what = f"{twelve:,} of {len(highs):,} files of 16 bits have values as of 12 (up to {2**12 - 1:,})"
        yield f"ALARM: {what}, and become nearly black beside the others: save them alike"
    deep = sum(row.bits == 16 and row.extremes is None for row in rows)
    if deep:
        yield f"{deep:,} of {len(rows):,} files have 16 bits a colour, of which the upper 8 are read"
    if (dim := sum(row.dim for row in rows)) > _MIXED * deep:
        what = f"{dim:,} of {deep:,} files of 16 bits a colour have values as of 12 (up to {2**12 - 1:,})"
        yield f"ALARM: {what}, of which 4 bits or fewer are left: save them with 8 bits a colour"
    if several:
        yield f"files of several pages or frames, of which the first is taken: {several:,}"


class _Row(NamedTuple):
    """What one file is; `extremes`: whether whole numbers, lowest and highest, where its values are not 8 bits."""

    format: str
    width: int
    height: int
    channels: int
    bits: int  # of a value
    quality: int  # see `FileFacts`
    origin: int
    grey: bool
    several: bool  # pages or frames
    extremes: tuple[bool, float, float] | None
    turned: bool  # by EXIF
    dim: bool  # a colour file of 16 bits whose values fill 12 or fewer


def _decode(image: Image.Image, path: Path, size: int, fit: str) -> tuple[UInt8Array, _Row]:
    """Pixels (black where their range is still to be found) and facts of one opened file."""
    # Before anything is decoded: Pillow then forgets it.
    stored = stored_bits(image)
    width, height = upright_size(image)
    origin = origin_of(path.name, image.info.get("Software"))
    # A photograph's preview (MPO) is no page.
    several = image.format != "MPO" and bool(getattr(image, "is_animated", False))
    wide = is_wide(image.mode)
    bits = (32 if image.mode in ("I", "F") else 16) if wide else 1 if image.mode == "1" else stored
    facts = (image.format or "", width, height, len(image.getbands()), bits, jpeg_quality(image), origin)
    turned = is_turned(image)
    if not wide:
        rgb = square_rgb(image, size, fit=fit)
        dim = stored == 16 and int(rgb.max()) < _DIM
        return rgb, _Row(*facts, bool((rgb == rgb[..., :1]).all()), several, None, turned, dim)
    values = wide_values(image)
    extremes = (values.dtype.kind == "i", float(values.min()), float(values.max()))
    return np.zeros((size, size, 3), np.uint8), _Row(*facts, True, several, extremes, turned, False)


def _columns(rows: Sequence[_Row]) -> FileFacts:
    formats = tuple(sorted({row.format for row in rows}))
    codes = np.array([formats.index(row.format) for row in rows], dtype=np.int64)
    numbers = np.array([row[1:6] for row in rows], dtype=np.int64).reshape(-1, 5).T
    width, height, channels, bits, quality = numbers
    origins = np.array([row.origin for row in rows], dtype=np.uint8)
    return FileFacts(formats, codes, width, height, channels, bits, quality, origins)


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
    if len(wide) < len(rows) and given is None and found.span not in (BYTES, SHORTS):
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
        for first in range(0, len(pixels), memmap.CHUNK):
            pixels[first : first + memmap.CHUNK] = grey[first : first + memmap.CHUNK]
    pixels[start : start + len(rgb)] = rgb[..., : pixels.shape[3]]
    return pixels


def _chunks(files: Iterable[Path]) -> Iterator[list[Path]]:
    rest = iter(files)
    while part := list(islice(rest, memmap.CHUNK)):
        yield part


def _map_files(
    work: Callable[[Image.Image, Path], T], files: Sequence[Path], threads: int
) -> list[T | DataError]:
    """The result of `work` on each opened image and its path, in threads (Pillow decodes without the GIL).

    For a file that cannot be decoded, the reason.
    """

    def opened(path: Path) -> T | DataError:
        try:
            with Image.open(path) as image:
                return work(image, path)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            return DataError(f"{path}: over {Image.MAX_IMAGE_PIXELS:,} pixels; make it smaller")
        except PermissionError:
            return DataError(f"{path}: cannot be read; check its permissions")
        except MALFORMED as error:
            reason = str(error).replace(str(path), "").replace("''", "").strip()[:80]
            empty = path.is_file() and not path.stat().st_size
            reason = "the file is empty" if empty else reason or type(error).__name__
            return DataError(f"{path}: cannot be decoded ({reason}); repair or remove it")

    with warnings.catch_warnings(), ThreadPoolExecutor(threads) as pool:
        warnings.simplefilter("ignore")  # odd metadata is not the user's concern
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        parts = [files[start : start + _AT_ONCE] for start in range(0, len(files), _AT_ONCE)]
        done = pool.map(lambda part: [opened(path) for path in part], parts)
        return list(itertools.chain.from_iterable(done))


def _sizes_of_some(files: Collection[Path]) -> list[tuple[int, int]]:
    """Width and height of some files, evenly spread."""
    some = list(islice(files, 0, None, 1 + len(files) // _SAMPLE))
    found = _map_files(lambda image, _: upright_size(image), some, threads=1)
    return [one for one in found if not isinstance(one, DataError)]


def _common_size(sizes: Iterable[tuple[int, int]], fit: str) -> int:
    """The side of the most common (width, height); of equally common ones, the larger."""
    counts = Counter(sizes)
    if not counts:
        return SMALLEST
    (width, height), _ = max(counts.items(), key=lambda item: (item[1], item[0]))
    return own_size(height, width, fit)
