"""Experiments: a question, a base configuration, and what is varied. Shipped ones are the YAML files beside this one.

format_version: 1
kind: experiment
title: Number of generators
question: How many generators should MAD-GAN have?
measure: compare                      # classifiers on test images; or score: the samples themselves
base:                                 # sections as in any --config
  data: {source: fashion-mnist, per_class: 100}
  arch: madgan
vary:                                 # every combination of these is a variant; the first one is the reference
  arch.generators: [1, 3, 5, 8]
variants:                             # or, in place of `vary`, by name
  hinge: {recipe: {loss: hinge}}
between: true                         # false: variants stand side by side, not tested
arm: generated+traditional            # measure compare: the arm that variants are compared in
metrics: [gan_test, cas]              # measure score: what is measured; variants are compared in the first
repeats: 3                            # measure score: classifiers that cas trains for each generator; default 1
quick: {compare: {seeds: 2}}          # changes to base (and another vary:) for a rehearsal with --quick
"""

import difflib
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from gangda.config import arms, catalog
from gangda.config.field_types import in_words
from gangda.config.files import Sections, check_keys, check_sections, load_yaml, merge_sections
from gangda.errors import UsageError

SUFFIX = ".yaml"
MEASURES = ("compare", "score")
KEYS = (
    "kind",
    "title",
    "question",
    "origin",
    "measure",
    "base",
    "vary",
    "variants",
    "between",
    "arm",
    "metrics",
    "repeats",
    "quick",
)
VARYING = ("vary", "variants")  # one of the two
MOST_VARIANTS = 200
MOST_REPEATS = 100
RETRAINED = "cas"  # the metric that trains a classifier on the samples


@dataclass(frozen=True)
class Variant:
    """One setting of what an experiment varies: its name, and the sections of its configuration."""

    name: str
    sections: Sections


@dataclass(frozen=True)
class Experiment:
    """An experiment as its file says it; `variants` hold base and change together, the first is the reference.

    Attributes:
        name: of a shipped one, or of the file.
        title, question, origin: for people; origin says whose question it was.
        measure: "compare" (classifiers over arms) or "score" (metrics of the samples).
        between: whether variants are tested against the first.
        arm: what variants are compared in, for "compare".
        metrics: what is measured, for "score"; variants are compared in the first.
        repeats: classifiers that "cas" trains for each generator, each from a seed of its own.
        varied: dotted keys that differ between variants.
        source: where it was read, for messages.
    """

    name: str
    title: str
    question: str
    origin: str
    measure: str
    variants: tuple[Variant, ...]
    between: bool
    arm: str
    metrics: tuple[str, ...]
    repeats: int
    varied: tuple[str, ...]
    source: str


def names() -> list[str]:
    """Of the shipped experiments."""
    files = resources.files(__package__).iterdir()
    return sorted(file.name.removesuffix(SUFFIX) for file in files if file.name.endswith(SUFFIX))


def read(name: str, quick: bool = False) -> Experiment:
    """A shipped experiment by its name, or one of the user's own by its path.

    Raises:
        UsageError: no such experiment, or one that is not made as above; the place is named.
    """
    where, text = _text_of(name)
    loaded = load_yaml(text, where)
    _check_keys(loaded, where)
    base = check_sections(loaded.get("base"), f"{where}: base")
    shorter = _quick(loaded.get("quick"), where)
    if quick:
        other = {key: shorter.pop(key) for key in VARYING if key in shorter}
        loaded = {**{key: loaded[key] for key in loaded if not other or key not in VARYING}, **other}
        _check_keys(loaded, where)
        base = merge_sections(base, check_sections(shorter, f"{where}: quick"))
    changes = _changes(loaded, where)
    experiment = Experiment(
        name=Path(name).stem,
        title=_words(loaded.get("title"), f"{where}: title"),
        question=_words(loaded.get("question"), f"{where}: question"),
        origin=_words(loaded["origin"], f"{where}: origin") if "origin" in loaded else "",
        measure=_one_of(loaded.get("measure", "compare"), MEASURES, f"{where}: measure"),
        variants=tuple(Variant(name, merge_sections(base, change)) for name, change in changes.items()),
        between=_flag(loaded.get("between", True), f"{where}: between"),
        arm=_words(loaded.get("arm", "generated+traditional"), f"{where}: arm"),
        metrics=_names(loaded.get("metrics", ["gan_test"]), f"{where}: metrics"),
        repeats=_repeats(loaded.get("repeats", 1), f"{where}: repeats"),
        varied=tuple(dict.fromkeys(key for change in changes.values() for key in _dotted(change))),
        source=where,
    )
    _check_measure(experiment)
    return experiment


