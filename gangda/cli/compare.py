"""`gangda compare`: the whole question, over paired seeds."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gangda.cli.options import Call
from gangda.cli.output import say
from gangda.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console

DIGITS_PER_CLASS = 50  # all 1,797 digits leave no room for an effect


def compare(
    call: Call,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", min=1, help="cells at the same time; jobs x threads never exceed the cores"),
    ] = None,
    cell: Annotated[
        int | None, typer.Option("--cell", min=0, help="run this one cell and stop (for clusters)")
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option("--run", help="use this run's generator in every cell: conditional on this GAN"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="experiment folder \\[default: experiments/DATA-HASH]")
    ] = None,
) -> None:
    """Does generated data help, and how much? Paired seeds, a verdict and an HTML report."""
    from gangda.configs import ExperimentConfig
    from gangda.engines import comparing

    config = low_data(call.settings).pick(ExperimentConfig)
    with call.terminal.reporter() as reporter:
        result = comparing.compare(
            config, out, jobs=jobs, run=run, cell=cell, dry_run=call.dry_run, reporter=reporter
        )
    call.terminal.result(result.as_dict(), show_result)


def low_data(chosen: Settings) -> Settings:
    """50 digits per class where nothing else is said: the question is about small sets."""
    data = chosen.data
    if data.source != "digits" or data.per_class is not None or data.class_counts is not None:
        return chosen
    smaller = dataclasses.replace(data, per_class=DIGITS_PER_CLASS)
    origins = {**chosen.origins, "data.per_class": "preset of compare"}
    return dataclasses.replace(chosen, data=smaller, origins=origins)


def show_result(out: "Console", values: Mapping[str, Any]) -> None:
    """Arms, contrasts, the verdict, and what limits it."""
    say(out, f"report: {values['report']}")
