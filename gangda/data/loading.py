"""From the argument of --data to images: a name from the catalog, or a path.

A name wins over a file of that name (write ./digits for the file). A path is, in this order: an archive, which is
read as the folder that it holds; a set that gangda wrote (it has an index.json); a folder of IDX files; a folder of
images; an NPZ file. `stacked:` before a name or path makes a stacked set of it (`stacked.py`).

A set that gangda wrote is training material. Its test split is that of the source it was made from, if that can still
be loaded unchanged; else a fixed fifth of its real images. A sample set has no real images, so no test split.
"""

import dataclasses
import hashlib
import importlib
import os
from collections import Counter
from pathlib import Path

import numpy as np

from gangda.config import catalog
from gangda.config.hints import suggestion
from gangda.config.schema import DataConfig
from gangda.data.archives import is_archive, name_of, unpacked
from gangda.data.findings import findings_of, refuse_synthetic
from gangda.data.images import REAL, LabelledImages, real_images
from gangda.data.paths import inner_name
from gangda.data.sample_set import SetOnDisk, is_set, read_set
from gangda.data.sources import folder, idx, npz, stacked, tables
from gangda.data.sources.image_kinds import kind_by_content
from gangda.data.sources.raw import (
    AS_RGB,
    UNLABELLED,
    RawSource,
    in_range,
    size_notes,
    to_channels,
    to_square,
)
from gangda.data.splits import DataSplits, SourceImages, draw_splits, refuse_made_from
from gangda.data.twins import Twins, cached_twins, find_twins, without_copies
from gangda.data.unlabelled import with_unlabelled
from gangda.errors import DataError, GangdaError, UsageError


def load_splits(config: DataConfig, seed: int) -> DataSplits:
    """Train, validation and test of a source, see `load_source` and `draw_splits`, and `unlabelled.py`."""
    source = load_source(config)
    splits = draw_splits(source, config, seed)
    return splits if config.unlabelled is None else with_unlabelled(splits, source, config, seed)


def load_source(config: DataConfig) -> SourceImages:
    """The whole source at the requested size, whatever the subset; row ids count up over all its images.

    Raises DataError: missing, unknown, damaged, one class only, or a class without training images.
    """
    return _load(config, ())


def found_sets() -> list[tuple[str, str | None]]:
    """Every named set and where its module's `find(name)` found it ("built in" without one); None if it is not here."""
    found: list[tuple[str, str | None]] = []
    for name, entry in catalog.SOURCES.items():
        module = importlib.import_module(entry.target.partition(":")[0])
        place = module.find(name) if hasattr(module, "find") else "built in"
        found.append((name, place and str(place)))
    return found


def _load(config: DataConfig, sets: tuple[Path, ...]) -> SourceImages:
    """`sets`: those whose source is being looked for, so that sets that name each other are no endless loop."""
    if config.source in catalog.SOURCES:
        read = catalog.builder("data set", catalog.SOURCES, config.source)
        _refuse_names(config)
        raw = read(config)
        raw = dataclasses.replace(raw, notes=(*raw.notes, *_unused(config, written=False)))
        return _source(config.source, config, raw)
    grey = inner_name(config.source)
    if grey is not None:
        made = stacked.stack(_load(dataclasses.replace(config, source=grey), sets))
        return dataclasses.replace(made, fingerprint=fingerprint(made.train, made.test))
    path = _existing_path(config.source)
    name = name_of(path.resolve()) if path.is_file() else path.resolve().name
    if path.is_file() and path.suffix.lower() != ".npz" and is_archive(path):
        with unpacked(path, not config.no_cache) as (inside, notes):
            try:
                found = _of_path(inside, name, config, sets)
            except GangdaError as error:  # it names the place in the cache
                raise type(error)(str(error).replace(str(inside), str(path))) from error
        return dataclasses.replace(found, notes=(*notes, *found.notes))
    return _of_path(path, name, config, sets)


