"""The public sets that torchvision can download: MNIST, Fashion-MNIST, CIFAR-10, CIFAR-100.

They are looked for in `paths.data_root()`, in torchvision's own layout; the IDX sets also in its folder NAME and in
/usr/share/datasets/NAME (Debian's package dataset-fashion-mnist). Nothing is downloaded without `config.download`.
"""

import contextlib
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gangda.config.schema import DataConfig
from gangda.data.paths import data_root
from gangda.data.sources import idx
from gangda.data.sources.raw import RawSource, train_and_test
from gangda.errors import DataError

SYSTEM_FOLDER = Path("/usr/share/datasets")


@dataclass(frozen=True)
class _PublicSet:
    """A set's class in torchvision, its folder below the root, the files in it, and its archive (if it has one)."""

    dataset: str
    folder: str
    files: tuple[str, ...]
    archive: str = ""
    hint: str = ""

    @property
    def torchvision(self) -> Any:
        """The class in torchvision."""
        from torchvision import datasets

        return getattr(datasets, self.dataset)


_IDX = tuple(f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))
_CIFAR10 = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta")
_CIFAR100 = ("train", "test", "meta")
_DEBIAN = ", or install Debian's package dataset-fashion-mnist"
_SETS = {
    "mnist": _PublicSet("MNIST", "MNIST/raw", _IDX),
    "fashion-mnist": _PublicSet("FashionMNIST", "FashionMNIST/raw", _IDX, hint=_DEBIAN),
    "cifar10": _PublicSet("CIFAR10", "cifar-10-batches-py", _CIFAR10, "cifar-10-python.tar.gz"),
    "cifar100": _PublicSet("CIFAR100", "cifar-100-python", _CIFAR100, "cifar-100-python.tar.gz"),
}


def load(config: DataConfig) -> RawSource:
    """The set called `config.source`: uint8 28x28 grey or 32x32 RGB, with the set's own test split.

    Raises DataError: missing and no download asked for (says where to put the files), or damaged.
    """
    name = config.source
    known, folder = _SETS[name], find(name)
    if folder is None and (config.download or _has_archive(known)):
        try:
            with contextlib.redirect_stdout(sys.stderr):  # torchvision prints; stdout is for results
                known.torchvision(str(data_root()), download=True)
        except (RuntimeError, OSError, EOFError) as error:
            reason = " ".join(str(error).split())[:120]
            what = f"download failed ({reason})"
            raise DataError(f"--data {name}: {what}; try again or {_by_hand(name)}") from None
        folder = find(name)
    if folder is None:
        raise DataError(f"--data {name}: not on this machine; add --download, or {_by_hand(name)}")
    if not known.archive:
        found = idx.read_folder(folder)
        names = idx.FASHION_MNIST if name == "fashion-mnist" else tuple(map(str, range(10)))
        if len(found.class_names) != len(names):
            raise DataError(
                f"{folder}: has {len(found.class_names)} classes, not ten of {name}; replace them"
            )
        return replace(found, class_names=names)
    try:  # torchvision reads the batches (they are pickles) only after it has checked their MD5 sums
        parts = [known.torchvision(str(folder.parent), train=part) for part in (True, False)]
    except PermissionError:
        raise DataError(f"{folder}: cannot be read; check its permissions") from None
    except (RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0][:99]
        raise DataError(f"{folder}: {reason}; delete it and {_by_hand(name)}") from None
    train, test = [(np.asarray(part.data, np.uint8), np.asarray(part.targets, np.int64)) for part in parts]
    return train_and_test(train, test, tuple(parts[0].classes), str(folder))


def find(name: str) -> Path | None:
    """The folder that holds all files of a set; None if there is none."""
    known, folders = _SETS[name], [data_root() / _SETS[name].folder]
    if not known.archive:
        folders += [data_root() / name, SYSTEM_FOLDER / name]
    return next((folder for folder in folders if not _missing(known, folder)), None)


def _missing(known: _PublicSet, folder: Path) -> list[str]:
    """The files of a set that are not in a folder, neither plain nor compressed."""
    there = {path.name.removesuffix(".gz") for path in folder.glob("*") if path.is_file()}
    return [file for file in known.files if file not in there]


def _by_hand(name: str) -> str:
    """What to put where."""
    known, root = _SETS[name], data_root()
    if known.archive:
        return f"put {known.archive} into {root}"
    folder = root / known.folder
    wanted = ", ".join(f"{file}[.gz]" for file in _missing(known, folder))
    return f"put {wanted} into {folder}{known.hint}"


def _has_archive(known: _PublicSet) -> bool:
    """Whether an intact archive lies in the root, so that "downloading" needs no network."""
    if not known.archive or not (data_root() / known.archive).is_file():
        return False
    from torchvision.datasets.utils import check_integrity

    return bool(check_integrity(str(data_root() / known.archive), known.torchvision.tgz_md5))
