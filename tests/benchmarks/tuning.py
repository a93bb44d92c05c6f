"""R4's nine cells, searched with pruning and as the full grid: the same winner, at which part of the training steps?

python tests/benchmarks/tuning.py tests/benchmarks/tuning.json [SEED ...]

Run by hand (ten minutes of a core for each seed). Every cell is trained to the end, and scored at the search's rungs on
the way; then `gangda tune` searches with these scores at hand, so that only what it would have trained is counted. A
paused run that goes on is bit for bit the uninterrupted one, so its numbers are those of a search of its own.

Widths are a quarter of the report's: the digits have 8 pixels a side, its images 28. "Same" means the same cell; the
regret is how much better the grid's best cell is in the figure that both are judged by.
"""

import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from environment import environment

from gangda import search_spaces
from gangda.config.files import Sections, merge_sections
from gangda.config.resolve import Settings, resolve
from gangda.config.schema import Runtime, TrainConfig
from gangda.data.loading import load_splits
from gangda.runtime.device import prepare
from gangda.runtime.progress import Reporter
from gangda.tuning import tune
from gangda.tuning.objectives import OBJECTIVES, Judge
from gangda.tuning.trial import Trainer

REPORT = search_spaces.read("r4-dropout-width")
WIDTHS = search_spaces.Choice("arch.first_width", {"16": 16, "32": 32, "64": 64})
SPACE = dataclasses.replace(REPORT, dimensions=(REPORT.dimensions[0], WIDTHS))
STEPS = 1800
SEARCHES: dict[str, dict[str, Any]] = {"as by default": {}, "--rungs 2": {"rungs": 2}}
SMALL: Sections = {  # the report's cells have 50 epochs of 60,000 images
    "data": {"source": "digits", "validation": 0.4},
    "recipe": {"batch_size": 16, "lr": 1e-3, "beta1": 0.5},
    "budget": {"epochs": None, "steps": STEPS, "checkpoint_every": "1000s"},
    "tune": {"objective": "kid", "trials": 9},
}


class Printer(Reporter):
    """Prints what a study says."""

    def line(self, text: str) -> None:
        """One line."""
        print(text, file=sys.stderr, flush=True)


def configuring(seed: int, **tuned: Any) -> Any:
    """What resolves a cell's options."""
    own = {"runtime": {"seed": seed, "threads": 1}, "tune": tuned}
    base = merge_sections(merge_sections(SPACE.base, SMALL), own)

    def configure(sections: Sections) -> Settings:
        return resolve({}, {}, ("benchmark", merge_sections(base, sections)))

    return configure


def train_grid(seed: int, out: Path) -> tuple[Trainer, dict[str, dict[int, float | None]]]:
    """What has trained every cell to the end, and the cells' scores by steps."""
    configure = configuring(seed)
    settings, objective = configure({}), OBJECTIVES[SMALL["tune"]["objective"]]
    splits, context = load_splits(settings.data, seed), prepare(settings.runtime)
    judged = (settings.classifier, settings.transforms, settings.sampler)
    judge = Judge(splits, seed, context, *judged, Printer())

    def configured(values: Any) -> TrainConfig:
        config: TrainConfig = configure(SPACE.sections(values, settings.arch)).pick(TrainConfig)
        return config

    trainer = Trainer(out, settings.tune, configured, objective, splits, judge, Printer())
    found: dict[str, dict[int, float | None]] = {}
    for cell in SPACE.grid():
        config = configured(SPACE.values_of(cell))
        found[json.dumps(cell)] = {each: trainer.score(config, each).value for each in trainer.rungs(config)}
        print(seed, cell, found[json.dumps(cell)], flush=True)
    return trainer, found


def measure(seed: int, place: Path) -> list[dict[str, Any]]:
    """The grid, and searches on it, with one seed."""
    trainer, cells = train_grid(seed, place / "grid")
    last = {cell: scores[STEPS] or 0.0 for cell, scores in cells.items()}
    order, rows, score = sorted(last, key=lambda cell: last[cell]), [], Trainer.score
    for name, tuned in SEARCHES.items():
        with mock.patch.object(Trainer, "score", lambda _, config, steps: score(trainer, config, steps)):
            found = tune(SPACE, configuring(seed, **tuned), place / name, reporter=Printer()).as_dict()
        winner, steps = json.dumps(found["best"]["params"]), sum(row["steps"] for row in found["trials"])
        row = {"seed": seed, "search": name, "winner": winner, "place": 1 + order.index(winner)}
        row |= {"same": winner == order[0], "regret": last[winner] - last[order[0]]}
        row |= {"steps": steps, "share": round(steps / (STEPS * len(cells)), 3), "cells": cells}
        rows.append(row)
    return rows


def main(target: Path, seeds: list[int]) -> None:
    """Measure and write the figures."""
    rows: list[dict[str, Any]] = []
    for seed in seeds or [0]:
        with tempfile.TemporaryDirectory() as place:
            rows += measure(seed, Path(place))
        print(json.dumps(rows, indent=1), flush=True)
        head = environment(prepare(Runtime(threads=1)))
        target.write_text(json.dumps({**head, "small": SMALL, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(seed) for seed in sys.argv[2:]])
