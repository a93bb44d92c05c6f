"""What a configuration field is: a dataclass field that is also a command-line option, and checks itself.

A field is declared with `option(default, help)`; the flag is the field's name with dashes unless `flag` says
otherwise. `minimum` and `maximum` are inclusive and are checked when the value is set, whatever it came from.
"""

import dataclasses
import difflib
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

from gangda.errors import UsageError

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

    `words` are what can be typed in place of a value, and the values that they stand for.
    """
    limits = {"minimum": minimum, "maximum": maximum, "choices": choices, "pattern": pattern, "words": words}
    metadata = {"help": help, "flag": flag, "repeat": repeat, **limits}
    return dataclasses.field(default=default, metadata=metadata)


def flag_of(field: "dataclasses.Field[Any]") -> str:
    """The long flag of a field, such as `--per-class`."""
    return str(field.metadata.get("flag") or "--" + field.name.replace("_", "-"))


def variable_of(flag: str) -> str:
    """The environment variable of a flag, such as `GANGDA_PER_CLASS` for `--per-class`."""
    return "GANGDA_" + flag[2:].replace("-", "_").upper()


class Checked:
    """Base of the configurations: checks values against their fields' limits, and which exclude each other."""

    exclusive: ClassVar[tuple[tuple[str, ...], ...]] = ()

    def __post_init__(self) -> None:
        fields = {field.name: field for field in dataclasses.fields(self)}  # type: ignore[arg-type]
        for name, field in fields.items():
            _check(field, getattr(self, name))
        for group in self.exclusive:
            given = [flag_of(fields[name]) for name in group if is_given(getattr(self, name))]
            if len(given) > 1:
                raise UsageError(f"{' and '.join(given)} exclude each other: give one of them")


def from_plain(kind: type[T], values: Mapping[str, Any]) -> T:
    """A configuration from plain values by field name, as JSON gives them back: its lists are tuples here."""
    return kind(
        **{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    )


def is_given(value: Any) -> bool:
    """Whether an option that excludes others has been asked for."""
    return value is not None and value is not False


def _check(field: "dataclasses.Field[Any]", value: Any) -> None:
    if value is None:
        return
    flag, meta = flag_of(field), field.metadata
    parts = value if isinstance(value, tuple) else (value,)
    for part in parts:
        if meta.get("choices") and part not in meta["choices"]:
            near = difflib.get_close_matches(str(part), meta["choices"], n=1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise UsageError(f"{flag} {part}: {hint}choose from {', '.join(meta['choices'])}")
        if meta.get("pattern") and not re.fullmatch(meta["pattern"], str(part)):
            raise UsageError(f"{flag} {part}: not of the right form: {meta['help']}")
    for number in parts:
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        low, high = meta.get("minimum"), meta.get("maximum")
        if number != number or (low is not None and number < low) or (high is not None and number > high):
            bounds = f"at least {low:g}" if high is None else f"between {low:g} and {high:g}"
            raise UsageError(f"{flag} {number}: must be {bounds}")
