"""Options as dataclass fields: declaration, flag, environment variable, type, conversion from text, and limits.

A field is declared with `option(default, help)`. `minimum` and `maximum` are inclusive; they are checked when the
value is set, whatever it came from.
"""

import csv
import dataclasses
import math
import re
import reprlib
import types
import typing
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

from gangda.config.hints import suggestion
from gangda.errors import UsageError

T = TypeVar("T")
Field = dataclasses.Field[Any]

_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
_EXPECTED = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def option(
    default: Any,
    help: str,
    *,
    flag: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str | int, ...] = (),
    repeat: bool = False,
    pattern: str = "",
    words: Mapping[str, Any] = MappingProxyType({}),
    record: str = "always",
) -> Any:
    """A dataclass field that is also an option. A tuple is typed with commas, or flag by flag (`repeat`).

    `flag` is the field's name with dashes unless it is given. `words` can be typed in place of a value; they are given
    with the values that they stand for. `record`: whether the value is part of what is written and hashed: "always",
    only where it is not the default ("given"), or "never", because it changes no result.
    """
    limits = {"minimum": minimum, "maximum": maximum, "choices": choices, "pattern": pattern, "words": words}
    return dataclasses.field(
        default=default, metadata={"help": help, "flag": flag, "repeat": repeat, "record": record, **limits}
    )


def flag_of(field: Field) -> str:
    """The long flag of a field, such as `--per-class`."""
    return field.metadata["flag"] or "--" + field.name.replace("_", "-")


def variable_of(flag: str) -> str:
    """The environment variable of a flag, such as `GANGDA_PER_CLASS` for `--per-class`."""
    return "GANGDA_" + flag[2:].replace("-", "_").upper()


@dataclass(frozen=True)
class Checked:
    """Base of the configurations: checks values against their fields' limits, and which exclude each other."""

    exclusive: ClassVar[tuple[tuple[str, ...], ...]] = ()

    def __post_init__(self) -> None:
        fields = fields_by_name(self)
        for name, field in fields.items():
            value = getattr(self, name)
            for part in value if isinstance(value, tuple) else (value,):
                if part is not None:
                    _check(field, part)
        changed = [name for name, field in fields.items() if getattr(self, name) != field.default]
        refuse_both(type(self), [name for name in changed if is_given(getattr(self, name))])


def refuse_both(cls: type[Checked], given: Collection[str]) -> None:
    """Raise UsageError where two of these options, by name, exclude each other."""
    fields = fields_by_name(cls)
    for group in cls.exclusive:
        flags = [flag_of(fields[name]) for name in fields if name in group and name in given]
        if len(flags) > 1:
            raise UsageError(f"{' and '.join(flags)} exclude each other: give one of them")


def fields_by_name(kind: Checked | type[Checked]) -> dict[str, Field]:
    """The fields of a configuration or its class, in order."""
    return {field.name: field for field in dataclasses.fields(kind)}


def recorded(config: Checked) -> dict[str, Any]:
    """The values of a configuration that records and identities hold, by field name; see `option`."""
    return {
        name: getattr(config, name)
        for name, field in fields_by_name(config).items()
        if field.metadata["record"] == "always"
        or (field.metadata["record"] == "given" and getattr(config, name) != field.default)
    }


def given_words(config: Checked, usual: Checked | None = None) -> list[str]:
    """The options of a configuration that differ from the defaults, or from `usual`, as they would be typed."""
    found = []
    for name, field in fields_by_name(config).items():
        value = getattr(config, name)
        if value is not None and value != (field.default if usual is None else getattr(usual, name)):
            found += words_of(field, value)
    return found


def words_of(field: Field, value: Any) -> list[str]:
    """An option with its value, as it would be typed; several values with commas, or flag by flag."""
    flag = flag_of(field)
    if isinstance(value, bool):
        return [flag if value else f"--no-{flag[2:]}"]
    values = value if isinstance(value, list | tuple) else [value]
    texts = [str(one).removesuffix(".0") if isinstance(one, float) else str(one) for one in values]
    return [
        word for text in (texts if field.metadata["repeat"] else [",".join(texts)]) for word in (flag, text)
    ]


def from_plain(kind: type[T], values: Mapping[str, Any]) -> T:
    """A configuration from plain values by field name, as read from JSON: lists become tuples."""
    plain = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return kind(**plain)


def is_given(value: Any) -> bool:
    """Whether an option that excludes others is in use."""
    return value is not None and value is not False and value != ()


