"""Numbers about an image that tell its class, or its part of the source's own split, without its content.

What kind of file it was, how bright it is.

For each alone: what share of held-out images does a table of the likeliest class per value recognise, averaged over the
classes (five folds by position; numbers with many values are cut at 16 quantiles)? A remark is made where that lies
well above chance: by a quarter of the way to 100% for what a file is, by two thirds for what an image shows, which may
be the matter itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gangda.data.images import IntArray, UInt8Array

FILE_SKILL, IMAGE_SKILL = 0.25, 2 / 3  # of the way from chance to 100%
FOLDS, BINS, MOST_IMAGES = 5, 16, 5000
_DEVIATIONS = 4  # standard errors above chance
_FEWEST = 20  # images
_SHOWN = 3  # classes


@dataclass(frozen=True, eq=False)
class FileFacts:
    """What the files of a folder are, each (N,)."""

    formats: tuple[str, ...]  # the names that `format` counts
    format: IntArray
    width: IntArray  # pixels, upright
    height: IntArray
    channels: IntArray
    bits: IntArray  # of a value
    quality: IntArray  # of a JPEG, 1 to 100; 0 for other formats
    origin: UInt8Array  # index into `ORIGINS`, by what gangda wrote into its own files

    def take(self, rows: IntArray) -> "FileFacts":
        """Those of the files at these positions."""
        columns = {name: column[rows] for name, column in vars(self).items() if name != "formats"}
        return FileFacts(self.formats, **columns)


def some_of(rows: IntArray) -> IntArray:
    """At most `MOST_IMAGES` of these positions, evenly spread."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), MOST_IMAGES)).astype(np.int64))]


@dataclass(frozen=True)
class Told:
    """What a number may tell, in words, and why that matters."""

    what: str
    so: str


CLASS = Told("the class", "a classifier may learn that instead")
PART = Told(
    "training from test images", "accuracy on such test images is not that on images like the training ones"
)


def remarks(
    pixels: UInt8Array,
    labels: IntArray,
    class_names: Sequence[str],
    facts: FileFacts | None,
    told: Told = CLASS,
) -> Iterator[str]:
    """A sentence about each number that tells the classes; pixels uint8 (N, H, W, C), labels int64 (N,)."""
    classes = len(class_names)
    if classes < 2 or len(labels) < _FEWEST:
        return
    found: list[tuple[str, npt.NDArray[Any], float]] = []
    if facts is not None:
        sizes = np.char.add(np.char.add(facts.width.astype(np.str_), "x"), facts.height.astype(np.str_))
        found += [
            ("file format", np.array(facts.formats)[facts.format], FILE_SKILL),
            ("original size", sizes, FILE_SKILL),
            ("number of channels", facts.channels, FILE_SKILL),
            ("bit depth", facts.bits, FILE_SKILL),
        ]
        if facts.quality.all():
            found.append(("JPEG quality", facts.quality, FILE_SKILL))
    border = np.concatenate([pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1]], axis=1)
    found += [
        ("mean brightness", pixels.reshape(len(pixels), -1).mean(axis=1), IMAGE_SKILL),
        ("border's brightness", border.reshape(len(pixels), -1).mean(axis=1), IMAGE_SKILL),
    ]
    if pixels.shape[3] == 3:
        means = pixels.mean(axis=(1, 2))
        found.append(("redness (red less blue)", means[:, 0] - means[:, 2], IMAGE_SKILL))
    for name, column, least in found:
        numbers = column if column.dtype.kind in "iuf" else np.unique(column, return_inverse=True)[1]
        accuracy, error = balanced_accuracy(numbers, labels, classes)
        chance = 1 / max(1, len(np.unique(labels)))
        if accuracy - chance > max(least * (1 - chance), _DEVIATIONS * error):
            how = f"{accuracy:.0%} balanced accuracy, chance {chance:.0%}"
            shown = _by_class(column, labels, class_names)
            yield f"ALARM: an image's {name} alone tells {told.what} ({how}): {shown}; {told.so}"


def _by_class(column: npt.NDArray[Any], labels: IntArray, class_names: Sequence[str]) -> str:
    """The commonest value (of brightness, the mean) of the first classes."""
    told = []
    for label in np.unique(labels)[:_SHOWN]:
        own = column[labels == label]
        values, counts = np.unique(own, return_counts=True)
        most = "mostly " * bool(len(values) > 1)
        usual = f"{own.mean():z.0f}" if column.dtype.kind == "f" else f"{most}{values[counts.argmax()]}"
        told.append(f"'{class_names[label]}' {usual}")
    return ", ".join(told)


def balanced_accuracy(
    values: npt.NDArray[Any], labels: Sequence[int] | IntArray, classes: int
) -> tuple[float, float]:
    """Cross-validated, of the likeliest class for each value (N,); and its standard error under chance."""
    own = np.asarray(labels)
    levels, codes = np.unique(values, return_inverse=True)
    if len(levels) > BINS:
        edges = np.quantile(values, np.arange(1, BINS) / BINS)
        codes = np.searchsorted(edges, values)
    # Folds by position within the class, so that each has images of every class.
    order = np.argsort(own, kind="stable")
    fold = np.empty(len(own), dtype=np.int64)
    fold[order] = np.arange(len(own)) % FOLDS
    right = np.zeros(len(own), dtype=bool)
    for number in range(FOLDS):
        learn, held = fold != number, fold == number
        table = np.zeros((int(codes.max()) + 1, classes))
        np.add.at(table, (codes[learn], own[learn]), 1)
        table /= np.maximum(table.sum(axis=0), 1)
        right[held] = table.argmax(axis=1)[codes[held]] == own[held]
    counts = np.bincount(own, minlength=classes)
    recall = np.bincount(own, weights=right, minlength=classes)[counts > 0] / counts[counts > 0]
    chance = 1 / int((counts > 0).sum())
    # Of a mean over classes: the small ones decide.
    error = np.sqrt(chance * (1 - chance) * (1 / counts[counts > 0]).sum()) * chance
    return float(recall.mean()), float(error)
