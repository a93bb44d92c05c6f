"""Which differences an experiment tests, and how the error of testing several is kept at alpha."""

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gangda.errors import UsageError
from gangda.statistics.signflip import passes

Terms = tuple[tuple[str, int], ...]  # (arm, sign) of a contrast

# The usual differences: a treated arm and its control, in the order in which they are tested.
PRIMARY: Sequence[tuple[str, str]] = (
    ("generated-unlabelled+traditional", "pseudo-labelled+traditional"),
    ("generated+traditional", "traditional"),
    ("generated", "real"),
    ("generated", "traditional"),
)
EXPLORATORY: Mapping[str, Terms] = {
    "traditional - real": (("traditional", 1), ("real", -1)),
    "interaction": (("generated+traditional", 1), ("traditional", -1), ("generated", -1), ("real", 1)),
}


@dataclass(frozen=True)
class Family:
    """What is tested, in order, and what is only shown."""

    primary: Mapping[str, Terms]  # differences with a p; `procedure` keeps the family's error rate
    exploratory: Mapping[str, Terms]  # differences without a p
    procedure: str = "sequence"  # a key of `PROCEDURES`


@dataclass(frozen=True)
class Adjusted:
    """A contrast's p in its family: None where it was not tested; `level` is that of its interval."""

    p: float | None
    adjusted: float | None
    level: float


def family_of(arms: Sequence[str], contrasts: Sequence[str] = (), procedure: str = "sequence") -> Family:
    """The family of an experiment: the usual contrasts of these arms, or those asked for ("A - B").

    Where an arm of a usual contrast is there with an amount or an architecture of its own only (`ARM:25%`,
    `ARM@flow`), it is that of each such arm. Arms that no contrast mentions are shown against `real`, without p.

    Raises:
        UsageError: a contrast that is not of two of the arms, or is there twice.
    """
    primary = dict(_terms_of(text, arms) for text in contrasts) if contrasts else _usual(arms)
    pairs = [frozenset(arm for arm, _ in terms) for terms in primary.values()]
    if contrasts and len(set(pairs)) < len(contrasts):
        raise UsageError("--contrast: two of them are the same difference; give each once, in one direction")
    shown = {
        name: terms
        for name, terms in EXPLORATORY.items()
        if name not in primary and all(arm in arms for arm, _ in terms)
    }
    mentioned = {arm for terms in [*primary.values(), *shown.values()] for arm, _ in terms}
    if "real" in arms:
        rest = [arm for arm in arms if arm not in mentioned and arm != "real"]
        shown.update({f"{arm} - real": ((arm, 1), ("real", -1)) for arm in rest})
    return Family(primary, shown, procedure)


def _usual(arms: Sequence[str]) -> dict[str, Terms]:
    found: dict[str, Terms] = {}
    for treated, control in PRIMARY:
        for first, second in itertools.product(_forms(treated, arms), _forms(control, arms)):
            found[f"{first} - {second}"] = ((first, 1), (second, -1))
    return found


def _forms(name: str, arms: Sequence[str]) -> list[str]:
    """The arm itself, or else those that are it with an amount or an architecture of their own."""
    return [name] if name in arms else [arm for arm in arms if re.split("[:@]", arm)[0] == name]


def _terms_of(text: str, arms: Sequence[str]) -> tuple[str, Terms]:
    first, _, second = (part.strip() for part in text.partition(" - "))
    for arm in (first, second):
        if arm not in arms:
            raise UsageError(
                f"--contrast '{text}': '{arm}' is none of the arms {', '.join(arms)}; write it as 'ARM - ARM'"
            )
    if first == second:
        raise UsageError(f"--contrast '{text}': an arm does not differ from itself; name two")
    return f"{first} - {second}", ((first, 1), (second, -1))


def in_sequence(values: Sequence[float], alpha: float) -> list[Adjusted]:
    """A fixed sequence, each at alpha while all before were decided; adjusted p is the largest so far (Maurer 1995)."""
    found: list[Adjusted] = []
    gate, largest = True, 0.0
    for p in values:
        largest = max(largest, p)
        found.append(Adjusted(p, largest, alpha) if gate else Adjusted(None, None, alpha))
        gate = gate and passes(largest, alpha)
    return found


def by_holm(values: Sequence[float], alpha: float) -> list[Adjusted]:
    """Holm's step-down p (1979); an interval leaves out zero exactly where its adjusted p is at most alpha."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    found: list[Adjusted | None] = [None] * len(values)
    largest, level = 0.0, alpha
    for rank, i in enumerate(order):
        steps = len(values) - rank
        if passes(largest, alpha):
            level = alpha / steps
        largest = max(largest, min(1.0, steps * values[i]))
        found[i] = Adjusted(values[i], largest, level)
    return [one for one in found if one is not None]


def untested(values: Sequence[float], alpha: float) -> list[Adjusted]:
    """No p at all."""
    return [Adjusted(None, None, alpha)] * len(values)


@dataclass(frozen=True)
class Procedure:
    """A way to keep the family's error rate: in words, and by which p are adjusted."""

    words: str
    adjust: Callable[[Sequence[float], float], list[Adjusted]]


PROCEDURES: Mapping[str, Procedure] = {
    "sequence": Procedure("fixed sequence, each at alpha", in_sequence),
    "holm": Procedure("Holm's step-down procedure", by_holm),
    "exploratory": Procedure("none", untested),
}


def first_level(family: Family, alpha: float) -> float:
    """The level that the smallest p must reach for anything to be decided."""
    return alpha / max(1, len(family.primary)) if family.procedure == "holm" else alpha