def _check(field: Field, value: Any) -> None:
    """Check a value, or one element of a tuple; raises UsageError."""
    flag, meta = flag_of(field), field.metadata
    choices = tuple(map(str, meta["choices"]))
    if choices and str(value) not in choices:
        raise UsageError(f"{flag} {value}: {suggestion(str(value), choices)}choose from {', '.join(choices)}")
    if meta["pattern"] and not re.fullmatch(meta["pattern"], str(value)):
        raise UsageError(f"{flag} {value}: not of the right form: {meta['help']}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        low = -math.inf if meta["minimum"] is None else meta["minimum"]
        high = math.inf if meta["maximum"] is None else meta["maximum"]
        if not low <= value <= high:  # NaN is not
            bounds = f"at least {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
            raise UsageError(f"{flag} {value}: must be {bounds}")


@dataclass(frozen=True)
class FieldType:
    """The type of a field."""

    base: type  # bool, int, float or str: of the value, or of each element of a tuple
    optional: bool = False  # whether None is a value
    length: int | None = None  # None for a single value, 0 for a tuple of any length, else the tuple's length
    several: bool = False  # whether a tuple can stand in place of the single value
    named: bool = False  # whether elements of a tuple may be texts NAME=VALUE


def type_of(field: Field) -> FieldType:
    """The type of a field, by its annotation: `int | None`, `tuple[float, ...]`, `tuple[int | str, ...]`, and so on."""
    annotation: Any = field.type
    optional, several = isinstance(annotation, types.UnionType), False
    if optional:
        kinds = [part for part in typing.get_args(annotation) if part is not types.NoneType]
        annotation, several = kinds[0], len(kinds) > 1
    if typing.get_origin(annotation) is not tuple:
        return FieldType(annotation, optional, several=several)
    parts = typing.get_args(annotation)
    named = isinstance(parts[0], types.UnionType)
    base = typing.get_args(parts[0])[0] if named else parts[0]
    return FieldType(base, optional, 0 if parts[-1] is Ellipsis else len(parts), named=named)


def convert(field: Field, value: Any, where: str) -> Any:
    """`value` (text, or a YAML value) as the field's type; a UsageError beginning with `where` if it is of another."""
    kind, words = type_of(field), field.metadata["words"]
    if value is None and kind.optional:
        return None
    if isinstance(value, str) and value in words:
        return words[value]
    try:
        if kind.length is None and not kind.several:
            return _scalar(kind.base, value)
        parts = value if isinstance(value, list | tuple) else [value]
        if isinstance(value, str) and not field.metadata["repeat"]:
            parts = _items(value, kind.named) if value.strip() else []
        converted = tuple(
            part if kind.named and isinstance(part, str) and "=" in part else _scalar(kind.base, part)
            for part in parts
        )
        if (kind.several and not converted) or kind.length not in (None, 0, len(converted)):
            raise ValueError
        return converted[0] if kind.several and len(converted) == 1 else converted
    except (ValueError, OverflowError):
        expected = _EXPECTED[kind.base] + (", or several with commas" if kind.several else "")
        if kind.length is not None:
            expected = f"{kind.length or ''} comma-separated values, each {expected}".lstrip()
        raise UsageError(f"{where} {shortened(value)}: expected {', or '.join((expected, *words))}") from None


def _items(text: str, quoted: bool) -> list[str]:
    """The parts between commas; `quoted`: a part in double quotes may hold some. Raises ValueError: an open quote."""
    if not quoted:
        return [part.strip() for part in text.split(",")]
    try:
        return [part.strip() for part in next(csv.reader([text], skipinitialspace=True, strict=True))]
    except csv.Error as error:
        raise ValueError(str(error)) from None


def shortened(value: Any) -> str:
    """A value from a file for a message, short however long or deeply nested it is."""
    try:
        return repr(value) if isinstance(value, str) and len(value) <= 60 else reprlib.repr(value)
    except ValueError:  # Python refuses to print integers of thousands of digits
        return "a number of thousands of digits"


def _scalar(base: type, value: Any) -> Any:
    if base is bool and isinstance(value, str):
        value = _BOOLEANS.get(value.lower())
    if (
        not isinstance(value, str | int | float)
        or isinstance(value, bool) != (base is bool)
        or (base is int and isinstance(value, float) and value != int(value))
    ):
        raise ValueError
    converted = base(value)
    if base in (int, float) and not math.isfinite(converted):
        raise ValueError
    return converted
