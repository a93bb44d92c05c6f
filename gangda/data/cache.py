"""Decoded folders, kept so that files are decoded once: pixels in KEY.npy (memory-mapped), the rest in KEY.json.

Under $GANGDA_CACHE (default ~/.cache/gangda, or $XDG_CACHE_HOME/gangda), in images/. The key is a hash of the manifest
(names, sizes, times) and the image size. The JSON is written last and holds checksums of the pixels and of itself: a
damaged or half-written entry is made again. A cache that cannot be written costs time, never the result.
"""

import contextlib
import hashlib
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from gangda.data.images import UInt8Array
from gangda.data.paths import cache_root
from gangda.data.sources.raw import Decoded
from gangda.errors import GangdaError
from gangda.runtime.files import being_written
from gangda.runtime.results import read_result, write_result

CHUNK = 65536  # images written or checked at once
RULES = 1  # raise when decoding changes, so that old entries are left behind


def cached(manifest: Iterable[str], image_size: int | None, decode: Callable[[], Decoded]) -> Decoded:
    """The decoded images for these lines of a manifest: from the cache, else from `decode`, and then cached."""
    place = cache_root() / "images" / _key(manifest, image_size)
    kept = _read(place)
    if kept is not None:
        return kept
    decoded = decode()
    with contextlib.suppress(GangdaError, OSError):  # read-only home or full disk: go on without
        _write(place, decoded)
        return _read(place) or decoded  # mapped from the file, and what was decoded is let go
    return decoded


def _key(manifest: Iterable[str], image_size: int | None) -> str:
    digest = hashlib.sha256(f"{RULES}\n{image_size}".encode())
    for line in manifest:
        digest.update(f"\n{line}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]


def _write(place: Path, decoded: Decoded) -> None:
    pixels = decoded.pixels
    about = {"descr": "|u1", "fortran_order": False, "shape": pixels.shape}
    with being_written(place.with_suffix(".npy")) as file:
        np.lib.format.write_array_header_1_0(file, about)
        for start in range(0, len(pixels), CHUNK):
            file.write(np.ascontiguousarray(pixels[start : start + CHUNK]).data)
    rest = {
        "checksum": _checksum(decoded.pixels),
        "labels": decoded.labels.tolist(),
        "class_names": list(decoded.class_names),
        "test_rows": None if decoded.test_rows is None else decoded.test_rows.tolist(),
        "notes": list(decoded.notes),
    }
    write_result(place.with_suffix(".json"), rest)


def _read(place: Path) -> Decoded | None:
    """What is kept there; None where there is nothing, or something damaged."""
    try:
        rest = read_result(place.with_suffix(".json"))
        pixels = np.load(place.with_suffix(".npy"), mmap_mode="r", allow_pickle=False)
        if _checksum(pixels) != rest["checksum"]:
            return None
    except Exception:  # whatever damaged bytes make NumPy raise: it is decoded anew
        return None
    return Decoded(
        pixels=pixels,
        labels=np.array(rest["labels"], dtype=np.int64),
        class_names=tuple(rest["class_names"]),
        test_rows=None if rest["test_rows"] is None else np.array(rest["test_rows"], dtype=np.int64),
        notes=tuple(rest["notes"]),
    )


def _checksum(pixels: UInt8Array) -> str:
    value = zlib.crc32(repr((pixels.shape, pixels.dtype.str)).encode())
    for start in range(0, len(pixels), CHUNK):
        value = zlib.crc32(np.ascontiguousarray(pixels[start : start + CHUNK]).data, value)
    return f"{value:08x}"
