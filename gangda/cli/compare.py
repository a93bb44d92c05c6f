"""`gangda compare`: does generated data help a classifier? One comparison, or an experiment of several."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from typer import Option

from gangda import api, experiments
from gangda.cli.compare_screen import show_comparison, show_counts, show_experiment, show_list, show_status
from gangda.cli.finished import finished_cells, finished_of_experiment
from gangda.cli.job_array import LOGS, job_array
from gangda.cli.options import Call, run_folders
from gangda.cli.output import Render
from gangda.config import arms, resolve
from gangda.config.resolve import Settings
from gangda.config.schema import ComparisonConfig
from gangda.errors import UsageError
from gangda.runtime.part import part_of
from gangda.runtime.plan_status import PLAN, plan_status


def compare(
    call: Call,
    jobs: Annotated[
        int | None,
        Option(
            min=1,
            help="cells at a time, at most cores / threads; on a GPU one, or more where NVIDIA's MPS runs",
        ),
    ] = None,
    run: Annotated[
        Path | None,
        Option(help="use this run's generator in every cell", autocompletion=run_folders),
    ] = None,
    experiment: Annotated[
        str | None,
        Option(help="shipped experiment or YAML file; see --list", autocompletion=experiments.FILES.starting),
    ] = None,
    quick: Annotated[
        bool, Option("--quick", help="with --experiment: a trial run whose numbers mean nothing")
    ] = False,
    list_all: Annotated[bool, Option("--list", help="list experiments and arms, and stop")] = False,
    calibrate: Annotated[
        bool, Option("--calibrate", help="add arms with a known outcome, such as shuffled labels")
    ] = False,
    plan: Annotated[
        bool, Option("--plan", help="only write the plan: how many cells it has, how long one takes")
    ] = False,
    cell: Annotated[
        str | None, Option(help="run only these cells (replicates) of the plan, from 0: 3, or 0-9,12")
    ] = None,
    shard: Annotated[str | None, Option(help="run only part i of n of the cells, as in 2/8")] = None,
    judge: Annotated[bool, Option("--judge", help="run no cell; judge them once all are there")] = False,
    status: Annotated[
        bool, Option("--status", help="say how far each cell of the plan in --out is, and stop")
    ] = False,
    print_sbatch: Annotated[
        bool, Option("--print-sbatch", help="write the plan; print a Slurm script that runs its cells")
    ] = False,
    out: Annotated[Path | None, Option(help="folder \\[default: experiments/DATA-ARCH-HASH]")] = None,
) -> None:
    """Does generated data help, and how much? Paired seeds, a verdict and an HTML report."""
    if list_all:
        call.terminal.result(listed(), show_list)
        return
    if status:
        call.terminal.result(_status(out), show_status)
        return
    part: dict[str, Any] = {"cell": cell, "shard": shard, "plan": plan or print_sbatch, "judge": judge}
    wanted = part_of(**part)
    found: Any
    show: Render
    if experiment is None:
        if quick:
            raise UsageError("--quick is for --experiment; here give fewer --seeds and --steps")
        settings = _settings(call, out, part)
        if not calibrate and (there := finished_cells(call, settings, out, wanted, run)) is not None:
            call.result(there, show_counts, settings.origins)
            return
        how = {"jobs": jobs, "calibrate": calibrate, "settings": settings, **part}
        found = call.work(api.compare, out=out, run=run, **how)
        words = [] if run is None else ["--run", str(run.resolve())]
        show = functools.partial(show_comparison, result=found)
    else:
        if run is not None or calibrate:
            raise UsageError(
                f"{'--run' if run else '--calibrate'} does not go with --experiment; leave one out"
            )
        asked = experiments.read(experiment, quick)
        if (there := finished_of_experiment(call, asked, out, wanted)) is not None:
            call.terminal.result(there, show_experiment)
            return
        words = ["--experiment", experiment, *(["--quick"] if quick else []), *call.words]
        found = _sweep(call, asked, out, jobs=jobs, part=wanted, typed=words)
        show = show_experiment
    if not print_sbatch or call.dry_run:
        if experiment is None:
            call.result(found.as_dict(), show, found.plan.config.origins)
        else:
            call.terminal.result(found.as_dict(), show)
        return
    (found.out / LOGS).mkdir(exist_ok=True)
    script = job_array(words, found.out, found.planned, found.runtime, found.cell_seconds, found.cell_memory)
    call.terminal.result({"script": script}, lambda screen, _: screen.say(script))


def _sweep(call: Call, asked: experiments.Experiment, out: Path | None, **how: Any) -> Any:
    """An experiment's result."""
    from gangda.comparing.sweeps import sweep

    return call.work(sweep, asked, _configs(call, asked), out, **how)