def _text_of(name: str) -> tuple[str, str]:
    """Where an experiment is, and what it says."""
    if name in names():
        return name, resources.files(__package__).joinpath(name + SUFFIX).read_text(encoding="utf-8")
    path = Path(name)
    if not path.is_file():
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(names())}, or give a file"
        raise UsageError(f"--experiment {name}: no such experiment; {hint}")
    try:
        return str(path), path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(f"--experiment {path}: cannot be read ({error})") from None


def _check_keys(loaded: Mapping[str, Any], where: str) -> None:
    check_keys(loaded, KEYS, where, "")
    if loaded.get("kind") != "experiment":
        raise UsageError(f"{where}: not an experiment: it must say kind: experiment")
    if ("vary" in loaded) == ("variants" in loaded):
        raise UsageError(f"{where}: give either vary: (keys and their values) or variants: (by name)")


def _quick(value: Any, where: str) -> dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise UsageError(f"{where}: quick: expected sections such as budget:, or another vary:")
    return dict(value or {})


def _changes(loaded: Mapping[str, Any], where: str) -> dict[str, Sections]:
    """What each variant changes, by its name."""
    if "variants" in loaded:
        named = _mapping(loaded["variants"], f"{where}: variants")
        _refuse_many(len(named), where)
        changes = {_words(str(name), f"{where}: variants: {in_words(name)}"): named[name] for name in named}
        if len(changes) < len(named):
            raise UsageError(f"{where}: variants: a name is there twice")
        return {name: check_sections(change, f"{where}: {name}") for name, change in changes.items()}
    return _combinations(_mapping(loaded["vary"], f"{where}: vary"), where)


def _refuse_many(count: int, where: str) -> None:
    if count > MOST_VARIANTS:
        raise UsageError(f"{where}: {count} variants; give 1 to {MOST_VARIANTS}")


def _combinations(vary: Mapping[str, Any], where: str) -> dict[str, Sections]:
    """Every combination of the values, named by what differs: "generators=3, loss=hinge"."""
    for key, values in vary.items():
        if str(key).count(".") != 1 or not isinstance(values, list) or not values:
            raise UsageError(f"{where}: vary: {in_words(key)}: expected section.option and a list of values")
    _refuse_many(math.prod(map(len, vary.values())), where)
    found: dict[str, Sections] = {}
    for values in itertools.product(*vary.values()):
        sections: Sections = {}
        for key, value in zip(vary, values, strict=True):
            section, option = str(key).split(".")
            sections = merge_sections(sections, {section: {option: value}})
        name = ", ".join(f"{str(key).split('.')[1]}={_short(v)}" for key, v in zip(vary, values, strict=True))
        name = _words(name, f"{where}: vary: {in_words(name)}")
        if name in found:
            raise UsageError(f"{where}: vary: {in_words(name)} is there twice; give each value once")
        found[name] = check_sections(sections, f"{where}: {name}")
    return found


def _short(value: Any) -> str:
    return "+".join(str(part) for part in value) if isinstance(value, list) else str(value)


def _check_measure(experiment: Experiment) -> None:
    if experiment.measure == "compare":
        arms.find(experiment.arm)
    for metric in experiment.metrics:
        catalog.lookup("metric", catalog.METRICS, metric)
    if experiment.repeats > 1 and (experiment.measure != "score" or RETRAINED not in experiment.metrics):
        raise UsageError(
            f"{experiment.source}: repeats: are of {RETRAINED} with measure: score; leave them out"
        )


def _dotted(sections: Sections) -> list[str]:
    return [f"{section}.{key}" for section, values in sections.items() for key in values]


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not value:
        raise UsageError(f"{where}: expected names and values")
    return value


def _words(value: Any, where: str) -> str:
    """Text on one line, that can be printed."""
    text = " ".join(value.split()) if isinstance(value, str) else ""
    if not text.isprintable() or not text:
        raise UsageError(f"{where}: say it in words")
    return text


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{where}: {in_words(value)}: expected true or false")
    return value


def _repeats(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_REPEATS:
        raise UsageError(f"{where}: {in_words(value)}: expected a number of classifiers, 1 to {MOST_REPEATS}")
    return value


def _names(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
        raise UsageError(f"{where}: {in_words(value)}: expected a list of names")
    if len(set(value)) < len(value):
        raise UsageError(f"{where}: {in_words(value)}: give each name once")
    return tuple(value)


def _one_of(value: Any, known: Sequence[str], where: str) -> str:
    if value not in known:
        raise UsageError(
            f"{where}: {value if isinstance(value, str) else in_words(value)}: choose from {', '.join(known)}"
        )
    return str(value)
