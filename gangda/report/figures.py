"""Figures as PNG: training curves, confusion, recall by class, samples beside real images, nearest training images."""

import io
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gangda.data.images import FloatArray, IntArray, LabelledImages, UInt8Array
from gangda.report.grids import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES_UP_TO = 150  # classes whose names can be read at all beside a confusion matrix
NUMBERS_UP_TO = 20  # classes; with more, numbers would not fit the squares of a confusion matrix
MOST_CLASSES = 20  # rows of images; with more classes, the first ones
REAL_COLOUR, FAKE_COLOUR = "#6b7280", "#2563eb"
COLUMNS = 8  # images of a class from each side, or pairs in a line
SAMPLES = 10  # of a class, kept and rejected
GAP = 0.25  # below a row of rejected samples, as a part of its height, for the reasons


def _new_figure(width: float, height: float) -> "Figure":
    """A white figure of this size in inches, without pyplot's global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def _to_png(figure: "Figure", dpi: int = 110) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "Glyph", UserWarning
        )  # a script that no font here has: drawn as boxes
        figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight", metadata={"Software": ""})
    return buffer.getvalue()


def _shorten(name: str, most: int = 18) -> str:
    return (name if len(name) <= most else name[: most - 1] + "…").replace("$", r"\$")  # or it is TeX


def _show(axes: "Axes", pixels: UInt8Array, interpolation: str | None = "nearest") -> None:
    image = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation=interpolation, aspect="equal")
    axes.spines[:].set_visible(False)


def training_curves(steps: Sequence[int], curves: Mapping[str, Sequence[float | None]]) -> bytes:
    """PNG: loss terms by name over the steps and, below, what is a share (names that end with "_accuracy")."""
    shares = [name for name in curves if name.endswith("_accuracy")]
    terms = [name for name in curves if name not in shares]
    groups = [(names, label) for names, label in ((terms, "loss terms"), (shares, "accuracy")) if names]
    figure = _new_figure(7, 2.6 * len(groups))
    for (names, label), axes in zip(
        groups, figure.subplots(len(groups), sharex=True, squeeze=False).flat, strict=True
    ):
        for name in names:
            values = np.array([math.nan if value is None else value for value in curves[name]])
            known = ~np.isnan(values)  # R1 is not computed at every step
            axes.plot(np.asarray(steps)[known], values[known], linewidth=1, label=name)
        axes.set_ylabel(label)
        axes.legend(
            fontsize=7, loc="lower left", bbox_to_anchor=(0, 1), ncols=6, frameon=False
        )  # above the curves
        axes.grid(alpha=0.3)
    axes.set_xlabel("step")
    return _to_png(figure)


def confusion_matrix(confusion: IntArray, class_names: Sequence[str], rows: str = "true") -> bytes:
    """PNG: shares of each class by predicted class, counts in the squares, of int64 (K, K); `rows` says which class."""
    count = len(class_names)
    have = confusion.sum(axis=1, keepdims=True)
    shares = np.divide(confusion, have, out=np.zeros(confusion.shape), where=have > 0)
    side = min(12.0, 2.5 + 0.45 * count)
    figure = _new_figure(side, side)
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if count <= NAMES_UP_TO:
        names = [_shorten(name, 14) for name in class_names]
        size = 9 if count <= NUMBERS_UP_TO else 4
        axes.set_xticks(range(count), names, rotation=90, fontsize=size)
        axes.set_yticks(range(count), names, fontsize=size)
    axes.set_xlabel("predicted")
    axes.set_ylabel(rows)
    if count <= NUMBERS_UP_TO:
        for row, column in zip(*np.nonzero(confusion), strict=True):
            colour = "white" if shares[row, column] > 0.5 else "black"
            text = f"{confusion[row, column]:,}"
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
    return _to_png(figure, dpi=120)


def class_bars(class_names: Sequence[str], real: FloatArray, fake: FloatArray) -> bytes:
    """PNG: the scorer's recall of each class on real images and on samples, shares (K,); NaN draws no bar."""
    figure = _new_figure(7.0, max(2.5, 0.32 * len(class_names) + 1))
    axes = figure.add_subplot()
    rows = np.arange(len(class_names))
    axes.barh(rows - 0.2, np.nan_to_num(real), 0.38, color=REAL_COLOUR, label="held-out real")
    axes.barh(rows + 0.2, np.nan_to_num(fake), 0.38, color=FAKE_COLOUR, label="samples (GAN-test)")
    axes.set_yticks(rows, [_shorten(name) for name in class_names])
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("share classified as intended")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return _to_png(figure)


