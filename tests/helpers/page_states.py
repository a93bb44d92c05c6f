"""Pages in every state that a reader may see, made of made-up results: without any training."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from fake_experiment import ACCURACY, NAMES, curves, finish, plan_for

from gangda import experiments, search_spaces
from gangda.comparing.cell_result import FailedCell, GeneratorRecord, SampleRecord
from gangda.comparing.plan_file import publish
from gangda.comparing.results import collect
from gangda.comparing.storage import cell_path, write_cell
from gangda.comparing.sweeps import MEASURES, sweep
from gangda.comparing.sweeps.scored import ScoredCell
from gangda.config import resolve
from gangda.config.schema import ComparisonConfig
from gangda.metrics.result import MetricResult
from gangda.runtime.part import PLAN, Part
from gangda.scoring.rating_page import rendered
from gangda.tuning.page import render

WORSE = {**ACCURACY, "generated": 0.75, "generated+traditional": 0.78}
CLOSE = {**ACCURACY, "generated+traditional": 0.823}
SAME = dict.fromkeys(ACCURACY, 0.8)
COMPARISONS = {  # options of the plan, and of what its cells found
    "better": ({"ratios": (0.5, 1.0)}, {}),
    "worse": ({}, {"accuracy": WORSE}),
    "equivalent": ({"margin": 5.0}, {"accuracy": SAME}),
    "inconclusive": ({}, {"accuracy": CLOSE, "sd": 0.02}),
    "underpowered": ({"seeds": 2}, {}),
    "alarms": ({}, {"accuracy": WORSE, "recognised": 0.3}),
    "failed cells": ({}, {}),
    "second classifier": ({"second_classifier": "resnet", "tune_steps": (1000, 2000)}, {}),
    "plateau": ({"plateau_check": True}, {}),
    "no contrast": ({"arms": ("real", "held-back")}, {"accuracy": {"real": 0.8, "held-back": 0.85}}),
}
EXPERIMENTS = {  # what is varied, the measure, and the seeds
    "experiment of arms": ("vary: {arch.width: [8, 16, 32]}", "compare", 8),
    "experiment of sizes": ("between: false\nvary: {data.per_class: [10, 20, 40]}", "compare", 8),
    "experiment of scores": ("metrics: [gan_test, fid]\nvary: {arch.width: [8, 16]}", "score", 8),
    "experiment of few seeds": ("metrics: [fid]\nvary: {arch.width: [8, 16]}", "score", 2),
}


def comparison(state: str, out: Path) -> Path:
    """The page of one of `COMPARISONS`."""
    asked, found = COMPARISONS[state]
    plan = plan_for(out, **asked)
    finish(plan, out, **found)
    if state == "failed cells":
        cell = plan.cells[3]
        cell_path(out, cell).unlink()
        write_cell(out, cell, FailedCell(cell.index, cell.seed, cell.id, "mode collapse"))
    collect(plan, out)
    return out / "report.html"


def experiment(state: str, out: Path) -> Path:
    """The page of one of `EXPERIMENTS`."""
    vary, measure, seeds = EXPERIMENTS[state]
    out.parent.mkdir(parents=True, exist_ok=True)
    path = out.parent / f"{out.name}.yaml"
    path.write_text(
        f"kind: experiment\ntitle: Width of the networks\nquestion: How wide should they be?\nmeasure: {measure}\n"
        f"base:\n  data: {{source: digits}}\n  compare: {{seeds: {seeds}}}\n"
        f"  runtime: {{device: cpu, precision: fp32, threads: 1}}\n{vary}\n"
    )
    asked = experiments.read(str(path))
    configs = {
        name: resolve.resolve({}, {}, (name, sections)).pick(ComparisonConfig)
        for name, sections in asked.variants.items()
    }
    sweep(asked, configs, out, part=Part(only=PLAN))
    for index, (name, config) in enumerate(configs.items()):
        plan = MEASURES[measure].plan_of(asked, config)
        slug = name.replace("=", "-").replace("_", "-")
        folder = out / "variants" / f"{index:02d}-{slug}"
        publish(plan, folder)
        if measure == "compare":
            finish(plan, folder, {**ACCURACY, "generated+traditional": 0.82 + 0.02 * index}, sd=0.01)
        else:
            for cell in plan.cells:
                write_cell(folder, cell, scored(plan, cell, index))
    sweep(asked, configs, out, jobs=1)
    return out / "report.html"


def scored(plan, cell, index) -> ScoredCell:
    """A cell of an experiment that scores samples."""
    rng = np.random.default_rng(cell.seed)
    note = "" if index else "ALARM few samples are recognised: too few steps (train longer)"
    values = {
        "gan_test": MetricResult(
            "gan_test_lenet",
            0.8 + 0.05 * index + rng.normal(0, 0.01),
            "target",
            400,
            400,
            floor=0.9,
            note=note,
        ),
        "fid": MetricResult("fid_lenet_400", 30 - 4 * index + rng.normal(0, 1), "lower", 400, 400, floor=5.0),
    }
    record = GeneratorRecord(
        "cdcgan",
        1000,
        "last",
        False,
        20.0,
        SampleRecord({"made": "conditional"}, {}, (100,) * 4, "c0", 0.5),
        {},
    )
    return ScoredCell(
        cell.index, cell.seed, cell.id, plan.fingerprint, 400, record, values, tuple(values.values()),
        curves(rng).evaluations, (), 30.0,
    )  # fmt: skip


def tuning(out: Path, *, finished: bool = True) -> Path:
    """The page of a study."""
    space = search_spaces.read(search_spaces.names()[0])
    first = space.first()
    rows = [
        {
            "number": number,
            "params": first,
            "value": 0.7 + 0.02 * number,
            "finished": finished and number % 2 == 0,
            "reason": "" if number % 2 == 0 else "not among the best third",
            "steps": 1000 * (1 + number % 3),
            "run": "runs/0",
        }
        for number in range(8)
    ]
    study = {
        "objective": "GAN-test on validation images", "direction": "maximize", "share": True, "finished": 8,
        "planned": 12, "steps": 12_000, "unpruned_steps": 24_000, "trials": rows,
        "best": rows[6] if finished else None, "best_config": "studies/mine/best.yaml",
        "importance": {key: 1 / len(first) for key in first} if finished else {},
    }  # fmt: skip
    out.mkdir(parents=True)
    (out / "report.html").write_text(render(space, study))
    return out / "report.html"


def rating(out: Path, *, labelled: bool = True) -> Path:
    """A page for raters."""
    rng = np.random.default_rng(0)
    images = [
        (f"{number:08x}", NAMES[number % 4], rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        for number in range(12)
    ]
    out.mkdir(parents=True)
    (out / "report.html").write_text(rendered(images, "a2V5", labelled=labelled))
    return out / "report.html"


PAGES: Mapping[str, Callable[[Path], Path]] = {
    **{state: lambda out, state=state: comparison(state, out) for state in COMPARISONS},
    **{state: lambda out, state=state: experiment(state, out) for state in EXPERIMENTS},
    "tuning": tuning,
    "tuning without a best": lambda out: tuning(out, finished=False),
    "rating": rating,
    "rating without labels": lambda out: rating(out, labelled=False),
}
