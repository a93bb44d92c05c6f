"""Files that are damaged, or forged to do harm."""

import lzma
import struct
import tarfile
import tokenize
import zipfile
import zlib
from pathlib import Path

from gangda.errors import DataError

# What damaged or forged bytes make NumPy, Pillow and the decompressors raise.
MALFORMED = (
    OSError, EOFError, ValueError, KeyError, TypeError, IndexError, OverflowError, MemoryError, RuntimeError,
    SyntaxError, AttributeError, tokenize.TokenError, struct.error, zipfile.BadZipFile, tarfile.TarError, zlib.error,
    lzma.LZMAError,
)  # fmt: skip
BOMB_BYTES, BOMB_RATIO = 1 << 30, 200  # images are never compressed that much


def refuse_bomb(path: Path, size: int, cure: str) -> None:
    """A DataError where a file unpacks to `size` bytes, more than `BOMB_BYTES` and `BOMB_RATIO` times its own size."""
    packed = path.stat().st_size
    if size > BOMB_BYTES and size > BOMB_RATIO * packed:
        what = f"unpacks to {size >> 20:,} MB from {packed >> 10:,} kB, as no images do"
        raise DataError(f"{path}: {what}; {cure} if it is meant")
