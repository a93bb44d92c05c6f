"""`gangda train`: fit a generator to real images."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gangda import catalog, configs, settings
from gangda.cli.options import Call
from gangda.cli.output import draw, duration, number, say

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
    config = call.settings.train_config()
    if call.dry_run:
        call.terminal.result(rehearsal(call, out), show_rehearsal)
        return
    from gangda.engines import training

    with call.terminal.reporter() as reporter:
        result = training.train(config, out, resume=resume, reporter=reporter)
    call.terminal.result(result.as_dict(), show_result)


def architectures() -> list[dict[str, Any]]:
    """One plain row for each architecture of the catalog."""
    return [
        {
            "name": name,
            "summary": entry.summary,
            "source": entry.source,
            "options": [configs.flag_of(field) for field in settings.fields_of(configs.spec_class(name))],
        }
        for name, entry in catalog.ARCHITECTURES.items()
    ]


def rehearsal(call: Call, out: Path | None) -> dict[str, Any]:
    """What training would work from: the images found, every value and where it came from."""
    from gangda.data.loading import load_splits
    from gangda.data.splits import describe

    config = call.settings.train_config()
    splits = load_splits(config.data, config.runtime.seed)
    return {
        "dry_run": True,
        "data": describe(splits),
        "config": settings.as_mapping(config),
        "origins": dict(call.settings.origins),
        "out": None if out is None else str(out),
    }


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
        (f"{section}.{key}", value, values["origins"].get(f"{section}.{key}", "default"))
        for section, keys in values["config"].items()
        for key, value in keys.items()
    ]
    draw(out, "Would train with", ("option", "value", "from"), rows, left=3)
    data = ", ".join(f"{key} {value}" for key, value in values["data"].items())
    say(out, f"data: {data}")
    say(out, "Nothing has been written.")


def show_result(out: "Console", values: Mapping[str, Any]) -> None:
    """Where the run is, and how fast it went."""
    rows = [
        ("steps", number(values["steps"])),
        ("time", duration(values["seconds"])),
        ("images/s", number(values["images_per_second"], 0)),
    ]
    draw(out, "Trained", ("", ""), rows)
    say(out, f"run: {values['run']}")
