"""Grids of images as PNG, and the animation of a run's grids."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gangda.data.images import UInt8Array

ROW, NAME, GAP = 24, 12, 4  # pixels: height of a named row at least, of its font, space around the name
LONGEST_NAME = 20  # characters
FRAMES = 40  # at most so many in an animation


def canvas(
    rows: Sequence[UInt8Array], columns: int, *, below: int = 1, beside: int = 1, fill: int = 255
) -> UInt8Array:
    """The first `columns` of each row of images uint8 (n, H, W, C), with gaps below and to the right of each image."""
    _, height, width, channels = rows[0].shape
    picture = np.full((len(rows) * (height + below), columns * (width + beside), channels), fill, np.uint8)
    for line, row in enumerate(rows):
        for column, image in enumerate(row[:columns]):
            top, left = line * (height + below), column * (width + beside)
            picture[top : top + height, left : left + width] = image
    return picture


def tile(images: UInt8Array, columns: int) -> UInt8Array:
    """(N, H, W, C) -> one picture, left to right and top to bottom, with a thin grey line between."""
    rows = [images[first : first + columns] for first in range(0, len(images), columns)]
    return canvas(rows, columns, fill=128)[:-1, :-1]


def named(images: UInt8Array, columns: int, names: Sequence[str]) -> UInt8Array:
    """`tile` with a row for each name, which stands to its left; small images are enlarged, so that names fit."""
    scale = max(1, -(-ROW // images.shape[1]))
    picture = tile(images.repeat(scale, axis=1).repeat(scale, axis=2), columns)
    font = ImageFont.load_default(size=NAME)
    shown = [name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "~" for name in names]
    margin = Image.new(
        "L", (max(int(font.getlength(name)) for name in shown) + 2 * GAP, picture.shape[0]), 255
    )
    draw = ImageDraw.Draw(margin)
    for row, name in enumerate(shown):
        middle = row * (scale * images.shape[1] + 1) + scale * images.shape[1] // 2
        draw.text((margin.width - GAP, middle), name, fill=0, font=font, anchor="rm")
    names_beside = np.repeat(np.asarray(margin)[..., None], picture.shape[2], axis=2)
    return np.concatenate([names_beside, picture], axis=1)


def sheet(rows: Sequence[UInt8Array]) -> str:
    """Rows of images uint8 (n, H, W, C), one pixel apart, as a PNG data URI; a row may be shorter, or empty."""
    opaque = [np.concatenate([row, np.full_like(row[..., :1], 255)], axis=-1) for row in rows]
    return data_uri(png(canvas(opaque, max(1, *map(len, rows)), fill=0)[:-1, :-1], optimize=True))


def png(picture: UInt8Array, *, optimize: bool = False) -> bytes:
    """PNG bytes of a uint8 (H, W, C) picture; 2 or 4 channels have opacity as the last one."""
    buffer = io.BytesIO()
    image = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
    image.save(buffer, "PNG", optimize=optimize)
    return buffer.getvalue()


def data_uri(png: bytes) -> str:
    """A PNG as the source of an image in a page."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def animation(paths: Sequence[Path]) -> bytes:
    """GIF bytes of some pictures in order, the last one held for two seconds."""
    chosen = [*paths[:: max(1, -(-len(paths) // FRAMES))], paths[-1]]
    frames = [Image.open(path).convert("P") for path in chosen]
    buffer = io.BytesIO()
    durations = [200] * (len(frames) - 1) + [2000]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)
    return buffer.getvalue()
