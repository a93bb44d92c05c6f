"""Images of a comparison: real and generated ones, what arms add, ensembles, nearest training images."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from gangda.comparing.cell_result import NearestImages
from gangda.data.images import UInt8Array
from gangda.report.png import data_uri
from gangda.report.svg import ACCENT, INK, drawing, figure, to_svg


def nearest_images(key: str, found: NearestImages, seed: int) -> dict[str, Any]:
    """The closest pairs, and whether samples lie nearer to training images than held-out ones do."""
    return {
        "key": key,
        "pairs": list(zip(found.samples, found.train, found.distances, strict=True)),
        "n": len(found.of_samples),
        "near": next(metric for metric in found.metrics if metric.name == "memorisation_near_pixels"),
        "alarms": [metric.note for metric in found.metrics if metric.note.startswith("ALARM")],
        "figure": distances_figure(key, found.of_samples, found.of_held_out, seed),
    }


def distances_figure(key: str, of_samples: Sequence[float], of_held_out: Sequence[float], seed: int) -> str:
    """Share of images with a training image within a distance: samples beside held-out images."""
    with drawing(f"nearest-{key}-{seed}"):
        fig, axes = figure(7.2, 2.4)
        for distances, colour, style, words in (
            (of_held_out, INK, "--", "held-out real images"),
            (of_samples, ACCENT, "-", "samples"),
        ):
            share = 100 * np.arange(1, len(distances) + 1) / max(1, len(distances))
            axes.step(distances, share, style, where="post", lw=1.8, color=colour, label=words)
        axes.set_xlabel("distance to the nearest training image, grey levels")
        axes.set_ylabel("images, per cent")
        axes.set_xlim(left=0)
        axes.grid(axis="y", alpha=0.15, color=INK)
        axes.legend(loc="best", frameon=False)
        return to_svg(
            fig,
            f"Distances of samples of {key} to their nearest training images, beside those of held-out images, "
            f"seed {seed}. Samples to the left of the held-out line may be copies.",
        )


def sheet(rows: Sequence[UInt8Array]) -> str:
    """Rows of images uint8 (n, H, W, C), one pixel apart, as a PNG data URI; a row may be shorter, or empty.

    The page enlarges it without smoothing.
    """
    from PIL import Image

    _, height, width, channels = rows[0].shape
    columns = max(1, *map(len, rows))
    canvas = np.zeros((len(rows) * (height + 1) - 1, columns * (width + 1) - 1, channels), dtype=np.uint8)
    alpha = np.zeros((*canvas.shape[:2], 1), dtype=np.uint8)
    for line, row in enumerate(rows):
        for column, image in enumerate(row):
            top, left = line * (height + 1), column * (width + 1)
            place = (slice(top, top + height), slice(left, left + width))
            canvas[place], alpha[place] = image, 255
    both = np.concatenate([canvas, alpha], axis=2)
    buffer = io.BytesIO()
    Image.fromarray(both, mode="LA" if channels == 1 else "RGBA").save(buffer, format="PNG", optimize=True)
    return data_uri(buffer.getvalue())