def _of_path(path: Path, name: str, config: DataConfig, sets: tuple[Path, ...]) -> SourceImages:
    where = f"--data {config.source}"
    if path.is_dir() and is_set(path):
        return _written_set(path, name, config, sets)
    if path.is_dir() and not idx.find_parts(path):
        return _source(name, config, in_range(folder.read(path, config), where, config.value_range))
    _refuse_names(config)
    if path.is_dir():
        raw = idx.read_folder(path, config.channels)
    elif path.suffix.lower() == ".npz":
        raw = npz.read(path, config.value_range, config.channels)
    else:
        raise DataError(f"{path}: {_kind(path)}")
    return _source(name, config, in_range(raw, where, config.value_range))


def _kind(path: Path) -> str:
    """What a file is that is no source."""
    if kind_by_content(path) is not None:
        return "one image: --data takes many, a folder for each class"
    if path.name.lower().endswith(("-ubyte", "-ubyte.gz")):
        return f"one file of an IDX set: give the folder that it lies in, --data {path.parent}"
    if path.suffix.lower() in tables.SUFFIXES:
        return f"a table: give the folder of the images, with --labels {path}"
    return "unknown kind of file; give a folder of images, a zip, tar or NPZ file, or a folder of IDX files"


def _refuse_names(config: DataConfig) -> None:
    for flag, value in (("--group-by", config.group_by), ("--labels", config.labels)):
        if value is not None:
            raise UsageError(f"{flag}: the images of --data {config.source} have no file names; leave it out")


def _unused(config: DataConfig, written: bool) -> tuple[str, ...]:
    """A note on options that do nothing for images of a named set, or of one that gangda has `written`."""
    asked = {"--value-range": config.value_range is not None}
    if written:
        asked |= {"--channels": config.channels is not None, "--deduplicate": config.deduplicate}
    flags = [flag for flag, given in asked.items() if given]
    what = "a set that gangda wrote" if written else f"--data {config.source}"
    return (f"{' and '.join(flags)}: not used, as the images of {what} are known",) if flags else ()


def _existing_path(typed: str) -> Path:
    try:
        path = Path(typed).expanduser()
    except RuntimeError as error:  # no home directory, or an unknown user's
        raise DataError(f"--data {typed}: {error}; give the whole path") from None
    if typed != typed.encode("utf-8", "replace").decode():
        shown = os.fsencode(typed).decode("utf-8", "backslashreplace")
        raise DataError(f"--data {shown}: the name is not UTF-8; rename it")
    try:
        if typed and path.exists():
            return path
    except (OSError, ValueError):  # too long, or a NUL inside
        pass
    if "/" in typed or path.suffix:
        raise DataError(f"--data {typed}: no such file or folder; check the path")
    if typed not in catalog.SOURCES:
        here = [one.name for one in Path().iterdir() if one.is_dir()]
        near = suggestion(typed, [*catalog.SOURCES, *here])
        known = f"choose one of {', '.join(catalog.SOURCES)}, or give the path of a file or folder"
        raise DataError(f"--data: unknown data set '{typed}': {near}{known}")
    return path


