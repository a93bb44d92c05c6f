"""Images of a comparison: strips of real and generated ones, what arms add, ensembles, nearest training images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gangda.comparing.report.pictures import decode_images, sheet, strip
from gangda.report.svg import ACCENT, INK, drawing, figure, to_svg


def grids(pictures: Sequence[Mapping[str, Any]], seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Of each pictured seed: all there is to see."""
    return [_grid(one, seed) for one, seed in zip(pictures, seeds, strict=False)]


def _grid(pictures: Mapping[str, Any], seed: int) -> dict[str, Any]:
    shape = pictures["shape"]

    def shown(text: str | None) -> str | None:
        return strip(decode_images(text, shape)) if text else None

    return {
        "seed": seed,
        "rows": [
            {"name": row["name"], "real": shown(row["real"]), "generated": shown(row["generated"])}
            for row in pictures["classes"]
        ],
        "added": [
            {
                "arms": ", ".join(one["arms"]),
                "image": sheet([decode_images(row, shape) for row in one["rows"]]),
            }
            for one in pictures.get("added", ())
        ],
        "each": [
            {"key": key, "rows": [shown(row) for row in rows]}
            for key, rows in pictures.get("each", {}).items()
        ],
        "filtered": [
            {
                "title": f"{one['key']}, {', '.join(one['filter'])}",
                "image": f"data:image/png;base64,{one['sheet']}",
            }
            for one in pictures.get("filtered", ())
        ],
        "nearest": [
            _nearest(key, one, shape, seed) for key, one in pictures.get("nearest", {}).items() if one
        ],
    }


def _nearest(key: str, found: Mapping[str, Any], shape: Sequence[int], seed: int) -> dict[str, Any]:
    """The closest pairs, and whether samples lie nearer to training images than held-out ones do."""
    samples, train = (decode_images(found[side], shape) for side in ("samples", "train"))
    pairs = [
        {"sample": strip(samples[i : i + 1]), "train": strip(train[i : i + 1]), "distance": distance}
        for i, distance in enumerate(found["distances"])
    ]
    near = next(m for m in found["metrics"] if m["name"] == "memorisation_near_pixels")
    return {
        "key": key,
        "pairs": pairs,
        "n": len(found["of_samples"]),
        "near": near,
        "alarms": [m["note"] for m in found["metrics"] if m["note"].startswith("ALARM")],
        "figure": distances_figure(key, found["of_samples"], found["of_heldout"], seed),
    }


def distances_figure(key: str, of_samples: Sequence[float], of_heldout: Sequence[float], seed: int) -> str:
    """Share of images with a training image within a distance: samples beside held-out images."""
    with drawing(f"nearest-{key}-{seed}"):
        fig, axes = figure(7.2, 2.4)
        for distances, colour, style, words in (
            (of_heldout, INK, "--", "held-out real images"),
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
