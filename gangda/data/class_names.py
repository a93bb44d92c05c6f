"""Names of classes: their order, their spelling, and which are refused."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from gangda.errors import DataError

_MISSING = ("nan", "null", "<na>", "n/a", "#n/a")
_PICTURES = ("image", "images", "img", "imgs")
_MASKS = (
    "mask",
    "masks",
    "annotation",
    "annotations",
    "label",
    "labels",
    "segmentation",
    "groundtruth",
    "gt",
)
_NUMBER, _WHOLE = re.compile(r"[+-]?\d+([.,]\d+)?"), re.compile(r"[+-]?\d+([.,]0+)?")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")
MOST_SHOWN = 12  # classes in a note


def in_natural_order(names: Iterable[str]) -> list[str]:
    """Sorted, with numbers in names by their value: 1, 2, 10; the same as `sorted` for numbers of equal length."""
    return sorted(names, key=lambda name: (re.sub("[0-9]+", lambda digits: digits[0].zfill(20), name), name))


def normalised(name: str) -> str:
    """The name in Unicode's composed form (NFC): one spelling of what looks the same."""
    return unicodedata.normalize("NFC", name)


def order_note(names: Sequence[str]) -> tuple[str, ...]:
    """Labels and names, where the order is not that of the plain texts."""
    if list(names) == sorted(names):
        return ()
    return (f"classes in natural order: {first_of([f'{label}={name}' for label, name in enumerate(names)])}",)


def first_of(words: Sequence[str]) -> str:
    """Words about classes in one line, the first `MOST_SHOWN` of them."""
    return f"{', '.join(words[:MOST_SHOWN])}{', ...' * (len(words) > MOST_SHOWN)}"


def check_class_names(names: Sequence[str], where: str) -> tuple[str, ...]:
    """The names as a tuple; raises DataError where one is empty, repeated, or would break a line."""
    for name, count in Counter(names).items():
        if not name or count > 1:
            wrong = "repeated" if name else "empty"
            raise DataError(f"{where}: class name '{name}' is {wrong}; names must differ")
        if _CONTROL.search(name):
            raise DataError(f"{where}: class name {name!a} holds a control character; rename it")
    return tuple(names)


def refuse_alike(names: Iterable[str], where: str) -> None:
    """A DataError where two names differ only in case, blanks, invisible characters, or as one number written twice."""
    seen: dict[str, str] = {}
    for name in sorted(set(names)):
        key = " ".join(_INVISIBLE.sub("", name).casefold().split())
        number = re.fullmatch(r"(\d+)(\.0+)?", key)
        other = seen.setdefault(number[1].lstrip("0") if number else key, name)
        if other != name:
            how = "how a number is written" if number else "case or blanks"
            hidden = _INVISIBLE.search(other + name)
            shown = f"{other!a} and {name!a}" if hidden else f"'{other}' and '{name}'"
            what = f"class names {shown} differ only in {'characters that are not seen' if hidden else how}"
            raise DataError(f"{where}: {what}; give them one name, or names that differ")


def doubts(names: Sequence[str]) -> Iterator[str]:
    """Sentences about names that stand for something else than classes: missing labels, masks, measurements."""
    plain = {name.casefold(): name for name in names}
    if missing := [plain[word] for word in _MISSING if word in plain]:
        yield f"ALARM: class '{missing[0]}' looks like a missing label; leave its images out, or rename it"
    masks = [plain[word] for word in _MASKS if word in plain]
    if masks and any(word in plain for word in _PICTURES):
        what = f"class '{masks[0]}' looks like the answers to other images, not like a class"
        yield f"ALARM: {what}; give --data folders of classes"
    if all(map(_NUMBER.fullmatch, names)) and not all(map(_WHOLE.fullmatch, names)):
        shown = ", ".join(names[:3])
        yield f"ALARM: class names are numbers ({shown}, ...): of a measurement, make ranges; each number is one class"
