"""Grids of samples, and the animation of a run's grids."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from gangda.data.images import UInt8Array

FRAMES = 40  # at most so many in an animation


def tile(images: UInt8Array, columns: int, gap: int = 1) -> UInt8Array:
    """(N, H, W, C) -> one picture, left to right and top to bottom, with a thin grey line between."""
    count, height, width, channels = images.shape
    lines = -(-count // columns)
    shape = (lines * (height + gap) - gap, columns * (width + gap) - gap, channels)
    picture = np.full(shape, 128, np.uint8)
    for i, image in enumerate(images):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        picture[top : top + height, left : left + width] = image
    return picture


def png(picture: UInt8Array) -> bytes:
    """PNG bytes of a uint8 (H, W, C) picture."""
    buffer = io.BytesIO()
    Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture).save(buffer, "PNG")
    return buffer.getvalue()


def animation(paths: Sequence[Path]) -> bytes:
    """GIF bytes of some pictures in order, the last one held for two seconds."""
    chosen = [*paths[:: max(1, -(-len(paths) // FRAMES))], paths[-1]]
    frames = [Image.open(path).convert("P") for path in chosen]
    buffer = io.BytesIO()
    durations = [200] * (len(frames) - 1) + [2000]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)
    return buffer.getvalue()
