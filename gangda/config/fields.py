"""Options as dataclass fields: declaration, flag, environment variable, and the checks of values.

A field is declared with `option(default, help)`. `minimum` and `maximum` are inclusive; they are checked when the
value is set, whatever it came from.
"""

import dataclasses
import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

from gangda.errors import UsageError, suggestion

T = TypeVar("T")


def option(
    default: Any,
    help: str,
    *,
    flag: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    repeat: bool = False,
    pattern: str = "",
    words: Mapping[str, Any] = MappingProxyType({}),
) -> Any:
    """A dataclass field that is also an option. A tuple is typed with commas, or flag by flag (`repeat`).

    `flag` is the field's name with dashes unless it is given. `words` can be typed in place of a value; they are given
    with the values that they stand for.
    """
    limits = {"minimum": minimum, "maximum": maximum, "choices": choices, "pattern": pattern, "words": words}
    metadata = {"help": help, "flag": flag, "repeat": repeat, **limits}
    return dataclasses.field(default=default, metadata=metadata)


def fields_of(kind: Any) -> "tuple[dataclasses.Field[Any], ...]":
    """The fields of a configuration or its class, in order."""
    return dataclasses.fields(kind)


def names_of(kind: Any) -> list[str]:
    """The names of these fields."""
    return [field.name for field in dataclasses.fields(kind)]


def flag_of(field: "dataclasses.Field[Any]") -> str:
    """The long flag of a field, such as `--per-class`."""
    return field.metadata["flag"] or "--" + field.name.replace("_", "-")


def variable_of(flag: str) -> str:
    """The environment variable of a flag, such as `GANGDA_PER_CLASS` for `--per-class`."""
    return "GANGDA_" + flag[2:].replace("-", "_").upper()


class Checked:
    """Base of the configurations: checks values against their fields' limits, and which exclude each other."""

    exclusive: ClassVar[tuple[tuple[str, ...], ...]] = ()

    def __post_init__(self) -> None:
        fields = {field.name: field for field in fields_of(self)}
        for name, field in fields.items():
            value = getattr(self, name)
            for part in value if isinstance(value, tuple) else (value,):
                if part is not None:
                    _check(field, part)
        for group in self.exclusive:
            values = {name: getattr(self, name) for name in group}
            given = [
                flag_of(fields[name])
                for name, value in values.items()
                if is_given(value) and value != fields[name].default
            ]
            if len(given) > 1:
                raise UsageError(f"{' and '.join(given)} exclude each other: give one of them")


def from_plain(kind: type[T], values: Mapping[str, Any]) -> T:
    """A configuration from plain values by field name, as read from JSON: lists become tuples."""
    return kind(
        **{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    )


def is_given(value: Any) -> bool:
    """Whether an option that excludes others is in use."""
    return value is not None and value is not False and value != ()


def _check(field: "dataclasses.Field[Any]", value: Any) -> None:
    """Check a value, or one element of a tuple.

    Raises:
        UsageError: it is none of the choices, does not match the pattern, or is out of bounds.
    """
    flag, meta = flag_of(field), field.metadata
    choices = meta["choices"]
    if choices and value not in choices:
        raise UsageError(f"{flag} {value}: {suggestion(str(value), choices)}choose from {', '.join(choices)}")
    if meta["pattern"] and not re.fullmatch(meta["pattern"], str(value)):
        raise UsageError(f"{flag} {value}: not of the right form: {meta['help']}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        low = -math.inf if meta["minimum"] is None else meta["minimum"]
        high = math.inf if meta["maximum"] is None else meta["maximum"]
        if not low <= value <= high:  # NaN is not
            bounds = f"at least {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
            raise UsageError(f"{flag} {value}: must be {bounds}")
