"""`gangda score --rating-page`: samples of several sets, and real images among them, to be rated blind.

A rater downloads the answers as CSV: the key to the images in the first line, then an answer a line.
"""

import base64
import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from gangda.config.schema import DataConfig, Runtime
from gangda.data.images import IntArray, LabelledImages, UInt8Array
from gangda.data.loading import load_splits
from gangda.errors import DataError, UsageError
from gangda.report.grids import data_uri, png
from gangda.report.page import environment
from gangda.runtime.files import write_bytes
from gangda.runtime.plain import from_plain, to_plain
from gangda.runtime.seeding import numpy_stream
from gangda.scoring.loading import align, data_behind, open_set, read_samples

KEY_FORMAT = 1
MOST_BYTES = 1 << 24  # of a decoded key
REAL_NAME = "held-out real"


@dataclass(frozen=True)
class Key:
    """Set and label of each image, encoded so that a rater cannot read them."""

    sets: tuple[Mapping[str, str], ...]  # name, path and content hash of each; last the real images
    classes: tuple[str, ...]  # names, in label order
    images: Mapping[str, tuple[int, int]]  # id -> (position in `sets`, intended label)

    def encoded(self) -> str:
        """One word of text."""
        text = json.dumps({"format": KEY_FORMAT, **to_plain(self)})
        return base64.b64encode(zlib.compress(text.encode(), 9)).decode()

    @staticmethod
    def decoded(text: str) -> "Key":
        """The key that `encoded` wrote; a DataError where it is damaged, or of a newer format."""
        try:
            packed = base64.b64decode(text, validate=True)
            plain = json.loads(zlib.decompressobj().decompress(packed, MOST_BYTES))
            newer = plain.pop("format") > KEY_FORMAT
            key = None if newer else from_plain(Key, plain)
        except (DataError, zlib.error, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise DataError("its key is damaged; download the answers again") from None
        if key is None:
            raise DataError("its key is newer than this gangda; update gangda")
        named = all({"name", "path", "content"} == set(one) for one in key.sets)
        if not named or any(
            not (0 <= number < len(key.sets) and 0 <= label < len(key.classes))
            for number, label in key.images.values()
        ):
            raise DataError("its key is damaged; download the answers again")
        return key


@dataclass(frozen=True)
class PageResult:
    """A page that was written, or would be; `sets`: name, path and number of images of each."""

    page: str
    sets: tuple[dict[str, Any], ...]
    dry_run: bool = False


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
    """Write a page that shows `images` of each set, spread over its classes, and as many held-out real ones, at random.

    The sets (or data paths) have the same classes and image size; `data` and `changed` are as for `gangda score`, by
    default of the first set. The seed of `runtime` draws the images and their order.

    Raises:
        DataError: sets that do not fit the data.
        UsageError: the same set twice, or sets with labels beside sets without.
    """
    if len({path.resolve() for path in samples}) != len(samples):
        raise UsageError("--rating-page: the same set is named twice; a blind page needs each once")
    seed = runtime.seed
    sets: list[dict[str, str]] = []
    places: dict[str, tuple[int, int]] = {}
    pixels: dict[str, UInt8Array] = {}

    def show(name: str, path: str, found: LabelledImages) -> None:
        number, content = len(sets), found.content_hash()
        rows = spread_rows(found.labels, images, numpy_stream(seed, "rating", number)).tolist()
        for row in rows:
            word = hashlib.sha256(f"{seed} {number} {content} {row}".encode()).hexdigest()[:10]
            places[word], pixels[word] = (number, int(found.labels[row])), found.pixels[row]
        sets.append({"name": name, "path": path, "content": content})

    splits = real = load_splits(*data_behind(samples[0], open_set(samples[0]), data, changed, seed))
    for path in samples:
        found, fitted = align(*read_samples(path, open_set(path), real), path)
        if sets and fitted.labelled != splits.labelled:
            raise UsageError(
                f"--rating-page: of {samples[0]} and {path}, one has labels and one has none; rate them on pages apart"
            )
        splits = fitted
        show(path.name, str(path), found)
    if len(splits.test):
        show(REAL_NAME, "", splits.test)
    if not dry_run:
        names = splits.train.class_names
        order = numpy_stream(seed, "rating order").permutation(sorted(places)).tolist()
        shown = [(word, names[places[word][1]], pixels[word]) for word in order]
        text = rendered(shown, Key(tuple(sets), names, places).encoded(), labelled=splits.labelled)
        write_bytes(page, text.encode())
    counts = Counter(number for number, _ in places.values())
    rows = ({"name": one["name"], "path": one["path"], "images": counts[i]} for i, one in enumerate(sets))
    return PageResult(str(page), tuple(rows), dry_run)


def rendered(images: Sequence[tuple[str, str, UInt8Array]], key: str, *, labelled: bool) -> str:
    """The page of id, intended class and pixels uint8 (H, W, C), in order; `labelled`: whether labels are checked."""
    values = {
        "images": [{"id": word, "name": name, "src": data_uri(png(image))} for word, name, image in images],
        "key": key,
        "page": hashlib.sha256(key.encode()).hexdigest()[:12],
        "labelled": labelled,
    }
    text = json.dumps(values).replace("<", "\\u003c")  # no class name can end the script
    page = environment().get_template("rating.html")
    return str(page.render(values=text, labelled=labelled, count=len(images)))


def spread_rows(labels: IntArray, count: int, rng: np.random.Generator) -> IntArray:
    """Up to `count` positions at random, as many of each class as can be: int64."""
    order = rng.permutation(len(labels))
    rank = np.zeros(len(order), dtype=np.int64)  # among the images of its class
    for label in np.unique(labels):
        own = labels[order] == label
        rank[own] = np.arange(own.sum())
    return np.asarray(order[np.argsort(rank, kind="stable")][:count], dtype=np.int64)
