"""The public sets that torchvision knows how to fetch: MNIST, Fashion-MNIST, CIFAR-10, CIFAR-100.

They are looked for under $GANGDA_DATA_FOLDER (default ~/.cache/gangda/data, or $XDG_CACHE_HOME/gangda/data),
in torchvision's own layout, and, for the IDX sets, also under ROOT/NAME and /usr/share/datasets/NAME (where
Debian's package dataset-fashion-mnist puts its files). Nothing is downloaded without `config.download`.
"""

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gangda.config.schema import DataConfig
from gangda.data.paths import data_root
from gangda.data.sources import idx
from gangda.data.sources.raw import Decoded, joined
from gangda.errors import DataError

SYSTEM_FOLDER = Path("/usr/share/datasets")
_IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@dataclass(frozen=True)
class _PublicSet:
    """One set: torchvision's class, its folder below the root, what has to be in it, and how it is read."""

    dataset: str
    folder: str
    files: tuple[str, ...]
    read: Callable[[str, Path], Decoded]
    archive: str = ""
    hint: str = ""


def load(config: DataConfig) -> Decoded:
    """The set called `config.source`: uint8 28x28 grey or 32x32 RGB, with the set's own test split.

    Raises:
        DataError: not here and not asked to download (names the files and where to put them), or damaged.
    """
    name = config.source
    folder = find(name)
    if folder is None and (config.download or _has_archive(name)):
        _download(name)
        folder = find(name)
    if folder is None:
        raise DataError(_how_to_get(name))
    return _SETS[name].read(name, folder)


def find(name: str) -> Path | None:
    """The folder that holds all files of a set; None if there is none."""
    for folder in _places(name):
        if all((folder / file).is_file() or (folder / f"{file}.gz").is_file() for file in _SETS[name].files):
            return folder
    return None


def _places(name: str) -> list[Path]:
    known = _SETS[name]
    own = data_root() / known.folder
    return [own] if known.archive else [own, data_root() / name, SYSTEM_FOLDER / name]


def _how_to_get(name: str) -> str:
    known, root = _SETS[name], data_root()
    if known.archive:
        wanted, place = known.archive, root
    else:
        place = root / known.folder
        missing = [f for f in known.files if not (place / f).is_file() and not (place / f"{f}.gz").is_file()]
        wanted = ", ".join(f"{file}[.gz]" for file in missing)
    return f"--data {name}: not on this machine; add --download, or put {wanted} into {place}{known.hint}"


def _has_archive(name: str) -> bool:
    """Whether an intact archive lies in the root, so that "downloading" needs no network."""
    if not _SETS[name].archive or not (data_root() / _SETS[name].archive).is_file():
        return False
    from torchvision.datasets.utils import check_integrity

    return bool(check_integrity(str(data_root() / _SETS[name].archive), _dataset(name).tgz_md5))


def _dataset(name: str) -> Any:
    from torchvision import datasets

    return getattr(datasets, _SETS[name].dataset)


def _download(name: str) -> None:
    try:
        with contextlib.redirect_stdout(sys.stderr):  # torchvision prints; stdout is for results
            _dataset(name)(str(data_root()), download=True)
    except (RuntimeError, OSError, EOFError) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(
            f"--data {name}: the download failed ({reason}); try again, or {_by_hand(name)}"
        ) from None


def _by_hand(name: str) -> str:
    return _how_to_get(name).partition("--download, or ")[2]


def _read_idx(name: str, folder: Path) -> Decoded:
    decoded = idx.read_folder(folder)
    names = idx.FASHION_MNIST if name == "fashion-mnist" else tuple(map(str, range(10)))
    if len(decoded.class_names) != len(names):
        raise DataError(
            f"{folder}: has {len(decoded.class_names)} classes, not the ten of {name}; replace its files"
        )
    return Decoded(decoded.pixels, decoded.labels, names, decoded.test_rows, decoded.notes)


def _read_cifar(name: str, folder: Path) -> Decoded:
    """torchvision reads the batches (they are pickles) only after it has checked their MD5 sums."""
    try:
        train, test = (_dataset(name)(str(folder.parent), train=part) for part in (True, False))
    except (RuntimeError, OSError) as error:
        raise DataError(
            f"{folder}: {str(error).splitlines()[0][:100]}; delete it and {_by_hand(name)}"
        ) from None
    parts = [
        (np.asarray(part.data, dtype=np.uint8), np.asarray(part.targets, dtype=np.int64))
        for part in (train, test)
    ]
    return joined(parts[0], parts[1], tuple(train.classes), str(folder))


_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
_SETS = {
    "mnist": _PublicSet("MNIST", "MNIST/raw", _IDX_FILES, _read_idx),
    "fashion-mnist": _PublicSet(
        "FashionMNIST",
        "FashionMNIST/raw",
        _IDX_FILES,
        _read_idx,
        hint=", or install Debian's package dataset-fashion-mnist",
    ),
    "cifar10": _PublicSet(
        "CIFAR10",
        "cifar-10-batches-py",
        (*_BATCHES, "test_batch", "batches.meta"),
        _read_cifar,
        archive="cifar-10-python.tar.gz",
    ),
    "cifar100": _PublicSet(
        "CIFAR100",
        "cifar-100-python",
        ("train", "test", "meta"),
        _read_cifar,
        archive="cifar-100-python.tar.gz",
    ),
}
