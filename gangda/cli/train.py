"""`gangda train`: fit a generator to real images."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gangda import catalog, settings, specs
from gangda.cli.options import Call
from gangda.cli.output import draw, duration, number, say
from gangda.fields import flag_of

if TYPE_CHECKING:
    from rich.console import Console


def train(
    call: Call,
    list_architectures: Annotated[
        bool, typer.Option("--list", help="list the architectures and stop")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="go on from the last checkpoint of --out")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="run folder \\[default: runs/DATA-ARCH-HASH]")
    ] = None,
) -> None:
    """Train a generator on real images; writes a run folder."""
    if list_architectures:
        call.terminal.result({"architectures": architectures()}, show_architectures)
        return
    from gangda.engines import training

    chosen = call.settings
    config = chosen.train_config()
    with call.terminal.reporter() as reporter:
        result = training.train(config, out, resume=resume, dry_run=call.dry_run, reporter=reporter)
    values = {**result.as_dict(), "dry_run": call.dry_run}
    if call.dry_run:
        values |= {"config": settings.as_mapping(config), "origins": dict(chosen.origins)}
    call.terminal.result(values, show_rehearsal if call.dry_run else show_result)


def architectures() -> list[dict[str, Any]]:
    """One plain row for each architecture of the catalog."""
    return [
        {
            "name": name,
            "summary": entry.summary,
            "source": entry.source,
            "options": [flag_of(field) for field in settings.fields_of(specs.spec_class(name))],
        }
        for name, entry in catalog.ARCHITECTURES.items()
    ]


def show_architectures(out: "Console", values: Mapping[str, Any]) -> None:
    """The catalog as a table."""
    rows = [
        (row["name"], row["summary"], row["source"], " ".join(row["options"]))
        for row in values["architectures"]
    ]
    draw(out, "Architectures (--arch)", ("name", "what it is", "source", "its own options"), rows, left=4)


def show_rehearsal(out: "Console", values: Mapping[str, Any]) -> None:
    """The resolved configuration, one line for each value."""
    rows = [
        (f"{section}.{key}", "-" if value is None else value, values["origins"][f"{section}.{key}"])
        for section, keys in values["config"].items()
        for key, value in keys.items()
    ]
    draw(out, "Would train with", ("option", "value", "from"), rows, left=3)
    draw(out, "Parameters", ("", ""), [(name, number(count)) for name, count in values["parameters"].items()])
    say(out, f"would write: {values['run']}")


def show_result(out: "Console", values: Mapping[str, Any]) -> None:
    """Where the run is, and how fast it went."""
    rows = [
        ("steps", number(values["steps"])),
        ("time", duration(values["seconds"])),
        *looking_rows(values),
        ("images/s", number(round(values["images_per_second"]))),
        *((f"parameters of the {name}", number(count)) for name, count in values["parameters"].items()),
    ]
    draw(out, f"Trained {values['arch']}", ("", ""), rows)
    for alarm in values["alarms"]:
        say(out, alarm)
    say(out, f"run: {values['run']}")


def looking_rows(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What looking at samples took, beside the time of training, and the best step it found."""
    if values["best_step"] is None:
        return []
    return [
        ("looking at samples", duration(values["looking_seconds"])),
        ("best step (used by default)", number(values["best_step"])),
    ]
