"""Pictures of a classification: the confusion matrix."""

from collections.abc import Sequence

import numpy as np

from gangda.data.images import IntArray
from gangda.report.png import new_figure, shorten, to_png

NUMBERS_UP_TO = 20  # classes; with more, numbers would not fit the squares


def confusion_matrix(confusion: IntArray, class_names: Sequence[str]) -> bytes:
    """PNG: shares of each true class (a row, summing to 1) by predicted class; counts in the squares.

    `confusion` is int64 (K, K), rows true. A class without images gives an empty row.
    """
    count = len(class_names)
    have = confusion.sum(axis=1, keepdims=True)
    shares = np.divide(confusion, have, out=np.zeros(confusion.shape), where=have > 0)
    side = min(12.0, 2.5 + 0.45 * count)
    figure = new_figure(side, side)
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [shorten(name, 14) for name in class_names]
    size = 9 if count <= NUMBERS_UP_TO else 4
    axes.set_xticks(range(count), names, rotation=90, fontsize=size)
    axes.set_yticks(range(count), names, fontsize=size)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if count <= NUMBERS_UP_TO:
        for row, column in zip(*np.nonzero(confusion), strict=True):
            colour = "white" if shares[row, column] > 0.5 else "black"
            text = f"{confusion[row, column]:,}"
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
    return to_png(figure, dpi=120)
