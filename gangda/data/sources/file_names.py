"""Image files by what tables and options call them: the column of file names, groups, FILE:COLUMN."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gangda.config.data_options import NAMED_COLUMN
from gangda.data.class_names import normalised
from gangda.data.images import IntArray
from gangda.data.paths import existing_file
from gangda.data.sources.scan import PARTS, Files, below
from gangda.data.sources.tables import Cell, Table, read_table
from gangda.errors import DataError, UsageError

_ANSWERS = ("mask", "seg", "label", "gt", "groundtruth", "annotation")
# STEM_mask.SUFFIX and the like; a part's name in front of other words or numbers.
_MASK = re.compile(rf"(.+)[ _.-](?:{'|'.join(_ANSWERS)})(?:s|mentation)?\.\w+", re.IGNORECASE)
# NAME_aug_1.SUFFIX and the like, but for the month of a date; NAME.rf.HASH.SUFFIX, as Roboflow calls the versions.
_AUGMENTED = r"aug(?:mented)?(?![ _.-](?:19|20)\d\d)"
_VERSION = re.compile(
    rf"(.+?)(?<!19\d\d)(?<!20\d\d)([ _.-](?:{_AUGMENTED}|flip(?:ped)?|rot(?:ated)?|mirror(?:ed)?|rf))(?![a-z]).*\.\w+",
    re.IGNORECASE,
)
_PART = re.compile(rf"({'|'.join(PARTS)})(?![a-z])", re.IGNORECASE)


class Names:
    """Finds images by what a table calls them."""

    def __init__(self, root: Path, files: Iterable[Path]) -> None:
        self._root = root
        self._by_path: dict[str, int] = {}
        # By file name, and by file name without suffix (of numbers: without leading zeros), in any case; -1: several.
        self._by_name: dict[str, int] = {}
        self._by_stem: dict[str, int] = {}
        for place, path in enumerate(files):
            inside = normalised(below(root, path))
            self._by_path[inside] = place
            name = inside.rpartition("/")[2].casefold()
            stem = name.rpartition(".")[0] or name
            self._by_name[name] = -1 if name in self._by_name else place
            for key in {stem, stem.lstrip("0") or "0"} if stem.isdecimal() else {stem}:
                self._by_stem[key] = -1 if self._by_stem.get(key, place) != place else place

    def find(self, cell: Cell, folder: Path) -> tuple[int | None, bool]:
        """The position of an image that a table in `folder` names, None if it is not there; and whether by all of it.

        Raises DataError: the name of several images.
        """
        if not cell or isinstance(cell, tuple):
            return None, False
        name = normalised(cell).replace("\\", "/").removeprefix("./")
        for path in (below(self._root, folder / name), name):
            if path in self._by_path:
                return self._by_path[path], True
        last = name.rpartition("/")[2].casefold()
        for whole, known in ((True, self._by_name), (False, self._by_stem)):
            if known.get(last) == -1:
                raise DataError(f"'{cell}' is the name of several images; name them by their paths")
            if last in known:
                return known[last], whole
        return None, False


class _Column(NamedTuple):
    """How many images a column names, in full and at all; its name; the images' positions."""

    rank: tuple[int, int]
    column: str
    places: list[int | None]


def file_column(table: Table, names: Names) -> tuple[Table, list[int | None], Sequence[Cell]]:
    """The table without its column of file names, which names the most images; their positions, one a row; the names.

    File names in full go before those without suffix, which other numbers may look like. Raises DataError: no column,
    or two that name other images each.
    """
    ranked, error = _ranked(table, names)
    if ranked and _is_row(ranked[-1].column, ranked[-1].rank, names, table.path.parent):
        table = table.headless()
        ranked, error = _ranked(table, names)
    if not ranked or not ranked[-1].rank[1]:
        raise DataError(f"{table.path}: {error or 'names no image that is there, with or without a suffix'}")
    best = ranked[-1]
    if len(ranked) > 1 and ranked[-2].rank == best.rank and ranked[-2].places != best.places:
        both = f"'{ranked[-2].column}' and '{best.column}'"
        raise DataError(f"{table.path}: columns {both} could both name the images; drop one")
    rest = {name: cells for name, cells in table.columns.items() if name != best.column}
    return Table(table.path, rest), best.places, table.columns[best.column]


