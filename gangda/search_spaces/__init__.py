"""A search space: the options that `gangda tune` varies and their values, read from YAML and checked."""

import itertools
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gangda.config.architectures import spec_class
from gangda.config.fields import Field, convert, shortened, type_of
from gangda.config.files import Sections, check_keys, check_sections, load_yaml, merge_sections, options_of
from gangda.config.shipped import Shipped
from gangda.errors import UsageError

FILES = Shipped(__name__, ".yaml", "search space", "--space")
names = FILES.names
VARIED = ("arch", "recipe", "method", "budget")  # sections whose options may vary
NOT_VARIED = {
    "budget.minutes": "a time has no steps to score a trial at",
    "budget.checkpoint_every": "it changes no weights",
    "budget.stop_when_collapsed": "a trial ends when its samples collapse",
}
RANGE = ("low", "high", "log", "step")
MOST_COMBINATIONS = 10_000

Params = Mapping[str, Any]  # values by dotted key, as in "recipe.lr"


@dataclass(frozen=True)
class Choice:
    """An option with some values to choose from; by the texts that trials and tables show."""

    key: str
    values: Mapping[str, Any]

    def ends(self) -> tuple[Any, ...]:
        """All values: if these are valid, every one is."""
        return tuple(self.values.values())


@dataclass(frozen=True)
class Range:
    """A number between `low` and `high`, both included."""

    key: str
    low: float
    high: float
    log: bool
    step: float | None
    whole: bool

    def ends(self) -> tuple[Any, ...]:
        """Smallest and largest value."""
        return self.low, self.high


Dimension = Choice | Range


@dataclass(frozen=True)
class SearchSpace:
    """A search space, as its file describes it."""

    name: str
    source: str  # where it was read, for messages
    title: str
    origin: str
    base: Sections
    dimensions: tuple[Dimension, ...]

    @property
    def combinations(self) -> int | None:
        """How many there are; None where one dimension is a range."""
        sizes = [len(one.values) if isinstance(one, Choice) else None for one in self.dimensions]
        return None if None in sizes else math.prod(size for size in sizes if size)

    def refuse_varied(self, typed: Collection[str]) -> None:
        """A UsageError for an option that is typed, as in "recipe.lr", and that the space varies itself."""
        options = any(name.startswith("arch.") for name in typed)
        for key in (one.key for one in self.dimensions):
            if key in typed or (key == "arch.name" and options):
                raise UsageError(f"--space {self.name} varies {key} itself; leave that flag out")

    def first(self) -> dict[str, Any]:
        """The first value of every choice and the smallest of every range."""
        return {one.key: one.ends()[0] for one in self.dimensions}

    def last(self) -> dict[str, Any]:
        """The last value of every choice and the largest of every range."""
        return {one.key: one.ends()[-1] for one in self.dimensions}

    def grid(self) -> Iterator[dict[str, Any]]:
        """Every combination, as trials name the values; a UsageError where one dimension is a range."""
        for one in self.dimensions:
            if isinstance(one, Range):
                raise UsageError(
                    f"{self.source}: {one.key} is a range, and --search grid needs a list of values"
                )
        texts = [list(one.values) for one in self.dimensions if isinstance(one, Choice)]
        for values in itertools.product(*texts):
            yield dict(zip((one.key for one in self.dimensions), values, strict=True))

    def values_of(self, params: Params) -> dict[str, Any]:
        """The options' values of a trial, whose choices are texts."""
        dimensions = {one.key: one for one in self.dimensions}
        return {
            key: one.values[params[key]] if isinstance(one, Choice) else params[key]
            for key, one in dimensions.items()
        }

    def sections(self, values: Params, arch: str) -> Sections:
        """The configuration of a trial; where architectures vary, without the options that this one does not have."""
        arch = values.get("arch.name", arch)
        found: Sections = {}
        for key, value in values.items():
            section, option = key.split(".")
            if "arch.name" not in values or belongs(key, arch):
                found = merge_sections(found, {section: {option: value}})
        return merge_sections({"arch": {"name": arch}}, found)


