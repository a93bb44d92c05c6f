"""A picture of what filters did: samples that were kept above, rejected ones with the reason below."""

from collections.abc import Mapping, Sequence

import numpy as np

from gangda.data.images import UInt8Array
from gangda.report.png import new_figure, shorten, to_png

MOST_CLASSES = 20  # rows of either part; with more classes, the first ones
COLUMNS = 10
GAP = 0.25  # below a row of rejected samples, as a part of its height, for the reasons


def kept_and_rejected(
    class_names: Sequence[str],
    kept: Mapping[int, UInt8Array],
    rejected: Mapping[int, UInt8Array],
    reasons: Mapping[int, Sequence[str]],
) -> bytes:
    """PNG: a row for each class that was drawn; empty bytes where nothing was filtered.

    Images are uint8 (n, H, W, C), keyed by class.
    """
    labels = sorted(kept)[:MOST_CLASSES]
    if not labels:
        return b""
    _, height, width, channels = kept[labels[0]].shape
    gap = round(GAP * height)
    above = _canvas([kept[label] for label in labels], height, width, channels, 1)
    below = _canvas([rejected[label] for label in labels], height, width, channels, gap)
    inches = 9.0 * (len(above) + len(below)) / above.shape[1] + 1.0
    figure = new_figure(10.0, inches)
    parts = figure.subplots(2, 1, height_ratios=(len(above), len(below)))
    names = [shorten(class_names[label]) for label in labels]
    for axes, title, picture, step in zip(
        parts, ("kept", "rejected"), (above, below), (height + 1, height + gap), strict=True
    ):
        axes.imshow(
            picture[..., 0] if channels == 1 else picture, cmap="gray", vmin=0, vmax=255, aspect="equal"
        )
        axes.set_title(title)
        axes.set_yticks([row * step + height / 2 for row in range(len(labels))], names)
        axes.set_xticks([])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    for row, label in enumerate(labels):
        for column, reason in enumerate(reasons[label][:COLUMNS]):
            place = (column * (width + 1) + width / 2, row * (height + gap) + height + gap / 2)
            parts[1].text(*place, shorten(reason, 16), ha="center", va="center", fontsize=6)
    return to_png(figure, dpi=120)


def _canvas(rows: Sequence[UInt8Array], height: int, width: int, channels: int, gap: int) -> UInt8Array:
    """Rows of images on white, `gap` pixels below each."""
    shape = (len(rows) * (height + gap), COLUMNS * (width + 1), channels)
    canvas = np.full(shape, 255, dtype=np.uint8)
    for row, images in enumerate(rows):
        for column, image in enumerate(images[:COLUMNS]):
            top, left = row * (height + gap), column * (width + 1)
            canvas[top : top + height, left : left + width] = image
    return canvas
