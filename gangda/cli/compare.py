"""`gangda compare`: does generated data help a classifier? One comparison, or an experiment of several."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from gangda import api, experiments
from gangda.cli.job_array import LOGS, job_array
from gangda.cli.options import Call, run_folders
from gangda.cli.output import Render, Screen, duration, interval, number, percent, points
from gangda.cli.sample import draw_filters
from gangda.config import arms, resolve
from gangda.config.resolve import Settings
from gangda.config.schema import ComparisonConfig
from gangda.errors import UsageError
from gangda.runtime.plan_status import plan_status
from gangda.runtime.progress import size_text

if TYPE_CHECKING:
    from gangda.comparing import CompareResult
    from gangda.comparing.comparison import FilterRow


def _experiments(incomplete: str) -> list[str]:
    return [name for name in experiments.names() if name.startswith(incomplete)]


def compare(
    call: Call,
    jobs: Annotated[int | None, Option(min=1, help="cells at a time, at most cores / threads")] = None,
    run: Annotated[
        Path | None,
        Option(help="use this run's generator in every cell", autocompletion=run_folders),
    ] = None,
    experiment: Annotated[
        str | None, Option(help="shipped experiment or YAML file; see --list", autocompletion=_experiments)
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
    cell: Annotated[int | None, Option(min=0, help="run only this cell (replicate) of the plan")] = None,
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
        call.terminal.result(listed(), _show_list)
        return
    if status:
        _show_status(call, out)
        return
    part: dict[str, Any] = {"cell": cell, "shard": shard, "plan": plan or print_sbatch, "judge": judge}
    found: Any
    show: Render
    if experiment is None:
        if quick:
            raise UsageError("--quick is for --experiment; here give fewer --seeds and --steps")
        how = {"jobs": jobs, "calibrate": calibrate, "settings": _settings(call, out, part)}
        found = call.work(api.compare, out=out, run=run, **how, **part)
        words = [] if run is None else ["--run", str(run.resolve())]
        show = functools.partial(_show_comparison, result=found)
    else:
        if run is not None or calibrate:
            raise UsageError(
                f"{'--run' if run else '--calibrate'} does not go with --experiment; leave one out"
            )
        from gangda.comparing.part import part_of
        from gangda.comparing.sweeps import sweep

        asked = experiments.read(experiment, quick)
        found = call.work(sweep, asked, _configs(call, asked), out, jobs=jobs, part=part_of(**part))
        words = ["--experiment", experiment, *(["--quick"] if quick else []), *call.words]
        show = _show_experiment
    if not print_sbatch or call.dry_run:
        printed = call.result if experiment is None else call.terminal.result
        printed(found.as_dict(), show)
        return
    (found.out / LOGS).mkdir(exist_ok=True)
    script = job_array(words, found.out, found.planned, found.runtime, found.cell_seconds)
    call.terminal.result({"script": script}, lambda screen, _: screen.say(script))


def _show_status(call: Call, out: Path | None) -> None:
    if out is None:
        raise UsageError("--status: name the folder with --out")
    cells = plan_status(out)
    open_cells = ",".join(str(cell.index) for cell in cells if cell.state in ("stopped", "missing"))
    values = {"out": str(out), "cells": [vars(cell) for cell in cells], "open": open_cells}

    def show(screen: Screen, _: Mapping[str, Any]) -> None:
        rows = [
            (cell.index, cell.variant or "-", cell.seed, cell.state, cell.host or "-", cell.job or "-",
             number(cell.step), "-" if cell.age is None else f"{duration(cell.age)} ago")
            for cell in cells
        ]  # fmt: skip
        head = ("cell", "variant", "seed", "state", "host", "job", "step", "last written")
        screen.draw("", head, rows, left=2)
        finished = sum(cell.state == "finished" for cell in cells)
        screen.say(f"cells finished: {finished} of {len(cells)}", f"to submit: --array={open_cells or '-'}")

    call.terminal.result(values, show)


def _settings(call: Call, out: Path | None, part: Mapping[str, Any]) -> Settings:
    """Those of the plan in the folder `out`, where a part of the work is asked for, or where `--out` says it all."""
    partly = part["judge"] or part["cell"] is not None or part["shard"] is not None
    if call.config is not None or out is None or not (partly or not call.words):
        return call.settings
    own = out / "config.yaml"
    if not own.is_file():
        if call.words or not partly or part["judge"]:
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


def _show_list(out: Screen, values: Mapping[str, Any]) -> None:
    shown = values["experiments"]
    rows = [(one["name"], one["question"], len(one["variants"]), one["measure"]) for one in shown]
    out.draw("Experiments (--experiment)", ("name", "question", "variants", "measure"), rows, left=2)
    names = [tuple(arm.values()) for arm in values["arms"]]
    out.draw("Arms (--arms)", ("name", "what it trains on"), names, left=2)
    out.say(
        "ARM@ARCHITECTURE takes another generator: generated+traditional@wgan-gp.",
        "ARM:RATIO adds so many images per real one, whatever --ratios says: held-back:0.5.",
        "ARM:fillSHARE fills every class up to this share of the largest: generated+traditional:fill50%.",
        "An experiment of your own is a YAML file like the shipped ones: --experiment FILE.",
    )


def _show_comparison(out: Screen, _: Mapping[str, Any], result: "CompareResult") -> None:
    from gangda.comparing.analyses import load_analyses

    comparison: Any = result.comparison
    if comparison is None:
        _show_cells(out, result)
        return
    judged, found = comparison.judgement, comparison.analyses
    arms_trained = [
        (arm.name, percent(arm.mean, 2), percent(arm.sd, 2), number(round(row.n_train)))
        for arm, row in zip(judged.arms, comparison.arms, strict=True)
    ]
    title = f"Test {judged.score}, {judged.n} paired seed" + ("" if judged.n == 1 else "s")
    out.draw(title, ("arm", "mean", "sd", "images trained on"), arms_trained)
    differences = []
    for one in judged.contrasts:
        seen = (points(one.mean), interval(one.interval, points), percent(one.margin, 2).rstrip("%"))
        differences.append((one.name, one.verdict, *seen, number(one.p), number(one.adjusted_p)))
    title = f"Differences in points (verdicts at {judged.alpha:g})"
    head = ("contrast", "verdict", "difference", "interval", "margin", "p", "adjusted p")
    out.draw(title, head, differences, left=2)
    for name, analysis in load_analyses().items():
        for table in analysis.tables(found[name]) if name in found else ():
            out.draw(table.title, table.head, table.rows)
    show_filters(out, comparison.filters)
    sentences = [sentence for one in found.values() for sentence in one.sentences]
    exact = comparison.headline.removeprefix(comparison.plain).lstrip()
    out.say(comparison.plain, exact, *sentences, *comparison.notes)
    advice = comparison.advice
    out.say("", f"What to do now: {advice.text}", *([f"  {advice.command}"] if advice.command else []), "")
    out.say(f"report: {result.report}")


def _show_cells(out: Screen, result: "CompareResult") -> None:
    """How many cells are finished, where there is no verdict yet; in a dry run, what so many seeds can find."""
    seeds = len(result.plan.cells)
    if result.dry_run:
        names = ", ".join(result.plan.config.compare.arms)
        out.say(f"would compare {names} over {seeds} paired seeds, one cell each")
        rows = [
            (f"{row['spread']:g} points", *(percent(row[key]) for key in ("one point", "two points")))
            for row in result.plan.power
        ]
        rows = [tuple(text.replace("-", "never") for text in row) for row in rows]
        head = ("if differences spread by", "1 point is found", "2 points are found")
        out.draw(f"Power of {seeds} seeds", head, rows)
    out.say(*(f"FAILED: {failure}" for failure in result.failed))
    if result.cost is not None:
        rows = [
            ("one cell", duration(result.cost.cell_seconds)),
            (f"the {seeds - result.finished} cells that are left", duration(result.cost.left_seconds)),
            ("memory, for images and training", size_text(result.cost.memory_bytes)),
            ("disk, at the end", size_text(result.cost.disk_bytes)),
        ]
        out.draw(f"Would take on this machine, {result.cost.at_once} cells at a time", ("", ""), rows)
        out.say(*result.cost.choices)
    out.say(f"cells finished: {result.finished} of {seeds}", f"comparison: {result.out}")


def show_filters(out: Screen, rows: Sequence["FilterRow"]) -> None:
    """What filters kept and rejected, mean over the seeds: a table for each generator and its filters."""
    for row in rows:
        title = f"Samples of {row.generator} after filter {row.filters}"
        if row.reason:
            out.say(f"{title}: none. {row.reason}")
        else:
            draw_filters(out, title, {name: vars(shares) for name, shares in row.classes.items()})


def _show_experiment(out: Screen, values: Mapping[str, Any]) -> None:
    """Variants, differences, the answer; the variants alone where there is none yet."""
    if "rows" not in values:
        out.say(f"{values['title']}: {values['question']}")
        out.draw("", ("variants",), [(name,) for name in values["variants"]])
        finished = f"cells finished: {values['finished']} of {values['cells']}"
        out.say(finished, f"experiment: {values['out']}")
        return
    variants, show = values["rows"], percent if values["share"] else number
    others = [name for name in variants[0]["figures"] if name != values["figure"]]
    rows = [
        (row["name"], show(row["mean"]), interval(row["interval"], show),
         *(number(row["figures"][name]) for name in others), duration(row["seconds"]))
        for row in variants
    ]  # fmt: skip
    out.draw(values["title"], ("variant", values["figure"], "interval", *others, "time"), rows)
    means = {row["name"]: {arm["name"]: arm["mean"] for arm in row.get("arms", ())} for row in variants}
    names = dict.fromkeys(name for each in means.values() for name in each)
    rows = [(name, *(percent(each.get(name), 2) for each in means.values())) for name in names]
    out.draw("Test score of every arm", ("arm", *means), rows)
    rows = []
    for row in variants:
        if of_cas := row.get("spread"):
            shares = (percent(of_cas[key], 2) for key in ("mean", "between", "within", "error"))
            rows.append((row["name"], of_cas["groups"], of_cas["repeats"], *shares))
    sds = ("sd between generators", "between classifiers", "error")
    out.draw("Spread of CAS", ("variant", "generators", "classifiers", "mean", *sds), rows)
    rows = [
        (d["name"], show(d["mean"]), interval(d["interval"], show), number(d["adjusted_p"]), d["verdict"])
        for d in values["differences"]
    ]
    head = ("variant", "difference", "interval", "adjusted p", "verdict")
    out.draw(f"Against {variants[0]['name']}", head, rows)
    worth = [f"{row['name']}: {sentence}" for row in variants for sentence in row.get("worth", ())]
    out.say(values["headline"], *worth, *values["notes"], f"report: {values['report']}")
