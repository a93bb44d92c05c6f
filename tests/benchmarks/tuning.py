"""R4's nine cells, searched with pruning and as the full grid: the same winner, at which part of the training steps?

python tests/benchmarks/tuning.py tests/benchmarks/tuning.json [SEED ...]

Run by hand (some minutes for each seed). The search with pruning runs first; the full grid goes on with the runs that
it has begun, which gives the numbers of runs of its own, as a resumed run is the uninterrupted one.

Widths are a quarter of the report's: the digits have 8 pixels a side, its images 28.
"""

import dataclasses
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from environment import environment

from gangda import search_spaces
from gangda.config.files import Sections, merge_sections
from gangda.config.resolve import Settings, resolve
from gangda.config.schema import Runtime
from gangda.runtime.device import prepare
from gangda.runtime.progress import Reporter
from gangda.tuning import tune

REPORT = search_spaces.read("r4-dropout-width")
WIDTHS = search_spaces.Choice("arch.first_width", {"16": 16, "32": 32, "64": 64})
SPACE = dataclasses.replace(REPORT, dimensions=(REPORT.dimensions[0], WIDTHS))
SMALL: Sections = {  # the report's cells have 50 epochs of 60,000 images
    "data": {"source": "digits", "validation": 0.4},
    "recipe": {"batch_size": 32, "lr": 2e-3, "beta1": 0.5},
    "budget": {"epochs": None, "steps": 540, "checkpoint_every": "1000s"},
    "classifier": {"classifier_steps": 400},
}


class Printer(Reporter):
    """Prints what a study says."""

    def line(self, text: str) -> None:
        """One line."""
        print(text, file=sys.stderr, flush=True)


def search(seed: int, prune: bool, out: Path, trials: int = 9) -> dict[str, Any]:
    """A study of the nine cells, as plain values."""
    own = {"runtime": {"seed": seed, "threads": 1}, "tune": {"prune": prune, "trials": trials}}
    base = merge_sections(merge_sections(SPACE.base, SMALL), own)

    def configure(sections: Sections) -> Settings:
        return resolve({}, {}, ("benchmark", merge_sections(base, sections)))

    return tune(SPACE, configure, out, reporter=Printer()).as_dict()


def measure(seed: int, place: Path) -> dict[str, Any]:
    """Both searches with one seed."""
    pruned = search(seed, True, place / "pruned")
    search(seed, False, place / "grid", trials=1)  # claims the folder
    shutil.copytree(place / "pruned/runs", place / "grid/runs", dirs_exist_ok=True)
    grid = search(seed, False, place / "grid")
    cells = {json.dumps(row["params"]): row["value"] for row in grid["trials"]}
    return {
        "seed": seed,
        "winner": pruned["best"]["params"],
        "winner_of_grid": grid["best"]["params"],
        "same": pruned["best"]["params"] == grid["best"]["params"],
        "steps": pruned["steps"],
        "steps_of_grid": grid["steps"],
        "share": round(pruned["steps"] / grid["steps"], 3),
        "trials": [[row["params"], row["steps"], row["value"], row["reason"]] for row in pruned["trials"]],
        "cells": cells,
    }


def main(target: Path, seeds: list[int]) -> None:
    """Measure and write the figures."""
    rows = []
    for seed in seeds or [0]:
        with tempfile.TemporaryDirectory() as place:
            rows.append(measure(seed, Path(place)))
        print(json.dumps(rows[-1], indent=1), flush=True)
        head = environment(prepare(Runtime(threads=1)))
        target.write_text(json.dumps({**head, "small": SMALL, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(seed) for seed in sys.argv[2:]])