def _source(name: str, config: DataConfig, raw: RawSource) -> SourceImages:
    """Resized, with row ids and fingerprint; checks that it can be learned from."""
    where = f"--data {config.source}"
    pixels = to_square(raw.pixels, config.image_size, config.fit)
    pixels, notes = to_channels(pixels, config.channels or pixels.shape[3]), raw.notes
    if pixels.shape[3] != raw.pixels.shape[3]:
        notes = tuple(note.partition(AS_RGB)[0] for note in notes)
        notes += (f"images became {'grey' if pixels.shape[3] == 1 else 'RGB'} (--channels)",)
    height, width = raw.pixels.shape[1:3]
    if height != width or (config.image_size is None and height != pixels.shape[1]):
        notes += tuple(size_notes(Counter({(width, height): len(pixels)}), pixels.shape[1], config.fit))
    train, test = real_images(pixels, raw.labels, raw.class_names), None
    if raw.facts is not None and raw.facts.origin.any():
        train = dataclasses.replace(train, origin=raw.facts.origin)
    if raw.test_rows is not None:
        train, test = train.without(raw.test_rows), train.take(raw.test_rows)
        refuse_synthetic(int((test.origin != REAL).sum()), len(test), where)
    labelled = raw.class_names != (UNLABELLED,)
    twins = twins_of(train, test, config)
    dropped = np.flatnonzero((twins.exact != np.arange(len(twins.exact))) & config.deduplicate)
    if len(dropped):
        labels = np.concatenate([part.labels for part in (train, test) if part is not None])
        others = int((labels[dropped] != labels[twins.exact[dropped]]).sum())
        kept = f", {others:,} of them under another class: the first one's is kept" if others else ""
        late = dropped >= len(train)
        test = None if test is None else test.without(dropped[late] - len(train))
        train, twins = train.without(dropped[~late]), without_copies(twins)
        notes += (f"{len(dropped):,} images that equal an earlier one are left out (--deduplicate){kept}",)
    if not len(train):
        raise DataError(f"{where}: holds no training images")
    if labelled and train.num_classes == 1:
        what = f"has one class only ('{train.class_names[0]}'), it takes two"
        raise DataError(f"{where}: {what}; for unconditional training leave out labels and class folders")
    if missing := train.missing_class():
        raise DataError(f"{where}: class '{missing}' has no training images; add some or leave the class out")
    findings = findings_of(train, test, twins, raw, len(dropped))
    return SourceImages(name, fingerprint(train, test), train, test, labelled, notes, findings)


def twins_of(train: LabelledImages, test: LabelledImages | None, config: DataConfig) -> Twins:
    """Identical and similar images, looked up by the content where it is known."""

    def find() -> Twins:
        return find_twins(train.pixels, None if test is None else test.pixels)

    count = len(train) + (0 if test is None else len(test))
    return find() if config.no_cache else cached_twins(fingerprint(train, test), find, count)


def fingerprint(train: LabelledImages, test: LabelledImages | None) -> str:
    """Hex SHA-256 (first 16 digits) of the content of both parts, image size included."""
    parts = [train.content_hash(), test.content_hash() if test is not None else "-"]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]


def _written_set(path: Path, name: str, config: DataConfig, sets: tuple[Path, ...]) -> SourceImages:
    _refuse_names(config)
    own = read_set(path)
    images = dataclasses.replace(own.images, pixels=to_square(own.images.pixels, config.image_size))
    test, note = _recorded_test(own, images, (*sets, path.resolve()))
    if test is not None:
        refuse_made_from(images, test, f"--data {config.source}")
    notes = (note, *_unused(config, written=True))
    labelled = images.class_names != (UNLABELLED,)
    findings = findings_of(images, test, twins_of(images, test, config), None)
    return SourceImages(name, fingerprint(images, None), images, test, labelled, notes, findings)


def _recorded_test(
    own: SetOnDisk, images: LabelledImages, sets: tuple[Path, ...]
) -> tuple[LabelledImages | None, str]:
    """The test split of the data that a set was made from, or None; and a note on it."""
    made_from = "the data it was made from"
    try:
        recorded = own.data_config
        if recorded is None:
            return None, "its index does not say which data it was made from"
        config = dataclasses.replace(recorded.whole, download=False)
        if Path(config.source).expanduser().resolve() in sets:
            return None, "its index names the set itself as its source; no test split is taken from there"
        source = _load(config, sets)
        test = draw_splits(source, config, 0).test
    except (GangdaError, TypeError) as error:
        return None, f"{made_from} cannot be loaded ({str(error)[:120]}); no test split from there"
    if source.fingerprint != own.fingerprint:
        return None, f"{made_from} ({config.source}) has changed; its test split is not used"
    if test.class_names != images.class_names or test.image_shape[0] != images.image_shape[0]:
        other = "classes" if test.class_names != images.class_names else "channels"
        return None, f"{made_from} ({config.source}) has other {other}; its test split is not used"
    pixels = to_square(test.pixels, images.image_shape[1])
    return dataclasses.replace(test, pixels=pixels), f"its test split is that of {config.source}"
