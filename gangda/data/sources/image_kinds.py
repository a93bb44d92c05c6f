"""Which files are images: by their suffix or first bytes, as far as Pillow can read them here.

AVIF needs a Pillow with it, HEIC the package pillow-heif.
"""

import contextlib
import importlib
import re
import warnings
from pathlib import Path

from PIL import features

_HEIF = (".heic", ".heif", ".hif")
_OTHERS = (
    ".jp2", ".j2k", ".jxl", ".ico", ".tga", ".dds", ".psd", ".svg", ".exr", ".hdr", ".dcm", ".nii", ".dng", ".nef",
    ".cr2", ".arw",
)  # fmt: skip
_NEEDED = {
    **dict.fromkeys(_OTHERS, "images of kinds that are not read here: save them as PNG"),
    ".avif": "AVIF images, which this Pillow cannot read (11.3 or newer can)",
    **dict.fromkeys(_HEIF, "HEIC images, which need pillow-heif: pip install 'gangda[heif]'"),
}


def _readable() -> tuple[str, ...]:
    """Those of the kinds that need something which is there."""
    found: tuple[str, ...] = ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow before 11.3 does not know the question
        if features.check("avif"):
            found += (".avif",)
    with contextlib.suppress(ImportError):
        importlib.import_module("pillow_heif").register_heif_opener()
        found += _HEIF
    return found


EXTENSIONS = (
    ".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".pnm",
    ".jfif", *_readable(),
)  # fmt: skip
UNREADABLE = {suffix: reason for suffix, reason in _NEEDED.items() if suffix not in EXTENSIONS}
_FIRST_BYTES = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8|BM....\0\0\0\0|II\*\0|MM\0\*|RIFF....WEBP", re.DOTALL
)
_BRANDS = {
    brand: suffix
    for suffix, brands in (
        (".avif", (b"avif", b"avis")),
        (".heic", (b"heic", b"heix", b"hevc", b"mif1", b"msf1")),
    )
    for brand in brands
}


def kind_by_content(path: Path) -> str | None:
    """A suffix for a file that begins as images do, ".avif" and ".heic" or else ".png"; None for any other file."""
    try:
        with path.open("rb") as file:
            first = file.read(16)
    except OSError:
        return None
    if first[4:8] == b"ftyp":
        return _BRANDS.get(first[8:12])
    return ".png" if _FIRST_BYTES.match(first) else None