def _status(out: Path | None) -> dict[str, Any]:
    """How far the cells of a plan are."""
    if out is None:
        newest = max(
            Path().glob(f"experiments/*/{PLAN}"), key=lambda path: path.stat().st_mtime, default=None
        )
        example = "" if newest is None else f", such as --out {newest.parent}"
        raise UsageError(f"--status: name the folder with --out{example}")
    cells = plan_status(out)
    missing = ",".join(str(cell.index) for cell in cells if cell.state in ("stopped", "missing"))
    return {"out": str(out), "cells": [vars(cell) for cell in cells], "open": missing}


def _settings(call: Call, out: Path | None, part: Mapping[str, Any]) -> Settings:
    """Those of the plan in the folder `out`, where a part of the work is asked for, or where `--out` says it all."""
    partly = part["judge"] or part["cell"] is not None or part["shard"] is not None
    if call.config is not None or out is None or not (partly or not call.words):
        return call.settings
    own = out / "config.yaml"
    if not own.is_file():
        if call.words or not partly or part["judge"] or (out / PLAN).is_file():
            return call.settings
        raise UsageError(
            f"--out {out}: no plan of a comparison there; check the path, use --plan, or name the --experiment"
        )
    settings, planned = call.resolve(own), resolve.resolve({}, {}, own).compare.seeds
    if settings.compare.seeds != planned:
        more = f"the plan in {out} has {planned}; --plan adds some"
        raise UsageError(f"--seeds {settings.compare.seeds}: {more}")
    return settings


def _configs(call: Call, asked: experiments.Experiment) -> dict[str, ComparisonConfig]:
    """Each variant's configuration; a UsageError for a flag that the experiment varies, or a wrong configuration."""
    options = any(key.startswith("arch.") for key in call.typed)  # of an architecture
    for key in asked.varied:
        other_arch = key.startswith("arch.") and "arch.name" in call.typed
        if key in call.typed or other_arch or (key == "arch.name" and options):
            raise UsageError(f"--experiment {asked.name} varies {key} itself; leave that flag out")
    from gangda.comparing.suited import as_in_augment

    resolved = {
        name: call.resolve((f"{asked.source}: {name}", _of_own_data(call, sections)))
        for name, sections in asked.variants.items()
    }
    return {name: as_in_augment(one.pick(ComparisonConfig), one.asked) for name, one in resolved.items()}


def _of_own_data(call: Call, sections: Mapping[str, Any]) -> Mapping[str, Any]:
    """An experiment's sections without the class sizes of its own data, where the user names another: those stay."""
    if "data.source" not in call.typed:
        return sections
    data = {key: value for key, value in sections.get("data", {}).items() if key != "class_counts"}
    return {**sections, "data": data}


def listed() -> dict[str, Any]:
    """Arms and shipped experiments."""
    keys = ("name", "title", "question", "origin", "measure")
    shipped = map(experiments.read, experiments.names())
    return {
        "experiments": [
            {**{key: getattr(one, key) for key in keys}, "variants": list(one.variants)} for one in shipped
        ],
        "arms": [{"name": name, "summary": arm.summary} for name, arm in arms.ARMS.items()],
    }
