"""What a configuration field accepts, and how text (flags, environment) and YAML values become it."""

import dataclasses
import math
import reprlib
import types
import typing
from dataclasses import dataclass
from typing import Any

from gangda.errors import UsageError

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


@dataclass(frozen=True)
class Kind:
    """The type of a field.

    Attributes:
        base: bool, int, float or str: of the value, or of each element of a tuple.
        optional: whether None is a value.
        length: None for a single value, 0 for a tuple of any length, else the tuple's length.
        several: whether a tuple can stand in place of the single value.
    """

    base: type
    optional: bool = False
    length: int | None = None
    several: bool = False

    @property
    def words(self) -> str:
        """What to say is expected."""
        if self.length is None:
            return _WORDS[self.base] + (", or several with commas" if self.several else "")
        many = f"{self.length} " if self.length else ""
        return f"{many}comma-separated values, each {_WORDS[self.base]}"


def kind_of(field: "dataclasses.Field[Any]") -> Kind:
    """The kind of a dataclass field, from its annotation: `int | None`, `tuple[float, ...]`, `float | tuple[...]`."""
    annotation: Any = field.type
    optional, several = isinstance(annotation, types.UnionType), False
    if optional:
        kinds = [part for part in typing.get_args(annotation) if part is not types.NoneType]
        annotation, several = kinds[0], len(kinds) > 1
    if typing.get_origin(annotation) is not tuple:
        return Kind(annotation, optional, several=several)
    parts = typing.get_args(annotation)
    return Kind(parts[0], optional, 0 if parts[-1] is Ellipsis else len(parts))


def convert(field: "dataclasses.Field[Any]", value: Any, where: str) -> Any:
    """`value` (text from a flag or the environment, or a YAML value) as the field's type.

    `where` begins the message: a flag, a variable's name, or a YAML key.

    Raises:
        UsageError: it is not of that type.
    """
    kind = kind_of(field)
    if value is None and kind.optional:
        return None
    if isinstance(value, str) and value in field.metadata.get("words", ()):
        return field.metadata["words"][value]
    try:
        if kind.length is None:
            return _one_or_several(kind, value) if kind.several else _scalar(kind.base, value)
        parts = _parts(value, bool(field.metadata.get("repeat")))
        if kind.length not in (0, len(parts)):
            raise ValueError
        return tuple(_scalar(kind.base, part) for part in parts)
    except (ValueError, OverflowError):
        expected = ", or ".join((kind.words, *field.metadata.get("words", ())))
        raise UsageError(f"{where} {in_words(value)}: expected {expected}") from None


def _one_or_several(kind: Kind, value: Any) -> Any:
    parts = tuple(_scalar(kind.base, part) for part in _parts(value, repeat=False))
    if not parts:
        raise ValueError
    return parts if len(parts) > 1 else parts[0]


def in_words(value: Any) -> str:
    """A value from a file, for a message: short, however long or deeply nested it is."""
    try:
        return repr(value) if isinstance(value, str) and len(value) <= 60 else reprlib.repr(value)
    except ValueError:  # more digits than Python cares to print
        return "a number beyond all sense"


def _parts(value: Any, repeat: bool) -> list[Any]:
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, str) and not repeat:
        return [part.strip() for part in value.split(",")] if value.strip() else []
    return [value]


def _scalar(base: type, value: Any) -> Any:
    if base is bool:
        return _boolean(value)
    if base is str:
        return _text(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError
    if base is int and isinstance(value, float) and value != int(value):
        raise ValueError
    number = base(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or value.lower() not in _TRUE + _FALSE:
        raise ValueError
    return value.lower() in _TRUE


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError
    return str(value)
