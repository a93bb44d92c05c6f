"""Values that a user gives for single classes: NAME=VALUE, or #i=VALUE for class i."""

import csv
from collections.abc import Sequence

import numpy as np

from gangda.config.hints import suggestion
from gangda.data.class_names import first_of
from gangda.data.images import IntArray
from gangda.errors import UsageError

LIMIT = 1_000_000_000  # images per class, exclusive


def read_counts(items: str | Sequence[str], class_names: Sequence[str], flag: str = "--counts") -> IntArray:
    """`NAME=50,#3=200`, or the items of it, as counts, int64 (K,); classes not named get 0.

    An item is split at its last `=`. One whose name holds a comma is put in double quotes (`"a,b=50"`), or the class is
    given by its index (`#3=50`).
    Raises UsageError: an unknown class, one named twice, no whole number, or all counts 0.
    """
    counts = np.zeros(len(class_names), dtype=np.int64)
    seen: set[int] = set()
    if isinstance(items, str):
        try:
            items = next(csv.reader([items], skipinitialspace=True, strict=True), [])
        except csv.Error as error:
            raise UsageError(f"{flag} '{items[:60]}': cannot be split at its commas ({error})") from None
    for item in items:
        label, number = read_assignment(item, class_names, flag)
        if not (number.isascii() and number.isdigit() and len(number) < 10):
            raise UsageError(f"{flag} {item}: '{number}' is not a whole number of images below {LIMIT:,}")
        if label in seen:
            raise UsageError(f"{flag} {item}: class '{class_names[label]}' is already given a count")
        seen.add(label)
        counts[label] = int(number)
    if not counts.any():
        raise UsageError(f"{flag} '{','.join(items)}': asks for no image; write NAME=50,#3=200")
    return counts


def read_assignment(item: str, class_names: Sequence[str], flag: str) -> tuple[int, str]:
    """Label and value of `NAME=value` or `#i=value` (names first); a UsageError: no such class, or no `=`."""
    name, equals, value = item.rpartition("=")
    name, value = name.strip(), value.strip()
    if not equals or not name:
        raise UsageError(f"{flag} {item}: write NAME=value, or #i=value for a class index")
    if name in class_names:
        return list(class_names).index(name), value
    if name[0] == "#" and name[1:].isascii() and name[1:].isdigit():
        if int(name[1:]) < len(class_names):
            return int(name[1:]), value
        raise UsageError(f"{flag} {item}: class indices run from 0 to {len(class_names) - 1}")
    known = f"{suggestion(name, class_names)}choose from {first_of(class_names)}"
    raise UsageError(f"{flag} {item}: no class '{name}': {known}")
