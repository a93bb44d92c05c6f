"""IDX files, as the tests write them."""

import gzip
from pathlib import Path
from typing import Any

import numpy.typing as npt

from gangda.data.sources.idx import idx_header

TYPES = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}


def write_idx(path: Path, array: npt.NDArray[Any]) -> None:
    """Write an array as IDX, gzipped if the name ends in .gz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = idx_header(array.shape, TYPES[array.dtype.name])
    data += array.astype(array.dtype.newbyteorder(">"), copy=False).tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