def _ranked(table: Table, names: Names) -> tuple[list[_Column], DataError | None]:
    """The columns, the one that names the most images last; and why one cannot be told."""
    ranked: list[_Column] = []
    error = None
    for column, cells in table.columns.items():
        try:
            found = [names.find(cell, table.path.parent) for cell in cells]
        except DataError as ambiguous:
            error = ambiguous
            continue
        places = [place for place, _ in found]
        whole = len({place for place, in_full in found if in_full})
        ranked.append(_Column((whole, len(set(places) - {None})), column, places))
    return sorted(ranked, key=lambda one: one.rank), error


def _is_row(name: str, rank: tuple[int, int], names: Names, folder: Path) -> bool:
    """Whether the head of the column of file names is one itself, as the others are: in full, or without suffix."""
    try:
        place, in_full = names.find(name, folder)
    except DataError:
        return False
    return place is not None and (in_full or not rank[0])


def named_table(root: Path, text: str, flag: str) -> tuple[Path, str | None]:
    """The file and the column of FILE[:COLUMN]; the file is looked for here, then in the folder of the images."""
    for name, column in ((text, None), text.rpartition(":")[::2]):
        for place in (name, name and str(root / name)):
            if (path := existing_file(place)) is not None:
                return path, column
    raise DataError(f"{flag} {text}: no such file, here or in {root}; give FILE, or FILE:COLUMN")


def doubts(files: Files, split: bool) -> Iterator[str]:
    """Sentences about masks beside their images, and about names of parts where no folders say so (not `split`)."""
    masks: list[str] = []
    begins: Counter[str] = Counter()
    for _, packed in files.packed:
        names, text = packed.split("\0"), packed.casefold()
        # All names at once first: one by one takes a second where they are a million.
        if any(word in text for word in _ANSWERS):
            stems = {name.rpartition(".")[0] for name in names}
            masks += [name for name in names if (match := _MASK.fullmatch(name)) and match[1] in stems]
        if any(part in text for part in PARTS):
            begins.update(PARTS[match[1].lower()] for name in names if (match := _PART.match(name)))
    if masks:
        what = f"{len(masks):,} of {len(files):,} images are called like masks of others (such as {masks[0]})"
        yield f"ALARM: {what}: no images to learn; move them away"
    if not split and {"train", "test"} <= begins.keys():
        shown = ", ".join(f"{begins[part]:,} with {part}" for part in ("train", "test"))
        cure = (
            "to keep it, put them into folders train and test, or give --labels a table with a column split"
        )
        yield f"file names begin {shown}: that split is not used, as all images lie together; {cure}"


def versions(files: Files, split: bool) -> Iterator[str]:
    """A sentence about images that are called like versions of one, an alarm where the test images are drawn."""
    many, mark = 0, ""
    for _, packed in files.packed:
        names = packed.split("\0")
        found = [match for match in map(_VERSION.fullmatch, names) if match]
        bases = Counter(match[1] for match in found)
        bases.update({name.rpartition(".")[0] for name in names} & bases.keys())
        alike = [match for match in found if bases[match[1]] > 1]
        many, mark = many + len(alike), mark or (alike[0][2] if alike else "")
    if many:
        what = f"{many:,} of {len(files):,} images are called like versions of others ('{mark}')"
        drawn = "validation images" if split else "test images"
        cure = f"--group-by '^(.+?)({re.escape(mark)}.*)?\\.\\w+$'"
        yield f"{'' if split else 'ALARM: '}{what}: {drawn} are drawn from among them; keep them together with {cure}"


def group_files(root: Path, files: Iterable[Path], group_by: str) -> IntArray:
    """A number for each file, int64 (N,), equal for those of one group; others have their own.

    `group_by`: a pattern whose first group is compared, or FILE:COLUMN. Raises UsageError, DataError: fits no file.
    """
    paths = list(files)
    if NAMED_COLUMN.fullmatch(group_by):
        path, column = named_table(root, group_by, "--group-by")
        table, names = read_table(path), Names(root, paths)
        keys: list[Cell | None] = [None] * len(paths)
        table, places, _ = file_column(table, names)
        for place, cell in zip(places, table.column(column or ""), strict=True):
            if place is not None and cell:
                keys[place] = cell
    else:
        matches = [re.search(group_by, path.name) for path in paths]
        keys = [None if match is None else match[1] for match in matches]
    if not any(keys):
        raise UsageError(f"--group-by '{group_by}': fits no file name, such as {paths[-1].name}")
    numbers: dict[Cell | int, int] = {}
    own = [position if key is None else key for position, key in enumerate(keys)]
    return np.array([numbers.setdefault(key, len(numbers)) for key in own], dtype=np.int64)
