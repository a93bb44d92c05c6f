"""Large arrays of pixels are memory-mapped files: above `LARGE` bytes a set is not kept in memory.

The kernel loads and drops their pages as needed, so that a process's own (anonymous) memory grows only with labels, row
numbers and orders, some thirty bytes an image. The files are unlinked, lie in the cache folder (/tmp may itself be in
memory), and are gone with the process, however it ends. Without room on the disk, the array is in memory.
"""

import contextlib
import math
import os
import tempfile
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gangda.data.paths import cache_root
from gangda.runtime.arrays import IntArray, UInt8Array

LARGE = 256 * 2**20  # bytes: 340,000 grey images of 28x28, 22,000 RGB ones of 64x64
PART = 16 * 2**20  # bytes, for images taken from a mapped set: several splits add up
CHUNK = 4096  # images decoded, scaled or copied at once


def empty(shape: tuple[int, ...], large: int | None = None) -> UInt8Array:
    """An uninitialised uint8 array: in memory, or, above `large` (default `LARGE`) bytes, memory-mapped."""
    if math.prod(shape) <= (LARGE if large is None else large):
        return np.empty(shape, dtype=np.uint8)
    folder = cache_root() / "images"
    with contextlib.suppress(OSError):  # no room there
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            if hasattr(os, "posix_fallocate"):
                # A full disk is an error now, not a SIGBUS when a page is written.
                os.posix_fallocate(file.fileno(), 0, math.prod(shape))
            return np.memmap(file, dtype=np.uint8, mode="r+", shape=shape)
    return np.empty(shape, dtype=np.uint8)


def take(pixels: UInt8Array, rows: IntArray) -> UInt8Array:
    """`pixels[rows]`, a view of consecutive rows; above `LARGE` bytes, or `PART` of a mapped set, in a mapped array."""
    if len(rows) and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
        return pixels[rows[0] : rows[0] + len(rows)]
    shape, large = (len(rows), *pixels.shape[1:]), PART if in_file(pixels) else LARGE
    if math.prod(shape) <= large:
        return pixels[rows]
    taken = empty(shape, large)
    for start in range(0, len(rows), CHUNK):
        taken[start : start + CHUNK] = pixels[rows[start : start + CHUNK]]
    return taken


def join(parts: Sequence[UInt8Array]) -> UInt8Array:
    """`np.concatenate(parts)`, in an array of `empty`; at least one part, all of one shape but for the first axis."""
    count = sum(len(part) for part in parts)
    return np.concatenate(parts, out=empty((count, *parts[0].shape[1:])))


def in_file(pixels: UInt8Array) -> bool:
    """Whether these pixels are memory-mapped and too large for memory."""
    return pixels.nbytes > LARGE and isinstance(pixels, np.memmap)


def as_tensor(pixels: UInt8Array) -> Tensor:
    """The same values as a CPU tensor, not to be written to: a copy, or, of a large mapped file, its own pages."""
    if not in_file(pixels):
        return torch.tensor(pixels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the read-only mapping: the tensor is only read
        return torch.from_numpy(pixels)
