"""Pictures of a score: recall by class, samples beside real images, samples nearest to training images."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gangda.data.images import FloatArray, LabelledImages, UInt8Array
from gangda.report.png import new_figure, shorten, to_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REAL_COLOUR, FAKE_COLOUR = "#6b7280", "#2563eb"
MOST_CLASSES = 20  # rows of a grid; with more classes, the first ones


def class_bars(class_names: Sequence[str], real: FloatArray, fake: FloatArray) -> bytes:
    """PNG: the scorer's recall of each class on held-out real images and on samples.

    `real` and `fake` are shares, float64 (K,); NaN draws no bar.
    """
    figure = new_figure(7.0, max(2.5, 0.32 * len(class_names) + 1))
    axes = figure.add_subplot()
    rows = np.arange(len(class_names))
    axes.barh(rows - 0.2, np.nan_to_num(real), 0.38, color=REAL_COLOUR, label="held-out real")
    axes.barh(rows + 0.2, np.nan_to_num(fake), 0.38, color=FAKE_COLOUR, label="samples (GAN-test)")
    axes.set_yticks(rows, [shorten(name) for name in class_names])
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("share classified as intended")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return to_png(figure)


def real_and_generated(real: LabelledImages, fake: LabelledImages, columns: int = 8) -> bytes:
    """PNG: a row for each class, the first held-out real images left, the first samples right."""
    labels = [label for label in range(real.num_classes) if (fake.labels == label).any()][:MOST_CLASSES]
    tiles = [
        np.concatenate([_strip(part, label, columns) for part in (real, fake)], axis=1) for label in labels
    ]
    height, width = tiles[0].shape[:2]
    figure = new_figure(9.0, 9.0 * len(tiles) * height / width + 0.8)
    axes = figure.add_subplot()
    _show(axes, np.concatenate(tiles))
    axes.set_yticks(
        [(row + 0.5) * height for row in range(len(labels))], [shorten(real.class_names[i]) for i in labels]
    )
    axes.set_xticks([width / 4, 3 * width / 4], ["held-out real", "samples"])
    axes.xaxis.tick_top()
    axes.axvline(width / 2 - 0.5, color="white", linewidth=3)
    axes.tick_params(length=0)
    return to_png(figure)


def nearest_pairs(samples: UInt8Array, train: UInt8Array, distances: FloatArray) -> bytes:
    """PNG: samples (above) and the training image nearest to each (below), with the distance in grey levels.

    `samples` and `train` are uint8 (P, H, W, C) in pairs, `distances` float64 (P,), root mean square.
    """
    columns = 8
    rows = -(-len(samples) // columns)
    figure = new_figure(9.0, 2.5 * rows + 0.4)
    grid = figure.subplots(2 * rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for pair, distance in enumerate(distances):
        row, column = divmod(pair, columns)
        _show(grid[2 * row, column], samples[pair])
        _show(grid[2 * row + 1, column], train[pair])
        grid[2 * row, column].set_title(f"{distance:.1f}", fontsize=8)
    figure.suptitle("samples (above) and their nearest training images; distance in grey levels", fontsize=10)
    return to_png(figure)


def _show(axes: "Axes", pixels: UInt8Array) -> None:
    grey = pixels.shape[2] == 1
    axes.imshow(
        pixels[..., 0] if grey else pixels,
        cmap="gray",
        vmin=0,
        vmax=255,
        interpolation="nearest",
        aspect="equal",
    )
    axes.spines[:].set_visible(False)


def _strip(images: LabelledImages, label: int, columns: int) -> UInt8Array:
    """The first images of a class side by side, uint8 (H, columns * W, C); black where there are fewer."""
    rows = np.flatnonzero(images.labels == label)[:columns]
    _, height, width, channels = images.pixels.shape
    strip = np.zeros((height, columns * width, channels), dtype=np.uint8)
    for column, row in enumerate(rows):
        strip[:, column * width : (column + 1) * width] = images.pixels[row]
    return strip
