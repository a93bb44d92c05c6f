"""Experiments: a question, a base configuration, and what is varied; `comparing/README.md` has their form."""

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gangda.config import arms, catalog
from gangda.config.fields import shortened
from gangda.config.files import Sections, check_keys, check_sections, load_yaml, merge_sections
from gangda.config.shipped import Shipped
from gangda.errors import UsageError

FILES = Shipped(__name__, ".yaml", "experiment", "--experiment")
names = FILES.names
MEASURES = ("compare", "score")
VARYING = ("vary", "variants")  # one of the two
MOST_VARIANTS = 200
MOST_REPEATS = 100
RETRAINED = "cas"  # the metric that trains a classifier on the samples


@dataclass(frozen=True)
class Experiment:
    """A sweep over settings, as its file describes it."""

    name: str
    source: str  # where it was read, for messages
    variants: Mapping[str, Sections]  # base and change together, by name; the first is the reference
    varied: tuple[str, ...]  # dotted keys that differ between variants
    title: str
    question: str
    origin: str
    measure: str
    between: bool
    arm: str
    metrics: tuple[str, ...]
    repeats: int


def read(name: str, quick: bool = False) -> Experiment:
    """A shipped experiment by its name, or one's own by its path; a UsageError names what is wrong in it."""
    where, text = FILES.find(name)
    loaded = load_yaml(text, where)
    _check_keys(loaded, where)
    base = check_sections(loaded.get("base"), f"{where}: base")
    shorter = loaded.get("quick") or {}
    if not isinstance(shorter, dict):
        raise UsageError(f"{where}: quick: expected sections such as budget:, or another vary:")
    if quick:
        other = {key: shorter[key] for key in VARYING if key in shorter}
        loaded = {**{key: loaded[key] for key in loaded if not other or key not in VARYING}, **other}
        _check_keys(loaded, where)
        shorter = {key: value for key, value in shorter.items() if key not in VARYING}
        base = merge_sections(base, check_sections(shorter, f"{where}: quick"))
    changes = _named_variants(loaded, where) if "variants" in loaded else _combinations(loaded, where)
    keys = (f"{section}.{key}" for one in changes.values() for section in one for key in one[section])
    experiment = Experiment(
        name=Path(name).stem,
        source=where,
        variants={name: merge_sections(base, change) for name, change in changes.items()},
        varied=tuple(dict.fromkeys(keys)),
        **{name: _field(loaded, name, where) for name in FIELDS},
    )
    if experiment.measure == "compare":
        arms.parse_arm(experiment.arm)
    for metric in experiment.metrics:
        catalog.lookup("metric", catalog.METRICS, metric)
    if experiment.repeats > 1 and (experiment.measure != "score" or RETRAINED not in experiment.metrics):
        raise UsageError(f"{where}: repeats: are of {RETRAINED} with measure: score; leave them out")
    return experiment


def _check_keys(loaded: Mapping[str, Any], where: str) -> None:
    check_keys(loaded, ("kind", "base", *VARYING, "quick", *FIELDS), where, "")
    if loaded.get("kind") != "experiment":
        raise UsageError(f"{where}: not an experiment: it must say kind: experiment")
    if ("vary" in loaded) == ("variants" in loaded):
        raise UsageError(f"{where}: give either vary: (keys and their values) or variants: (by name)")


def _named_variants(loaded: Mapping[str, Any], where: str) -> dict[str, Sections]:
    named = _mapping(loaded["variants"], f"{where}: variants")
    if len(named) > MOST_VARIANTS:
        raise UsageError(f"{where}: {len(named)} variants; give 1 to {MOST_VARIANTS}")
    changes = {_text(str(name), f"{where}: variants: {shortened(name)}"): named[name] for name in named}
    if len(changes) < len(named):
        raise UsageError(f"{where}: variants: a name is there twice")
    return {name: check_sections(change, f"{where}: {name}") for name, change in changes.items()}


def _combinations(loaded: Mapping[str, Any], where: str) -> dict[str, Sections]:
    """Every combination of the values of `vary`, named by what differs: "generators=3, loss=hinge"."""
    vary = _mapping(loaded["vary"], f"{where}: vary")
    for key, values in vary.items():
        if str(key).count(".") != 1 or not isinstance(values, list) or not values:
            raise UsageError(f"{where}: vary: {shortened(key)}: expected section.option and a list of values")
    if (count := math.prod(map(len, vary.values()))) > MOST_VARIANTS:
        raise UsageError(f"{where}: {count} variants; give 1 to {MOST_VARIANTS}")
    found: dict[str, Sections] = {}
    for values in itertools.product(*vary.values()):
        sections: Sections = {}
        words = []
        for key, value in zip(vary, values, strict=True):
            section, option = str(key).split(".")
            sections = merge_sections(sections, {section: {option: value}})
            words.append(f"{option}={'+'.join(map(str, value)) if isinstance(value, list) else value}")
        name = _text(", ".join(words), f"{where}: vary: {shortened(', '.join(words))}")
        if name in found:
            raise UsageError(f"{where}: vary: {shortened(name)} is there twice; give each value once")
        found[name] = check_sections(sections, f"{where}: {name}")
    return found


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not value:
        raise UsageError(f"{where}: expected names and values")
    return value


def _text(value: Any, where: str) -> str:
    text = " ".join(value.split()) if isinstance(value, str) else ""
    if not text.isprintable() or not text:
        raise UsageError(f"{where}: say it in words")
    return text


def _field(loaded: Mapping[str, Any], name: str, where: str) -> Any:
    default, fits, expected = FIELDS[name]
    if name not in loaded and default is not None:
        return default
    value = loaded.get(name)
    if not expected:
        return _text(value, f"{where}: {name}")
    if not fits(value):
        raise UsageError(f"{where}: {name}: {shortened(value)}: expected {expected}")
    return tuple(value) if isinstance(value, list) else value


# Fields of `Experiment` that the file gives as they are: their default (None: required), their check, and what it
# expects (empty: text).
FIELDS: Mapping[str, tuple[Any, Callable[[Any], bool], str]] = {
    "title": (None, bool, ""),
    "question": (None, bool, ""),
    "origin": ("", bool, ""),
    "measure": ("compare", lambda value: value in MEASURES, " or ".join(MEASURES)),
    "between": (True, lambda value: isinstance(value, bool), "true or false"),
    "arm": ("generated+traditional", bool, ""),
    "metrics": (
        ("gan_test",),
        lambda value: (
            isinstance(value, list)
            and all(isinstance(name, str) for name in value)
            and 0 < len(value) == len(set(value))
        ),
        "a list of names, each once",
    ),
    "repeats": (
        1,
        lambda value: type(value) is int and 1 <= value <= MOST_REPEATS,
        f"a number of classifiers, 1 to {MOST_REPEATS}",
    ),
}
