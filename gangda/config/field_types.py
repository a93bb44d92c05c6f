"""The type of a configuration field, and the conversion of text (flags, environment) and YAML values to it."""

import dataclasses
import math
import reprlib
import types
import typing
from dataclasses import dataclass
from typing import Any

from gangda.errors import UsageError

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_EXPECTED = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


@dataclass(frozen=True)
class FieldType:
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
    def expected(self) -> str:
        """What a message says is expected."""
        if self.length is None:
            return _EXPECTED[self.base] + (", or several with commas" if self.several else "")
        many = f"{self.length} " if self.length else ""
        return f"{many}comma-separated values, each {_EXPECTED[self.base]}"


def type_of(field: "dataclasses.Field[Any]") -> FieldType:
    """The type of a field, from its annotation: `int | None`, `tuple[float, ...]`, `float | tuple[...]`."""
    annotation: Any = field.type
    optional, several = isinstance(annotation, types.UnionType), False
    if optional:
        kinds = [part for part in typing.get_args(annotation) if part is not types.NoneType]
        annotation, several = kinds[0], len(kinds) > 1
    if typing.get_origin(annotation) is not tuple:
        return FieldType(annotation, optional, several=several)
    parts = typing.get_args(annotation)
    return FieldType(parts[0], optional, 0 if parts[-1] is Ellipsis else len(parts))


def convert(field: "dataclasses.Field[Any]", value: Any, where: str) -> Any:
    """`value` (text from a flag or the environment, or a YAML value) as the field's type.

    `where` begins the message: a flag, a variable's name, or a YAML key.

    Raises:
        UsageError: it is not of that type.
    """
    kind, words = type_of(field), field.metadata["words"]
    if value is None and kind.optional:
        return None
    if isinstance(value, str) and value in words:
        return words[value]
    try:
        if kind.length is None and not kind.several:
            return _scalar(kind.base, value)
        parts = tuple(_scalar(kind.base, part) for part in _split(value, field.metadata["repeat"]))
        if (kind.several and not parts) or kind.length not in (None, 0, len(parts)):
            raise ValueError
        return parts[0] if kind.several and len(parts) == 1 else parts
    except (ValueError, OverflowError):
        expected = ", or ".join((kind.expected, *words))
        raise UsageError(f"{where} {shortened(value)}: expected {expected}") from None


def shortened(value: Any) -> str:
    """A value from a file for a message, short however long or deeply nested it is."""
    try:
        return repr(value) if isinstance(value, str) and len(value) <= 60 else reprlib.repr(value)
    except ValueError:  # Python refuses to print integers of thousands of digits
        return "a number of thousands of digits"


def _split(value: Any, repeat: bool) -> list[Any]:
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, str) and not repeat:
        return [part.strip() for part in value.split(",")] if value.strip() else []
    return [value]


def _scalar(base: type, value: Any) -> Any:
    if base is bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in _TRUE + _FALSE:
            return value.lower() in _TRUE
        raise ValueError
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError
    if base is int and isinstance(value, float) and value != int(value):
        raise ValueError
    converted = base(value)
    if base is not str and not math.isfinite(converted):
        raise ValueError
    return converted
