"""Labels of image files from elsewhere than their folders: a table beside them, or their own names.

The rules:
    - A table (see `tables.py`) is named with `--labels FILE[:COLUMN]`, or found by a usual name (`USUAL`) in the folder
      or in its train/ and test/. It speaks of all images at or below the folder, whatever the folders are called.
    - The column of file names is the one that names the most images: by path from the folder or from the table's own,
      else by file name alone, with or without its suffix, where only one image has it.
    - The column of labels is the one asked for, one of a usual name (`LABELS`), or the only other one; or all others
      where they are one-hot. A column `split` says which part an image belongs to, else the folders train/ and test/.
    - Images that the table does not name, rows without a label and rows whose image is not there are left out and
      counted. Two labels for one image, several labels in a cell, and as many labels as images are refused.
    - A table that is found but does not fit is not used, and the reason is said.
    - Names that hold the name of one class, as a word, and a label that is another: an alarm (shifted rows). So are
      numbers that name every image but one, and one more behind or before them: a table that counts from 1, or from 0.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from gangda.config.data_options import BY_NAME
from gangda.data.class_names import normalised
from gangda.data.sources.file_names import Names, file_column, named_table
from gangda.data.sources.raw import MAX_CLASSES, UNLABELLED
from gangda.data.sources.scan import PARTS, Files, Skipped, below, scan_all, skipped_notes
from gangda.data.sources.tables import Cell, Table, read_table
from gangda.errors import DataError, GangdaError, UsageError

FOLDERS = "folders"
STYLEGAN = "dataset.json"
USUAL = (
    "metadata.csv", "metadata.jsonl", "metadata.tsv", "labels.csv", "labels.tsv", "labels.jsonl", "labels.json",
    STYLEGAN, "train.csv", "train_labels.csv", "trainLabels.csv", "annotations.csv",
)  # fmt: skip
LABELS = (
    "label_name", "class_name", "label", "labels", "class", "classes", "category", "target", "y", "species", "breed",
    "diagnosis", "dx",
)  # fmt: skip
SPLITS = ("split", "partition", "subset")
_WORD = re.compile(r"[^\W\d_]+")
_SHORTEST = 3  # letters of a class name that is looked for in file names
_SEVERAL = re.compile(r"\s*[|;,]\s*")  # between the labels of one cell

Parts = dict[str, dict[str, Files]]  # part, class name, files


def by_labels(root: Path, labels: str) -> tuple[Parts, list[str]]:
    """The images of each class of each part by `--labels`, a table or a pattern of names; and notes.

    Raises DataError, UsageError: no such table or column, or it does not fit the images.
    """
    files, skipped = scan_all(root)
    if labels.startswith(BY_NAME):
        parts, notes = _by_pattern(root, files, labels.removeprefix(BY_NAME))
    else:
        path, column = named_table(root, labels, "--labels")
        parts, notes = _by_tables(root, files, [(path, read_table(path))], column)
        skipped = _others(skipped, [path])
    return parts, [*notes, *skipped_notes(skipped)]


def find_table(root: Path) -> tuple[tuple[Path, Parts, list[str]] | None, list[str]]:
    """The first usual table that fits, as in `by_labels`; and why others are not used."""
    found = [[root / name] for name in USUAL if (root / name).is_file()]
    if not found:
        inside = [root / part for part in _part_folders(root)]
        found = [
            [folder / name for folder in inside if (folder / name).is_file()]
            for name in USUAL
            if any((folder / name).is_file() for folder in inside)
        ]
    if not found:
        return None, []
    files, skipped = scan_all(root)
    reasons = []
    for paths in found:
        try:
            parts, notes = _by_tables(root, files, [(path, read_table(path)) for path in paths], None)
            rest = ", ".join(other[0].name for other in found if other is not paths)
            notes += [f"labels may also stand in {rest}: --labels FILE chooses"] * bool(rest)
            return (paths[0], parts, [*notes, *skipped_notes(_others(skipped, paths))]), []
        except GangdaError as error:
            reasons.append(
                f"{paths[0].name} is not used for labels: {str(error).removeprefix(f'{paths[0]}: ')}"
            )
    return None, reasons


def hint(parts: Parts) -> list[str]:
    """How to take classes from the names of unlabelled images, where they begin with different words."""
    if list(parts.get("train", ())) != [UNLABELLED]:
        return []
    words = Counter(re.match(r"[^\W\d_]*", path.name)[0] for path in parts["train"][UNLABELLED])  # type: ignore[index]
    if not 2 <= len(words) <= MAX_CLASSES or min(words.values()) < 2 or "" in words:
        return []
    shown = ", ".join(f"{word} ({count:,})" for word, count in sorted(words.items())[:3])
    return [f"no classes; file names begin with {shown}: --labels 'name:^([A-Za-z]+)' takes them as classes"]


def _others(skipped: Skipped, tables: Sequence[Path]) -> Skipped:
    return [one for one in skipped if one[1] not in tables]


def _part_folders(root: Path) -> list[str]:
    try:
        return sorted(path.name for path in root.iterdir() if path.name.lower() in PARTS and path.is_dir())
    except OSError:  # `scan` says it better
        return []


def _label_column(table: Table, asked: str | None) -> Sequence[Cell]:
    if asked is not None:
        return table.column(asked)
    rest = {name: cells for name, cells in table.columns.items() if name.lower() not in SPLITS}
    usual = {name.lower(): name for name in rest}
    for name in LABELS:
        if name in usual:
            return rest[usual[name]]
    if len(rest) == 1:
        return next(iter(rest.values()))
    if len(rest) > 1 and all(cell in ("0", "1", "0.0", "1.0") for cells in rest.values() for cell in cells):
        rows = [
            tuple(name for name, cell in zip(rest, row, strict=True) if cell[0] == "1")
            for row in zip(*rest.values(), strict=True)
        ]
        return [row[0] if len(row) == 1 else row for row in rows]
    shown = ", ".join(list(rest)[:20]) or "none but the files"
    raise DataError(f"{table.path}: which column holds the labels? It has {shown}; give --labels FILE:COLUMN")


def _refuse_several(table: Path, cells: Sequence[Cell]) -> None:
    """A DataError where cells hold several labels each: a list, or texts of which one stands in other cells too.

    A text that only stands in cells that are alike is part of a name, as in "tench, Tinca tinca".
    """
    split = [cell if isinstance(cell, tuple) else tuple(_SEVERAL.split(cell)) for cell in cells]
    counts = Counter(label for labels in split for label in set(labels))
    kinds = Counter(label for labels in set(split) for label in set(labels))
    several = [
        labels
        for cell, labels in zip(cells, split, strict=True)
        if len(labels) != 1
        and (
            isinstance(cell, tuple)
            or (all(counts[label] > 1 for label in labels) and any(kinds[label] > 1 for label in labels))
        )
    ]
    if several:
        shown = " and ".join(several[0][:3]) or "none"
        what = f"multi-label: {len(several):,} rows do not have one class each (such as {shown})"
        raise DataError(f"{table}: {what}; gangda takes one class per image")


def _by_tables(
    root: Path, files: Files, tables: Sequence[tuple[Path, Table]], asked: str | None
) -> tuple[Parts, list[str]]:
    """The images by the labels of these tables; see the rules above."""
    paths = list(files)
    names, own, notes = Names(root, paths), dict[int, tuple[str, str]](), []
    for path, whole in tables:
        table, places, called = file_column(whole, names)
        cells = _label_column(table, asked)
        _refuse_several(path, [cell for cell in cells if cell])
        splits = next((cells for name, cells in table.columns.items() if name.lower() in SPLITS), None)
        missing = sum(place is None for place in places)
        blank = sum(not cell for cell in cells)
        absent = [cell for cell, place in zip(called, places, strict=True) if place is None]
        notes += _counts_otherwise(path, absent, [path.stem for path in paths], set(places))
        for place, cell, split in zip(places, cells, splits or ["train"] * len(places), strict=True):
            if place is None or not cell:
                continue
            part = _part_of(root, paths[place]) if splits is None else PARTS.get(str(split).lower(), "")
            if not part:
                what = f"split '{split}' is none of {', '.join(PARTS)}"
                raise DataError(f"{path}: {what}; rename it, or drop the column")
            new = (part, normalised(str(cell)))
            if own.setdefault(place, new) != new:
                both = " and ".join(f"'{label}' ({part})" for part, label in (own[place], new))
                raise DataError(f"{path}: {paths[place].name} is named twice, as {both}; keep one row of it")
        notes.append(f"labels are taken from {path.relative_to(root) if path.is_relative_to(root) else path}")
        notes += [f"{path.name}: rows that name images which are not there: {missing:,}"] * bool(missing)
        notes += [f"{path.name}: rows without a label: {blank:,}"] * bool(blank)
    if not own:
        raise DataError(f"{tables[0][0]}: gives no image a label")
    classes = len({label for _, label in own.values()})
    if classes > MAX_CLASSES or (classes == len(own) > 2):
        what = f"holds {classes:,} different labels for {len(own):,} images: no classes"
        raise DataError(f"{tables[0][0]}: {what}; give --labels FILE:COLUMN")
    if left_out := len(paths) - len(own):
        first = next(path for place, path in enumerate(paths) if place not in own)
        notes.append(f"left out, without a label: {left_out:,}, such as {first.relative_to(root)}")
    notes += _names_against(tables[0][0], [(label, paths[place]) for place, (_, label) in own.items()])
    return _parts([(part, label, paths[place]) for place, (part, label) in own.items()]), notes


def _counts_otherwise(
    table: Path, absent: Sequence[Cell], stems: Sequence[str], named: set[int | None]
) -> list[str]:
    """An alarm where numbers name all images but the first, or the last, and one that is not there at the other end."""
    left_out = [stem for place, stem in enumerate(stems) if place not in named]
    texts = [*stems, *(str(cell).rpartition("/")[2].partition(".")[0] for cell in absent)]
    if len(absent) != 1 or len(left_out) != 1 or not all(text.isdecimal() for text in texts):
        return []
    *numbers, row = map(int, texts)
    first, last, image = min(numbers), max(numbers), int(left_out[0])
    if (row, image) not in ((last + 1, first), (first - 1, last)):
        return []
    start = first + 1 if row > last else first - 1
    what = f"{table.name} counts images from {start}, their files from {first}"
    return [f"ALARM: {what}: does every row name a neighbour of its image?"]


def _names_against(table: Path, images: Sequence[tuple[str, Path]]) -> list[str]:
    """An alarm where file names hold the name of another class than the table gives."""
    known = {label.casefold(): label for label, _ in images if len(label) >= _SHORTEST}
    against = []
    for label, path in images:
        words = {known[word] for word in _WORD.findall(normalised(path.stem).casefold()) if word in known}
        if len(words) == 1 and label not in words:
            against.append(f"{path.name} is '{label}'")
    if not against:
        return []
    what = f"{len(against):,} of {len(images):,} images have another class in their name than in {table.name}"
    return [f"ALARM: {what} ({against[0]}): are its rows shifted?"]


def _by_pattern(root: Path, files: Files, pattern: str) -> tuple[Parts, list[str]]:
    found, others = [], []
    for path in files:
        match = re.search(pattern, path.name)
        if match is None or not match[1]:
            others.append(path)
        else:
            found.append((_part_of(root, path), normalised(match[1].strip()), path))
    if not found:
        raise UsageError(f"--labels '{BY_NAME}{pattern}': fits no file name, such as {others[0].name}")
    notes = ["labels are taken from file names"]
    if others:
        notes.append(f"left out, without a label: {len(others):,}, such as {others[0].name}")
    return _parts(found), notes


def _part_of(root: Path, path: Path) -> str:
    """The part that the folders train/, test/ and the like put an image in."""
    first, slash, _ = below(root, path).partition("/")
    return PARTS.get(first.lower(), "train") if slash else "train"


def _parts(images: Iterable[tuple[str, str, Path]]) -> Parts:
    """Files by part and class, in the order of their paths."""
    found: dict[str, dict[str, dict[Path, list[str]]]] = {}
    for part, label, path in sorted(images):
        found.setdefault(part, {}).setdefault(label, {}).setdefault(path.parent, []).append(path.name)
    return {
        part: {
            label: Files(tuple((folder, "\0".join(names)) for folder, names in folders.items()))
            for label, folders in classes.items()
        }
        for part, classes in found.items()
    }
