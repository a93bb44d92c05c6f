"""`gangda tune`: search the options of training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from typer import Option

from gangda import search_spaces as spaces
from gangda.cli.options import Call
from gangda.cli.output import Screen, duration, number, percent
from gangda.config.files import Sections, merge_sections, read_config
from gangda.config.resolve import Settings
from gangda.errors import UsageError
from gangda.runtime.plan_status import PLAN


def tune(
    call: Call,
    space: Annotated[
        str | None,
        Option(
            help="search space: shipped, or a YAML file; see --list", autocompletion=spaces.FILES.starting
        ),
    ] = None,
    list_spaces: Annotated[bool, Option("--list", help="list the shipped search spaces and stop")] = False,
    resume: Annotated[bool, Option("--resume", help="--out must hold a study already")] = False,
    out: Annotated[Path | None, Option(help="folder \\[default: studies/SPACE-HASH]")] = None,
) -> None:
    """Search the options of training; never sees test images. Writes the best configuration.

    Several processes may run the same command on the same --out: together they try --trials configurations.
    """
    if list_spaces:
        call.terminal.result(listed(), _show_list)
        return
    if space is None:
        raise UsageError(f"--space is missing: choose from {', '.join(spaces.names())}, or give a file")
    if resume and (out is None or not (out / PLAN).is_file()):
        raise UsageError(
            f"--resume: {'name the study with --out' if out is None else f'{out} holds no study'}"
        )
    asked = spaces.read(space)
    asked.refuse_varied(call.typed)
    from gangda import tuning

    file = {} if call.config is None else read_config(call.config)
    base = merge_sections(asked.base, file)

    def configure(sections: Sections) -> Settings:
        return call.resolve((asked.source, merge_sections(base, sections)))

    found = call.work(tuning.tune, asked, configure, out)
    call.result(found.as_dict(), _show_result)


def listed() -> dict[str, Any]:
    """The shipped search spaces."""
    shipped = map(spaces.read, spaces.names())
    return {
        "spaces": [
            {
                "name": one.name,
                "title": one.title,
                "origin": one.origin,
                "options": [dimension.key for dimension in one.dimensions],
                "combinations": one.combinations,
            }
            for one in shipped
        ]
    }


def _show_list(out: Screen, values: Mapping[str, Any]) -> None:
    rows = [
        (one["name"], one["title"], ", ".join(one["options"]), number(one["combinations"]))
        for one in values["spaces"]
    ]
    out.draw("Search spaces (--space)", ("name", "what it is", "options", "combinations"), rows, left=3)
    out.say("A search space of your own is a YAML file like the shipped ones: --space FILE.")


def _show_result(out: Screen, values: Mapping[str, Any]) -> None:
    if values["dry_run"]:
        rungs = ", ".join(map(number, values["rungs"]))
        out.say(
            f"would try {values['planned']:,} configurations of {values['space']}, each scored at steps {rungs}: "
            f"{values['objective']}",
            f"up to about {values['unpruned_steps']:,} training steps, {duration(values['seconds'])} on this machine "
            "without scoring, by one process, if none is ended early",
            f"would write: {values['out']}",
        )
        return

    def shown(value: float | None) -> str:
        return percent(value, 2) if values["share"] else number(value, 5)

    rows = [
        (
            row["number"],
            *(f"{value:.4g}" if isinstance(value, float) else value for value in row["params"].values()),
            shown(row["value"]),
            number(row["steps"]),
            row["reason"] or "trained to the end",
        )
        for row in values["trials"]
    ]
    names = list(values["trials"][0]["params"]) if rows else []
    out.draw(f"Trials ({values['objective']})", ("trial", *names, "score", "steps", "how it ended"), rows)
    shares = [(name, percent(share, 0)) for name, share in values["importance"].items()]
    out.draw("Importance of the options", ("option", "share"), shares)
    saved = f"{values['steps']:,} training steps; without pruning {values['unpruned_steps']:,}"
    out.say(f"trials ended: {values['finished']} of {values['planned']}", saved)
    if values["running"]:
        out.say(
            f"other processes are working on {values['running']}; the last to end writes the final result"
        )
    if values["best"] is None:
        out.say("no trial was trained to the end, so there is no best configuration")
    else:
        best = f"best: trial {values['best']['number']}, {shown(values['best']['value'])}"
        out.say(
            f"{best} (the best of several, so flattering)",
            f"train it: gangda train --config {values['best_config']}",
        )
    out.say(f"report: {values['report']}")
