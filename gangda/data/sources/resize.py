"""One rule for all sources: the longer side is centre-cropped to a square, then resized, with antialiasing."""

import torch
from torch.nn import functional as F

from gangda.data import memmap
from gangda.data.images import UInt8Array

SMALLEST, LARGEST = 8, 64
_CHUNK = 4096


def own_size(height: int, width: int) -> int:
    """The side of an image if none is requested: its shorter one, within 8 to 64 pixels."""
    return min(max(min(height, width), SMALLEST), LARGEST)


def to_square(pixels: UInt8Array, size: int | None) -> UInt8Array:
    """uint8 (N, H, W, C) -> (N, size, size, C); the same array if nothing has to be done."""
    _, height, width, channels = pixels.shape
    size = size or own_size(height, width)
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    if height != width:
        pixels = pixels[:, top : top + side, left : left + side]
    if side == size:
        return pixels
    resized = memmap.empty((len(pixels), size, size, channels))
    for start in range(0, len(pixels), _CHUNK):
        images = torch.tensor(pixels[start : start + _CHUNK]).permute(0, 3, 1, 2).float()
        scaled = F.interpolate(images, (size, size), mode="bilinear", align_corners=False, antialias=True)
        rounded = scaled.round().clamp(0, 255).to(torch.uint8)
        resized[start : start + _CHUNK] = rounded.permute(0, 2, 3, 1).numpy()
    return resized
