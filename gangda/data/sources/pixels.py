"""One opened image as square RGB pixels; the rules are those of `decode.py`."""

import re
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from gangda.data.images import UInt8Array
from gangda.data.values import ValueRange

_TRANSPARENT = ("RGBA", "RGBa", "LA", "La", "PA")
_SIDEWAYS = range(5, 9)  # EXIF orientations that swap width and height
_TURNED = range(2, 9)
_ORIENTATION = 0x0112
# In the name of how values lie in a file, with their order of bytes: "BGR;16" of a BMP is 16 bits for all colours.
_DEEP = re.compile(";16[BLN]")
# Of the 64 entries of the JPEG standard's example table for brightness (ITU-T T.81, table K.1), which is quality 50.
_STANDARD_SUM = 3688


def _upright(image: Image.Image) -> Image.Image:
    """With EXIF's rotation applied; the same object where there is none."""
    return ImageOps.exif_transpose(image) if is_turned(image) else image


def is_turned(image: Image.Image) -> bool:
    """Whether EXIF gives a rotation or a mirroring that is to be applied."""
    return image.getexif().get(_ORIENTATION, 1) in _TURNED


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height after EXIF rotation."""
    width, height = image.size
    return (height, width) if image.getexif().get(_ORIENTATION) in _SIDEWAYS else (width, height)


def square_rgb(
    image: Image.Image, size: int, value_range: ValueRange | None = None, fit: str = "crop"
) -> UInt8Array:
    """One opened image as uint8 (size, size, 3), by the rules above; not to be written to."""
    square = np.asarray(_square(_grey_or_rgb(_upright(image), value_range), size, fit))
    return square if square.ndim == 3 else np.broadcast_to(square[..., None], (size, size, 3))


def _square(image: Image.Image, size: int, fit: str) -> Image.Image:
    if fit == "pad":
        whole = ImageOps.contain(image, (size, size), Image.Resampling.BILINEAR)
        square = Image.new(image.mode, (size, size))
        square.paste(whole, ((size - whole.width) // 2, (size - whole.height) // 2))
        return square
    if fit == "stretch":
        return image.resize((size, size), Image.Resampling.BILINEAR)
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    return image.resize((size, size), Image.Resampling.BILINEAR, box=box)


def _grey_or_rgb(image: Image.Image, value_range: ValueRange | None = None) -> Image.Image:
    """Any mode to L or RGB, by the rules above; `value_range` is for values that are not 8 bits."""
    if value_range is not None and is_wide(image.mode):
        return Image.fromarray(value_range.to_bytes(wide_values(image)))
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        opaque = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", opaque.size, "white"), opaque).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def is_wide(mode: str) -> bool:
    """Whether the values of this mode of Pillow's are not 8 bits."""
    return mode in ("I", "F") or mode.startswith("I;")


def stored_bits(image: Image.Image) -> int:
    """Bits of a value in the file of an image that is opened and not yet decoded: 8, or 16, of colours too.

    Pillow decodes colours of 16 bits to their upper 8 and does not say so.
    """
    return 16 if any(_DEEP.search(str(tile[3])) for tile in getattr(image, "tile", ())) else 8


def wide_values(image: Image.Image) -> npt.NDArray[Any]:
    """Values that are not 8 bits, int32 or float32 (H, W). Raises ValueError: NaN or infinity."""
    values = np.asarray(image if image.mode == "F" else image.convert("I"))
    if not np.isfinite(values).all():
        raise ValueError("its values are NaN or infinite")
    return values


def jpeg_quality(image: Image.Image) -> int:
    """The quality, 1 to 100, at which libjpeg would have written a JPEG's table of brightness; 0 for other formats.

    Source: libjpeg, jcparam.c, `jpeg_quality_scaling`, by the table's mean in place of each entry. Below some 30
    it is told too high, as entries end at 255.
    """
    tables: dict[int, list[int]] | None = getattr(image, "quantization", None)
    if not tables:
        return 0
    scale = 100 * sum(tables[0]) / _STANDARD_SUM
    return max(1, min(100, round((200 - scale) / 2 if scale <= 100 else 5000 / scale)))
