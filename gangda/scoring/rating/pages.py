"""`gangda score --rating-page`: samples of several sets, and real images among them, to be rated blind."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from gangda.config.schema import DataConfig, Runtime
from gangda.data.images import IntArray, LabelledImages
from gangda.data.loading import load_splits
from gangda.data.sample_set import is_set, read_set
from gangda.data.splits import DataSplits
from gangda.errors import UsageError
from gangda.report.rating import render
from gangda.runtime.files import write_bytes
from gangda.runtime.seeding import numpy_stream
from gangda.scoring.rating.key import REAL_NAME, Key
from gangda.scoring.sample_loading import align, data_behind, read_samples


@dataclass(frozen=True)
class PageResult:
    """A page that was written, or would be; `sets`: name, path and number of images of each."""

    page: Path
    sets: tuple[dict[str, Any], ...]
    dry_run: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"page": str(self.page), "sets": list(self.sets), "dry_run": self.dry_run}


@dataclass(eq=False)
class _Shown:
    """Images on the page so far, with their key."""

    sets: list[dict[str, str]] = field(default_factory=list)
    images: dict[str, tuple[int, int]] = field(default_factory=dict)
    pixels: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, path: str, images: LabelledImages, count: int, seed: int) -> int:
        """Show up to `count` images of a set; how many there are."""
        content = images.content_hash()
        number = len(self.sets)
        self.sets.append({"name": name, "path": path, "content": content})
        rows = spread_rows(images.labels, count, numpy_stream(seed, "rating", number))
        for row in rows.tolist():
            word = hashlib.sha256(f"{seed} {number} {content} {row}".encode()).hexdigest()[:10]
            self.images[word] = (number, int(images.labels[row]))
            self.pixels[word] = images.pixels[row]
        return len(rows)


def make_page(
    samples: Sequence[Path],
    data: DataConfig | None,
    runtime: Runtime,
    page: Path,
    *,
    images: int,
    changed: Mapping[str, Any] = MappingProxyType({}),
    dry_run: bool = False,
) -> PageResult:
    """Write a page that shows images of each set, and as many held-out real ones, in random order.

    Args:
        samples: sample sets (or data paths) of the same classes and image size.
        data, changed: the real images, as for `gangda score`; by default those behind the first set.
        runtime: its seed draws the images and their order.
        page: the HTML file; an older one is replaced.
        images: of each set, spread over its classes.
        dry_run: write nothing.

    Raises:
        DataError: sets that do not fit the data.
        UsageError: the same set twice, or sets with labels beside sets without.
    """
    if len({path.resolve() for path in samples}) != len(samples):
        raise UsageError("--rating-page: the same set is named twice; a blind page needs each once")
    shown = _Shown()
    counts: list[int] = []
    real = _real_images(samples[0], data, changed, runtime.seed)
    splits = real
    for path in samples:
        own = read_set(path) if path.is_dir() and is_set(path) else None
        found, fitted = align(read_samples(path, own, real), real, path)
        if counts and fitted.labelled != splits.labelled:
            raise UsageError(
                f"--rating-page: of {samples[0]} and {path}, one has labels and one has none; rate them on pages apart"
            )
        splits = fitted
        counts.append(shown.add(path.name, str(path), found, images, runtime.seed))
    if len(splits.test):
        counts.append(shown.add(REAL_NAME, "", splits.test, images, runtime.seed))
    sets = tuple(
        {"name": one["name"], "path": one["path"], "images": count}
        for one, count in zip(shown.sets, counts, strict=True)
    )
    if not dry_run:
        write_bytes(page, _page(shown, splits, runtime.seed).encode())
    return PageResult(page, sets, dry_run)


def _real_images(first: Path, data: DataConfig | None, changed: Mapping[str, Any], seed: int) -> DataSplits:
    own = read_set(first) if first.is_dir() and is_set(first) else None
    config, subset = data_behind(first, own, data, changed, seed)
    return load_splits(config, subset)


def _page(shown: _Shown, splits: DataSplits, seed: int) -> str:
    """The HTML page, with the images of all sets in random order."""
    names = splits.train.class_names
    key = Key(tuple(shown.sets), names, shown.images).encoded()
    order = numpy_stream(seed, "rating order").permutation(sorted(shown.images)).tolist()
    images = [(word, names[shown.images[word][1]], shown.pixels[word]) for word in order]
    return render(images, key, labelled=splits.labelled)


def spread_rows(labels: IntArray, count: int, rng: np.random.Generator) -> IntArray:
    """Up to `count` positions at random, as many of each class as can be: int64."""
    order = rng.permutation(len(labels))
    rank = np.zeros(len(order), dtype=np.int64)  # among the images of its class
    for label in np.unique(labels):
        own = labels[order] == label
        rank[own] = np.arange(own.sum())
    return np.asarray(order[np.argsort(rank, kind="stable")][:count], dtype=np.int64)
