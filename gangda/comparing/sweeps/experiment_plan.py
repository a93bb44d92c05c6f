"""An experiment's `plan.json`, with the plan of each variant beside it: written, continued, or refused."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gangda.comparing.plan import OWNER as COMPARISON
from gangda.comparing.plan import digest
from gangda.comparing.plan_file import locked_plan, publish, refuse_change
from gangda.comparing.sweeps.settings import Setting
from gangda.config.schema import ComparisonConfig
from gangda.errors import RunError
from gangda.experiments import Experiment
from gangda.runtime.files import write_json
from gangda.runtime.plan_status import PLAN
from gangda.runtime.progress import Reporter

OWNER = "an experiment"


def with_threads_of(
    configs: Mapping[str, ComparisonConfig], out: Path, reporter: Reporter
) -> Mapping[str, ComparisonConfig]:
    """The configurations with the threads of the experiment that is there already, whose cells are to be alike."""
    with locked_plan(out, OWNER, dry_run=True) as there:
        threads = None if there is None else there["fixed"].get("threads")
    asked = {config.runtime.threads or 1 for config in configs.values()}
    if not isinstance(threads, int) or asked == {threads}:
        return configs
    reporter.line(f"{out}: goes on with --threads {threads}, as its other cells have")
    return {
        name: replace(config, runtime=replace(config.runtime, threads=threads))
        for name, config in configs.items()
    }


def as_run(config: ComparisonConfig, folder: Path) -> ComparisonConfig:
    """The configuration with the device of the plan in a folder, if there is one: judging needs none."""
    with locked_plan(folder, COMPARISON, dry_run=True) as there:
        own = None if there is None else there["fixed"].get("runtime")
    known = own if isinstance(own, dict) else {}
    runtime = {name: known[name] for name in ("device", "precision", "capture") if name in known}
    return replace(config, runtime=replace(config.runtime, **runtime))


def fixed_values(experiment: Experiment, settings: Sequence[Setting]) -> dict[str, Any]:
    """What may not change once the folder exists. Seeds, and metrics after the first, may be added later."""
    return {
        "experiment": experiment.name,
        "measure": experiment.measure,
        "figure": settings[0].figures[0],
        "between": experiment.between,
        "repeats": experiment.repeats,
        "threads": settings[0].plan.config.runtime.threads,
        "variants": {one.folder.name: {"name": one.name, "plan": one.plan.hash} for one in settings},
    }


def claim(fixed: Mapping[str, Any], settings: Sequence[Setting], out: Path, *, dry_run: bool) -> None:
    """Write `plan.json` and every variant's, or raise a RunError where the folder's own has other fixed values."""
    metrics = [name for one in settings[:1] for name in one.metrics]
    with locked_plan(out, OWNER, dry_run=dry_run) as there:
        if there is not None:
            _refuse_other(there, fixed, settings, out)
        if dry_run:
            return
        if there is None or there.get("metrics") != metrics:
            about = {"kind": f"plan of {OWNER}", "hash": digest(fixed), "fixed": fixed, "metrics": metrics}
            write_json(out / PLAN, about)
        # Also in a folder that is gone on with: seeds may be added, and `plan_status` counts those of every variant.
        for one in settings:
            publish(one.plan, one.folder)


def _refuse_other(
    there: Mapping[str, Any], fixed: Mapping[str, Any], settings: Sequence[Setting], out: Path
) -> None:
    """Raise a RunError, with the first difference, where the folder's plan has other fixed values, or more seeds."""
    before = there["fixed"]
    if before != fixed and {**before, "variants": fixed["variants"]} == fixed:
        # A variant's own plan has the value that differs; the experiment's has only its hash.
        for one in settings:
            publish(one.plan, one.folder, dry_run=True)
    refuse_change(before, fixed, out)
    if there.get("hash") != digest(fixed):
        raise RunError(f"{out / PLAN}: damaged; put it back, or choose another --out")
    for one in settings:
        publish(one.plan, one.folder, dry_run=True)
