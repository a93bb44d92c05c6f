"""What a comparison will do, fixed and hashed before its first cell runs: `plan.json`."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gangda.classifying import custom
from gangda.comparing.analyses import planned_analyses
from gangda.comparing.arm_sets import check, train_config
from gangda.config import resolve
from gangda.config.arms import parse_arm
from gangda.config.schema import AUTO, ComparisonConfig, Runtime
from gangda.data.paths import identified
from gangda.runtime.device import device_called, pick_device, pick_dtype
from gangda.statistics.families import PROCEDURES, family_of, first_level
from gangda.statistics.signflip import EXACT_UP_TO, stated_power
from gangda.statistics.verdicts import margin_rule

OWNER = "a comparison"
PROTOCOL = 9  # raise it when cells of the same configuration would come out otherwise


@dataclass(frozen=True)
class Cell:
    """One replicate of the whole pipeline: its place in the plan, its seed, and its identity."""

    index: int
    seed: int
    id: str


@dataclass(frozen=True)
class ComparisonPlan:
    """The plan of a comparison."""

    config: ComparisonConfig  # fully resolved: device, precision and threads are those that will be used
    fingerprint: str  # of the source
    run: Path | None  # a run folder whose generator all cells share, or None: each cell trains its own
    fixed: dict[str, Any]  # plain values that may not change once the folder exists
    cells: tuple[Cell, ...]  # one for each seed
    extensions: tuple[int, ...] = ()  # earlier numbers of seeds, where some were added later
    alarms: tuple[str, ...] = ()  # about the data, for the report's notes
    seen: tuple[str, ...] = ()  # what else is in the data, for the terminal

    @property
    def hash(self) -> str:
        """Identity of what is fixed."""
        return digest(self.fixed)

    @property
    def judging(self) -> dict[str, Any]:
        """How the cells are judged, fixed before the first one runs: `n` leaves out seeds added later."""
        compare = self.config.compare
        return {
            **self.fixed["family"],
            "n": self.extensions[0] if self.extensions else len(self.cells),
            "score_by": compare.score_by,
            "alpha": compare.alpha,
            "margin": compare.margin,
            "margin_rule": margin_rule(compare.margin),
        }

    @property
    def judging_hash(self) -> str:
        """Identity of how the cells are judged."""
        return digest(self.judging)

    @property
    def level(self) -> float:
        """What the smallest p of the family must reach for anything to be decided."""
        compare = self.config.compare
        return first_level(family_of(compare.arms, compare.contrast, compare.multiplicity), compare.alpha)

    @property
    def power(self) -> list[dict[str, float | None]]:
        """What so many seeds can find, for several spreads of the differences."""
        return stated_power(len(self.cells), self.level)

    def as_dict(self) -> dict[str, Any]:
        """The content of `plan.json`."""
        return {
            "kind": f"plan of {OWNER}",
            "hash": self.hash,
            "fixed": self.fixed,
            "judging": self.judging,
            "judging_hash": self.judging_hash,
            "seeds": len(self.cells),
            "power": self.power,
            "extensions": list(self.extensions),
            "cells": [dataclasses.asdict(cell) for cell in self.cells],
        }


def make_plan(
    config: ComparisonConfig,
    fingerprint: str,
    run: Path | None,
    card: Mapping[str, Any] | None,
    unlabelled: str = "",
) -> ComparisonPlan:
    """Plan the cells; a UsageError for what cannot be compared.

    `card` describes the generator in `run`; `unlabelled` is the hash of a folder of unlabelled images, if there is one.
    """
    check(config)
    config = dataclasses.replace(config, runtime=resolve_runtime(config.runtime))
    fixed, first = _fixed(config, fingerprint, card, unlabelled), config.runtime.seed
    identity = identity_of(fixed)
    seeds = enumerate(range(first, first + config.compare.seeds))
    cells = tuple(Cell(index, seed, digest({**identity, "seed": seed})) for index, seed in seeds)
    return ComparisonPlan(config, fingerprint, run, fixed, cells)


def resolve_runtime(runtime: Runtime) -> Runtime:
    """The device, precision and threads to use; one thread by default: small networks gain more from more cells.

    A device that is named need not be here: plans are made and judged on other nodes than those that run cells.
    """
    device = pick_device(AUTO) if runtime.device == AUTO else device_called(runtime.device)
    precision = "fp32" if pick_dtype(runtime.precision, device).itemsize == 4 else "bf16"
    return dataclasses.replace(runtime, device=str(device), precision=precision, threads=runtime.threads or 1)


def digest(value: Any) -> str:
    """Hex SHA-256 (first 16 digits) of plain values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _fixed(
    config: ComparisonConfig, fingerprint: str, card: Mapping[str, Any] | None, unlabelled: str
) -> dict[str, Any]:
    named = identified(config.data, fingerprint, unlabelled)
    sections = resolve.as_mapping(dataclasses.replace(config, data=named))
    del sections["compare"]["seeds"]  # the one thing that may grow
    del sections["data"]["download"]
    family = family_of(config.compare.arms, config.compare.contrast, config.compare.multiplicity)
    classifier, seed = config.classifier.classifier, config.runtime.seed
    archs = sorted({arch for _, arch in map(parse_arm, config.compare.arms) if arch is not None})
    others = {arch: train_config(config, arch, seed) for arch in archs}
    return {
        **sections,
        # A user's own classifier: its code may change under its name.
        **({"code": {classifier: digest(custom.code_of(classifier))}} if ":" in classifier else {}),
        "fingerprint": fingerprint,
        **({"unlabelled": unlabelled} if unlabelled else {}),
        "protocol": PROTOCOL,
        "run": None if card is None else dict(card),
        "others": {
            arch: {name: dataclasses.asdict(getattr(one, name)) for name in ("spec", "recipe", "method")}
            for arch, one in others.items()
        },
        "analyses": {name: dict(one.fixed) for name, one in planned_analyses(config).items() if one.fixed},
        "family": {
            "primary": list(family.primary),
            "procedure": PROCEDURES[family.procedure].words,
            "exploratory": list(family.exploratory),
            "test": f"sign-flip, exact to n = {EXACT_UP_TO}",
            "equivalence": "TOST at each contrast's margin, by the same procedure",
            "beyond the test set": "crossed seeds and test images, t with Satterthwaite's degrees of freedom",
        },
    }


def identity_of(fixed: Mapping[str, Any]) -> dict[str, Any]:
    """What determines a cell's numbers: all that is fixed but the judging and the first seed."""
    judging = ("alpha", "margin", "contrast", "multiplicity")
    compare = {key: value for key, value in fixed["compare"].items() if key not in judging}
    runtime = {key: value for key, value in fixed["runtime"].items() if key != "seed"}
    kept = {key: value for key, value in fixed.items() if key != "family"}
    return {**kept, "compare": compare, "runtime": runtime}
