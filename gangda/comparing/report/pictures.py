"""Pictures of a comparison: scores and differences of each seed as dots, images as strips."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gangda.data.images import FloatArray, UInt8Array
from gangda.report.svg import ACCENT, CALM, INK, drawing, figure, to_svg

ROW = 0.42  # inches of a row of dots
DECIDED = ("better", "worse")


def arms_figure(arms: Sequence[Mapping[str, Any]], score: str = "accuracy") -> str:
    """Score of every seed (dots), mean and interval (bar) of each arm, in per cent."""
    with drawing("arms"):
        fig, axes = figure(7.2, 0.9 + ROW * len(arms))
        for row, arm in enumerate(arms):
            scores = 100 * np.asarray(arm["scores"])
            axes.plot(scores, row + _spread(len(scores)), "o", ms=5.5, alpha=0.75, color=CALM, mec="none")
            _bar(axes, row, 100 * arm["mean"], _scaled(arm["interval"]), ACCENT)
        _rows(axes, [arm["name"] for arm in arms])
        axes.set_xlabel(f"{score} on the test set, per cent")
        return to_svg(
            fig,
            f"{score.capitalize()} of each arm: one dot a seed, mean and interval. The table has the numbers.",
        )


def contrasts_figure(contrasts: Sequence[Mapping[str, Any]], margin: float, score: str = "accuracy") -> str:
    """Paired difference of every seed (dots), mean and interval (bar), the equivalence margin (band), in points."""
    with drawing("contrasts"):
        fig, axes = figure(7.2, 0.9 + ROW * len(contrasts))
        axes.axvspan(-100 * margin, 100 * margin, color=INK, alpha=0.08, lw=0)
        axes.axvline(0, color=INK, lw=1)
        for row, contrast in enumerate(contrasts):
            deltas = 100 * np.asarray(contrast["deltas"])
            axes.plot(deltas, row + _spread(len(deltas)), "o", ms=5.5, alpha=0.75, color=CALM, mec="none")
            decided = contrast["verdict"].startswith(DECIDED)
            _bar(axes, row, 100 * contrast["mean"], _scaled(contrast["interval"]), ACCENT if decided else INK)
        _rows(axes, [contrast["name"] for contrast in contrasts])
        axes.set_xlabel(f"difference in {score}, points; the band is the equivalence margin")
        return to_svg(
            fig, "Differences between arms: one dot a seed, mean and interval. The table has the numbers."
        )


def settings_figure(
    rows: Sequence[Mapping[str, Any]], words: str, percent: bool, *, zero: bool = False
) -> str:
    """Scores of every seed (dots), mean and interval (bar) of each setting; in per cent (or points) or as they are."""
    scale = 100 if percent else 1
    with drawing(f"settings-{words}"):
        fig, axes = figure(7.2, 0.9 + ROW * len(rows))
        if zero:
            axes.axvline(0, color=INK, lw=1)
        for row, setting in enumerate(rows):
            scores = scale * np.asarray(setting["scores"], dtype=np.float64)
            axes.plot(scores, row + _spread(len(scores)), "o", ms=5.5, alpha=0.75, color=CALM, mec="none")
            ends = setting["interval"]
            bar = None if ends is None else (scale * ends[0], scale * ends[1])
            _bar(axes, row, scale * setting["mean"], bar, ACCENT)
        _rows(axes, [setting["name"] for setting in rows])
        axes.set_xlabel(words + ((", points" if zero else ", per cent") if percent else ""))
        return to_svg(
            fig, f"{words} of each setting: one dot a seed, mean and interval. The table has the numbers."
        )


def _spread(count: int) -> FloatArray:
    """Small vertical offsets, so that equal scores do not hide each other."""
    offsets: FloatArray = (np.arange(count) % 5 - 2).astype(np.float64) * 0.06
    return offsets


def _scaled(interval: Sequence[float] | None) -> tuple[float, float] | None:
    return None if interval is None else (100 * interval[0], 100 * interval[1])


def _bar(axes: Any, row: int, mean: float, interval: tuple[float, float] | None, colour: str) -> None:
    if interval is not None:
        axes.plot(interval, (row, row), "-", lw=2, color=colour, solid_capstyle="butt")
    axes.plot([mean], [row], "D", ms=7, color=colour, mec="none")


def _rows(axes: Any, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.15, color=INK)


def decode_images(text: str, shape: Sequence[int]) -> UInt8Array:
    """uint8 (n, H, W, C) from base64."""
    flat = np.frombuffer(base64.b64decode(text), dtype=np.uint8)
    return flat.reshape(-1, *shape)


def strip(images: UInt8Array) -> str:
    """Images side by side, one pixel apart, as a PNG data URI; the page enlarges it without smoothing."""
    return sheet([images])


def sheet(rows: Sequence[UInt8Array]) -> str:
    """Rows of images uint8 (n, H, W, C), one pixel apart, as a PNG data URI; a row may be shorter, or empty."""
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
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
