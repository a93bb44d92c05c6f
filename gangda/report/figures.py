"""Pictures of a classification: the confusion matrix."""

import io
from collections.abc import Sequence

import numpy as np

from gangda.data.images import IntArray

NUMBERS_UP_TO = 20  # classes; with more, numbers would not fit the squares


def confusion_matrix(confusion: IntArray, class_names: Sequence[str]) -> bytes:
    """PNG: shares of each true class (a row, summing to 1) by predicted class; counts in the squares.

    `confusion` is int64 (K, K), rows true. A class without images gives an empty row.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    count = len(class_names)
    have = confusion.sum(axis=1, keepdims=True)
    shares = np.divide(confusion, have, out=np.zeros(confusion.shape), where=have > 0)
    side = min(12.0, 2.5 + 0.45 * count)
    figure = Figure(figsize=(side, side), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [name if len(name) <= 14 else name[:13] + "…" for name in class_names]
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
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