def belongs(key: str, arch: str) -> bool:
    """Whether an architecture, or its method, has the option with this dotted key."""
    section, option = key.split(".")
    owners = options_of(section)[option]
    return bool({"", arch, spec_class(arch).method} & set(owners))


def read(name: str) -> SearchSpace:
    """A shipped search space by its name, or one's own by its path; a UsageError names what is wrong in it."""
    where, text = FILES.find(name)
    loaded = load_yaml(text, where)
    check_keys(loaded, ("kind", "title", "origin", "base", "space"), where, "")
    if loaded.get("kind") != "search space":
        raise UsageError(f"{where}: not a search space: it must say kind: search space")
    given = loaded.get("space")
    if not isinstance(given, dict) or not given:
        raise UsageError(f"{where}: space: expected options such as recipe.lr, each with its values")
    space = SearchSpace(
        name=Path(name).stem,
        source=where,
        title=_text(loaded, "title", where),
        origin=_text(loaded, "origin", where),
        base=check_sections(loaded.get("base"), f"{where}: base"),
        dimensions=tuple(_dimension(key, value, where) for key, value in given.items()),
    )
    if (count := space.combinations or 0) > MOST_COMBINATIONS:
        raise UsageError(f"{where}: {count:,} combinations; at most {MOST_COMBINATIONS:,}")
    return space


def _text(loaded: Mapping[str, Any], key: str, where: str) -> str:
    value = loaded.get(key, "")
    if not isinstance(value, str) or (not value.replace("\n", " ").isprintable() and value):
        raise UsageError(f"{where}: {key}: say it in words")
    return " ".join(value.split())


def _dimension(key: Any, value: Any, where: str) -> Dimension:
    section, dot, option = str(key).partition(".")
    if not dot:
        raise UsageError(f"{where}: space: {shortened(key)}: expected section.option, as in recipe.lr")
    check_keys([section], VARIED, where, "space: ")
    check_sections({section: {option: None}}, f"{where}: space")
    if section == "arch":
        check_keys([option], options_of("arch"), f"{where}: space", "arch.")
    if key in NOT_VARIED:
        raise UsageError(f"{where}: space: {key} cannot vary: {NOT_VARIED[key]}")
    field, place = next(iter(options_of(section)[option].values())), f"{where}: space: {key}"
    if isinstance(value, dict):
        return _range(key, field, value, place)
    if not isinstance(value, list) or not value:
        raise UsageError(f"{place}: expected a list of values, or low: and high:")
    choices = {_label(each): convert(field, each, place) for each in value}
    if len(choices) < len(value):
        raise UsageError(f"{place}: a value is there twice")
    return Choice(key, choices)


def _label(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)


def _range(key: str, field: Field, given: Mapping[str, Any], place: str) -> Range:
    check_keys(given, RANGE, place, "")
    kind = type_of(field)
    if kind.base not in (int, float) or kind.length is not None:
        raise UsageError(f"{place}: is no number; give a list of values")
    if not {"low", "high"} <= given.keys():
        raise UsageError(f"{place}: a range needs low: and high:")
    low, high = (convert(field, given[name], f"{place}: {name}") for name in ("low", "high"))
    log, step = given.get("log", False), given.get("step")
    if not isinstance(log, bool):
        raise UsageError(f"{place}: log: expected true or false")
    if not low < high or (log and low <= 0):
        raise UsageError(f"{place}: low must be below high{' and above 0' if log else ''}")
    if step is not None and (log or not isinstance(step, int | float) or isinstance(step, bool) or step <= 0):
        raise UsageError(f"{place}: step: expected a number above 0, without log")
    if step is not None and kind.base is int and not isinstance(step, int):
        raise UsageError(f"{place}: step: expected a whole number")
    return Range(key, low, high, log, step, kind.base is int)
