"""One opened image as square RGB pixels; the rules are those of `decode.py`."""

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from gangda.data.images import UInt8Array
from gangda.data.values import ValueRange

_TRANSPARENT = ("RGBA", "RGBa", "LA", "La", "PA")
_SIDEWAYS = range(5, 9)  # EXIF orientations that swap width and height
_ORIENTATION = 0x0112


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height after EXIF rotation."""
    width, height = image.size
    return (height, width) if image.getexif().get(_ORIENTATION) in _SIDEWAYS else (width, height)


def square_rgb(
    image: Image.Image, size: int, value_range: ValueRange | None = None, fit: str = "crop"
) -> UInt8Array:
    """One opened image as uint8 (size, size, 3), by the rules above."""
    rgb = _to_rgb(ImageOps.exif_transpose(image), value_range)
    if fit == "pad":
        whole = ImageOps.contain(rgb, (size, size), Image.Resampling.BILINEAR)
        square = Image.new("RGB", (size, size))
        square.paste(whole, ((size - whole.width) // 2, (size - whole.height) // 2))
        return np.asarray(square)
    if fit == "stretch":
        return np.asarray(rgb.resize((size, size), Image.Resampling.BILINEAR))
    side = min(rgb.size)
    left, top = (rgb.width - side) // 2, (rgb.height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(rgb.resize((size, size), Image.Resampling.BILINEAR, box=box))


def _to_rgb(image: Image.Image, value_range: ValueRange | None = None) -> Image.Image:
    """Any mode to RGB, by the rules above; `value_range` is for values that are not 8 bits."""
    if value_range is not None and is_wide(image.mode):
        return Image.fromarray(value_range.to_bytes(wide_values(image))).convert("RGB")
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        opaque = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", opaque.size, "white"), opaque).convert("RGB")
    return image.convert("RGB")


def is_wide(mode: str) -> bool:
    """Whether the values of this mode of Pillow's are not 8 bits."""
    return mode in ("I", "F") or mode.startswith("I;")


def wide_values(image: Image.Image) -> npt.NDArray[Any]:
    """Values that are not 8 bits, int32 or float32 (H, W). Raises ValueError: NaN or infinity."""
    values = np.asarray(image if image.mode == "F" else image.convert("I"))
    if not np.isfinite(values).all():
        raise ValueError("its values are NaN or infinite")
    return values
