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
quick: {compare: {seeds: 2}}          # changes to base (and another vary:) for a rehearsal with --quick
"""

import difflib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from gangda import arms, catalog
from gangda.config_files import Sections, check_keys, check_sections, load_yaml, merge_sections
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
    "quick",
)
MOST_VARIANTS = 200


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
    if quick:
        shorter = dict(loaded.get("quick") or {})
        loaded = {**loaded, **{key: shorter.pop(key) for key in ("vary", "variants") if key in shorter}}
        base = merge_sections(base, check_sections(shorter, f"{where}: quick"))
    changes = _changes(loaded, where)
    experiment = Experiment(
        name=Path(name).stem,
        title=_words(loaded, "title", where),
        question=_words(loaded, "question", where),
        origin=str(loaded.get("origin", "")),
        measure=_one_of(loaded.get("measure", "compare"), MEASURES, f"{where}: measure"),
        variants=tuple(Variant(name, merge_sections(base, change)) for name, change in changes.items()),
        between=loaded.get("between", True) is not False,
        arm=str(loaded.get("arm", "generated+traditional")),
        metrics=tuple(loaded.get("metrics", ("gan_test",))),
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


def _changes(loaded: Mapping[str, Any], where: str) -> dict[str, Sections]:
    """What each variant changes, by its name."""
    if "variants" in loaded:
        named = _mapping(loaded["variants"], f"{where}: variants")
        changes = {str(name): check_sections(change, f"{where}: {name}") for name, change in named.items()}
    else:
        changes = _combinations(_mapping(loaded["vary"], f"{where}: vary"), where)
    if not 1 <= len(changes) <= MOST_VARIANTS:
        raise UsageError(f"{where}: {len(changes)} variants; give 1 to {MOST_VARIANTS}")
    return changes


def _combinations(vary: Mapping[str, Any], where: str) -> dict[str, Sections]:
    """Every combination of the values, named by what differs: "generators=3, loss=hinge"."""
    for key, values in vary.items():
        if str(key).count(".") != 1 or not isinstance(values, list) or not values:
            raise UsageError(f"{where}: vary: {key}: expected section.option and a list of values")
    found: dict[str, Sections] = {}
    for values in itertools.product(*vary.values()):
        sections: Sections = {}
        for key, value in zip(vary, values, strict=True):
            section, option = str(key).split(".")
            sections = merge_sections(sections, {section: {option: value}})
        name = ", ".join(f"{str(key).split('.')[1]}={_short(v)}" for key, v in zip(vary, values, strict=True))
        found[name] = check_sections(sections, f"{where}: {name}")
    return found


def _short(value: Any) -> str:
    return "+".join(str(part) for part in value) if isinstance(value, list) else str(value)


def _check_measure(experiment: Experiment) -> None:
    if experiment.measure == "compare":
        arms.find(experiment.arm)
    for metric in experiment.metrics:
        catalog.lookup("metric", catalog.METRICS, metric)


def _dotted(sections: Sections) -> list[str]:
    return [f"{section}.{key}" for section, values in sections.items() for key in values]


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not value:
        raise UsageError(f"{where}: expected names and values")
    return value


def _words(loaded: Mapping[str, Any], key: str, where: str) -> str:
    if not isinstance(loaded.get(key), str) or not loaded[key].strip():
        raise UsageError(f"{where}: {key}: say it in words")
    return str(loaded[key]).strip()


def _one_of(value: Any, known: Sequence[str], where: str) -> str:
    if value not in known:
        raise UsageError(f"{where}: {value}: choose from {', '.join(known)}")
    return str(value)