def real_and_generated(real: LabelledImages, fake: LabelledImages) -> bytes:
    """PNG: a row for each class, the first held-out real images left, the first samples right."""
    labels = [label for label in range(real.num_classes) if (fake.labels == label).any()][:MOST_CLASSES]
    sides = [
        canvas([part.pixels[part.labels == label] for label in labels], COLUMNS, below=0, beside=0, fill=0)
        for part in (real, fake)
    ]
    picture = np.concatenate(sides, axis=1)
    height, width = picture.shape[0] / len(labels), picture.shape[1]
    figure = _new_figure(9.0, 9.0 * len(labels) * height / width + 0.8)
    axes = figure.add_subplot()
    _show(axes, picture)
    names = [_shorten(real.class_names[label]) for label in labels]
    axes.set_yticks([(row + 0.5) * height for row in range(len(labels))], names)
    axes.set_xticks([width / 4, 3 * width / 4], ["held-out real", "samples"])
    axes.xaxis.tick_top()
    axes.axvline(width / 2 - 0.5, color="white", linewidth=3)
    axes.tick_params(length=0)
    return _to_png(figure)


def nearest_pairs(samples: UInt8Array, train: UInt8Array, distances: FloatArray) -> bytes:
    """PNG: samples (P, H, W, C) above the training images nearest to each, with distances (P,) in grey levels."""
    rows = -(-len(samples) // COLUMNS)
    figure = _new_figure(9.0, 2.5 * rows + 0.4)
    grid = figure.subplots(2 * rows, COLUMNS, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for pair, distance in enumerate(distances):
        row, column = divmod(pair, COLUMNS)
        _show(grid[2 * row, column], samples[pair])
        _show(grid[2 * row + 1, column], train[pair])
        grid[2 * row, column].set_title(f"{distance:.1f}", fontsize=8)
    figure.suptitle("samples (above) and their nearest training images; distance in grey levels", fontsize=10)
    return _to_png(figure)


def kept_and_rejected(
    class_names: Sequence[str],
    kept: Mapping[int, UInt8Array],
    rejected: Mapping[int, UInt8Array],
    reasons: Mapping[int, Sequence[str]],
) -> bytes:
    """PNG: a row for each class that was drawn, by class uint8 (n, H, W, C); empty where nothing was filtered."""
    labels = sorted(kept)[:MOST_CLASSES]
    if not labels:
        return b""
    _, height, width, _ = kept[labels[0]].shape
    gap = round(GAP * height)
    above = canvas([kept[label] for label in labels], SAMPLES)
    below = canvas([rejected[label] for label in labels], SAMPLES, below=gap)
    inches = 9.0 * (len(above) + len(below)) / above.shape[1] + 1.0
    figure = _new_figure(10.0, inches)
    parts = figure.subplots(2, 1, height_ratios=(len(above), len(below)))
    names = [_shorten(class_names[label]) for label in labels]
    rows = (("kept", above, height + 1), ("rejected", below, height + gap))
    for axes, (title, picture, step) in zip(parts, rows, strict=True):
        _show(axes, picture, interpolation=None)
        axes.set_title(title)
        axes.set_yticks([row * step + height / 2 for row in range(len(labels))], names)
        axes.set_xticks([])
        axes.tick_params(length=0)
    for row, label in enumerate(labels):
        for column, reason in enumerate(reasons[label][:SAMPLES]):
            place = (column * (width + 1) + width / 2, row * (height + gap) + height + gap / 2)
            parts[1].text(*place, _shorten(reason, 16), ha="center", va="center", fontsize=6)
    return _to_png(figure, dpi=120)
