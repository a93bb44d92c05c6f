"""`gangda train`: train a generator on real images."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from typer import Option

from gangda.cli.options import Call, shown
from gangda.cli.output import Render, Screen, duration, number
from gangda.config import resolve
from gangda.config.schema import TrainConfig
from gangda.runtime.launch import idle_tasks
from gangda.runtime.progress import size_text, sparkline


def train(
    call: Call,
    list_architectures: Annotated[bool, Option("--list", help="list the architectures and stop")] = False,
    resume: Annotated[
        bool, Option("--resume", help="continue from the last checkpoint of --out, if there is one")
    ] = False,
    out: Annotated[Path | None, Option(help="run folder \\[default: runs/DATA-ARCH-HASH]")] = None,
) -> None:
    """Train a generator on real images; writes a run folder."""
    if list_architectures:
        if call.launch.is_main:
            call.result(*listed(call.settings))
        return
    from gangda import training

    config = call.settings.pick(TrainConfig)
    if note := idle_tasks(os.environ):
        with call.terminal.reporter() as reporter:
            reporter.line(note)
    result = call.work(training.train, config, out, resume=resume, launch=call.launch)
    values = {**result.as_dict(), "dry_run": call.dry_run}
    if call.dry_run:
        values |= {"config": resolve.as_mapping(config), "origins": dict(call.settings.origins)}
    call.result(values, _show_dry_run if call.dry_run else _show_result)


def listed(settings: resolve.Settings) -> tuple[dict[str, Any], Render]:
    """All architectures, or the one that --arch names, and what prints them; sizes are for --data where given."""
    from gangda.training import listing

    data = settings.data if settings.changed("data") else None
    only = settings.arch if settings.origins["arch.name"] == "flag" else None
    values = listing.architectures(data, only, settings.runtime.seed)
    return values, _show_architecture if only else _show_architectures


def _show_architectures(out: Screen, values: Mapping[str, Any]) -> None:
    rows = []
    for row in values["architectures"]:
        what, pixels = f"{row['summary']} ({row['source']})", "-".join(map(str, row["pixels"]))
        rows.append((row["name"], what, row["labels"], pixels, *_sizes(row)))
    columns = ("name", "what it is", "labels", "pixels", "G", "D")
    out.draw("Architectures (--arch)", columns, rows, left=4)
    out.say(
        f"G, D: parameters of generator and discriminator for {_images_of(values)} (yours: give --data).",
        "labels: makes images of a given class. Options of one: gangda train --list --arch NAME",
    )


def _show_architecture(out: Screen, values: Mapping[str, Any]) -> None:
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
    out.draw(row["name"], ("", ""), facts, left=2)
    options = [(option["flag"], shown(option["default"]) or "-", option["help"]) for option in row["options"]]
    out.draw("Its options", ("option", "default", "what it does"), options, left=3)


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


def _show_dry_run(out: Screen, values: Mapping[str, Any]) -> None:
    rows = [
        (f"{section}.{key}", "-" if value is None else value, values["origins"][f"{section}.{key}"])
        for section, keys in values["config"].items()
        for key, value in keys.items()
    ]
    out.draw("Would train with", ("option", "value", "from"), rows, left=3)
    out.draw("Parameters", ("", ""), [(name, number(count)) for name, count in values["parameters"].items()])
    timed = [
        (
            " ".join(_as_flag(*item) for item in row["options"].items()) or "as asked for",
            f"{row['parameters'] / 1e6:.2f}M",
            number(row["steps"]),
            f"{row['seconds_per_step']:.3g} s",
            duration(row["seconds"]),
            size_text(row["memory_bytes"]),
            size_text(row["disk_bytes"]),
        )
        for row in values["estimates"]
    ]
    out.draw(
        "Would take on this machine", ("", "parameters", "steps", "a step", "in all", "memory", "disk"), timed
    )
    out.say(f"would write: {values['run']}")


def _show_result(out: Screen, values: Mapping[str, Any]) -> None:
    rows = [("steps", number(values["steps"])), ("time", duration(values["seconds"]))]
    if values["chosen_by"]:
        rows.append(("evaluation of samples", duration(values["evaluation_seconds"])))
        rows.append(("looks at validation images", number(values["looks"])))
    if values["best_step"] is not None:
        rows.append(("best step (used by default)", number(values["best_step"])))
    elif values["chosen_by"]:
        rows.append(("step used", f"the last; {values['chosen_by']}"))
    rows += [
        ("images/s", number(round(values["images_per_second"]))),
        *((f"parameters of the {name}", number(count)) for name, count in values["parameters"].items()),
    ]
    rows += _losses(out, Path(values["run"]))
    out.draw(f"Trained {values['arch']}", ("", ""), rows)
    what = f"next: gangda sample {shlex.quote(values['run'])} --per-class 100"
    out.say(*values["alarms"], what, f"run: {values['run']}")


def _losses(out: Screen, run: Path) -> list[tuple[str, str]]:
    """The course of each loss term, where the terminal can draw it, and where its picture is."""
    from gangda.training.preview import CURVES, read_curves

    if not (run / CURVES).is_file():
        return []
    terms = read_curves(run / "metrics.jsonl")[1] if out.draws_blocks else {}
    known = {name: [value for value in values if value is not None] for name, values in terms.items()}
    rows = [(name, f"{sparkline(values)} {values[-1]:.3g}") for name, values in known.items() if values]
    return [*rows, ("curves", str(run / CURVES))]
