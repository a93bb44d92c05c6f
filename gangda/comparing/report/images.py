"""Images of a comparison: real and generated ones, what arms add, ensembles, nearest training images."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gangda.comparing.cell_result import NearestImages
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
