"""`gangda train`: train a generator on real images."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from gangda.cli.options import Call, shown
from gangda.cli.output import Render, draw, duration, number, say
from gangda.config import resolve
from gangda.config.schema import TrainConfig

if TYPE_CHECKING:
    from rich.console import Console


def train(
    call: Call,
    list_architectures: Annotated[bool, Option("--list", help="list the architectures and stop")] = False,
    resume: Annotated[bool, Option("--resume", help="continue from the last checkpoint of --out")] = False,
    out: Annotated[Path | None, Option(help="run folder \\[default: runs/DATA-ARCH-HASH]")] = None,
) -> None:
    """Train a generator on real images; writes a run folder."""
    if list_architectures:
        if call.launch.is_main:
            call.terminal.result(*listed(call.settings))
        return
    from gangda import training

    config = call.settings.pick(TrainConfig)
    result = call.work(training.train, config, out, resume=resume, launch=call.launch)
    values = {**result.as_dict(), "dry_run": call.dry_run}
    if call.dry_run:
        values |= {"config": resolve.as_mapping(config), "origins": dict(call.settings.origins)}
    call.terminal.result(values, _show_dry_run if call.dry_run else _show_result)


def listed(settings: resolve.Settings) -> tuple[dict[str, Any], Render]:
    """All architectures, or the one that --arch names, and what prints them; sizes are for --data where given."""
    from gangda.training import listing

    data = settings.data if settings.changed("data") else None
    only = settings.arch if settings.origins["arch.name"] == "flag" else None
    values = listing.architectures(data, only, settings.runtime.seed)
    return values, _show_architecture if only else _show_architectures


def _show_architectures(out: "Console", values: Mapping[str, Any]) -> None:
    rows = [
        (
            row["name"],
            f"{row['summary']} ({row['source']})",
            row["labels"],
            "-".join(map(str, row["pixels"])),
            *_sizes(row),
        )
        for row in values["architectures"]
    ]
    columns = ("name", "what it is", "labels", "pixels", "G", "D")
    draw(out, "Architectures (--arch)", columns, rows, left=4)
    say(
        out, f"G, D: parameters of generator and discriminator for {_images_of(values)} (yours: give --data)."
    )
    say(out, "labels: makes images of a given class. Options of one: gangda train --list --arch NAME")


def _show_architecture(out: "Console", values: Mapping[str, Any]) -> None:
    """One architecture, its recipe and its own options."""
    [row] = values["architectures"]
    least, most = row["pixels"]
    facts = [
        ("what it is", row["summary"]),
        ("paper", row["source"]),
        ("images of a given class", row["labels"]),
        ("pixels", f"{least} to {most} a side"),
        (f"parameters, {_images_of(values)}", " and ".join(_sizes(row)) + " (generator and discriminator)"),
        ("its recipe", " ".join(_as_flag(*item) for item in row["recipe"].items()) or "the default"),
    ]
    draw(out, row["name"], ("", ""), facts, left=2)
    options = [(option["flag"], shown(option["default"]) or "-", option["help"]) for option in row["options"]]
    draw(out, "Its options", ("option", "default", "what it does"), options, left=3)


def _as_flag(name: str, value: Any) -> str:
    flag = name.replace("_", "-")
    return f"--{'' if value else 'no-'}{flag}" if isinstance(value, bool) else f"--{flag} {value}"


def _sizes(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Parameters of both networks in millions; "-" for none."""
    return tuple("-" if count is None else f"{count / 1e6:.2f}M" for count in row["parameters"].values())


def _images_of(values: Mapping[str, Any]) -> str:
    channels, height, width = values["image_shape"]
    kind = "grey" if channels == 1 else "RGB"
    return f"{height}x{width} {kind} images of {values['num_classes']} classes"


def _show_dry_run(out: "Console", values: Mapping[str, Any]) -> None:
    """The resolved configuration, one line for each value."""
    rows = [
        (f"{section}.{key}", "-" if value is None else value, values["origins"][f"{section}.{key}"])
        for section, keys in values["config"].items()
        for key, value in keys.items()
    ]
    draw(out, "Would train with", ("option", "value", "from"), rows, left=3)
    draw(out, "Parameters", ("", ""), [(name, number(count)) for name, count in values["parameters"].items()])
    say(out, f"would write: {values['run']}")


def _show_result(out: "Console", values: Mapping[str, Any]) -> None:
    evaluation = [
        ("evaluation of samples", duration(values["evaluation_seconds"])),
        ("best step (used by default)", number(values["best_step"])),
    ]
    rows = [
        ("steps", number(values["steps"])),
        ("time", duration(values["seconds"])),
        *(evaluation if values["best_step"] is not None else ()),
        ("images/s", number(round(values["images_per_second"]))),
        *((f"parameters of the {name}", number(count)) for name, count in values["parameters"].items()),
    ]
    draw(out, f"Trained {values['arch']}", ("", ""), rows)
    say(out, *values["alarms"], f"run: {values['run']}")
