"""Flags made from the configuration classes: a new field of `gangda.config` is a new flag without further edits.

A command is a function `body(call, own options...)`. `register` adds one flag for each field of the sections it names,
and `--config --json --quiet --dry-run`; the `Call` resolves them.
"""

import dataclasses
import functools
import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from gangda.cli.group import Command
from gangda.cli.output import Terminal
from gangda.config import arms, catalog, files, schema
from gangda.config.field_types import type_of
from gangda.config.fields import fields_of, flag_of
from gangda.config.resolve import Layer, Settings, resolve
from gangda.errors import UsageError
from gangda.runtime.launch import DistributedEnv, distributed_env

Field = dataclasses.Field[Any]

PANELS: Mapping[str, str] = {
    "data": "Data",
    "arch": "Architecture",
    "recipe": "Training recipe",
    "method": "Training method",
    "budget": "Training budget",
    "transforms": "Traditional transforms",
    "classifier": "Classifier",
    "sample": "Samples",
    "sampler": "Sampler",
    "augment": "Augmentation",
    "score": "Metrics",
    "compare": "Comparison",
    "runtime": "Device and seed",
}
# Sections whose options depend on --arch: option -> owner -> field.
OWNED = {"arch": files.spec_fields, "method": files.method_fields}
LONGEST_CHOICES = 40  # characters of choices in a metavar; longer lists are left to completion and messages
# What completes a flag whose field has no fixed choices: names of the catalog (paths are fine too).
COMPLETIONS: Mapping[tuple[str, str], Mapping[str, catalog.Entry] | Mapping[str, arms.Arm]] = {
    ("data", "source"): catalog.SOURCES,
    ("arch", "name"): catalog.ARCHITECTURES,
    ("classifier", "classifier"): catalog.CLASSIFIERS,
    ("score", "metrics"): catalog.METRICS,
    ("sample", "filter"): catalog.FILTERS,
    ("augment", "filter"): catalog.FILTERS,
    ("compare", "filter"): catalog.FILTERS,
    ("compare", "arms"): arms.ARMS,
}


@dataclass(frozen=True)
class Call:
    """What a command gets.

    Attributes:
        terminal: how to print.
        dry_run: whether only to report what would be done.
        launch: the processes that were started together.
        resolve: flags and environment over a configuration: a file, or a name for messages and sections.
        config: the configuration file given, if any.
        typed: options given as flags, as in "arch.generators".
    """

    terminal: Terminal
    dry_run: bool
    launch: DistributedEnv
    resolve: Callable[[Path | Layer | None], Settings]
    config: Path | None
    typed: frozenset[str]

    @functools.cached_property
    def settings(self) -> Settings:
        """All sections, resolved at the first use: an experiment has configurations of its own."""
        return self.resolve(self.config)


@dataclass(frozen=True)
class Flag:
    """One generated option: (section, name) is the key it is resolved under."""

    section: str
    name: str
    parameter: inspect.Parameter


def register(
    app: typer.Typer,
    body: Callable[..., None],
    sections: Sequence[str],
    without: Sequence[str] = (),
    together: bool = False,
) -> None:
    """Add `body` to the app under its own name, with the flags of these sections.

    Args:
        app: the application.
        body: the command; its first parameter takes the `Call`, the others are its own options.
        sections: names of configuration sections, in the order of the help's headings.
        without: "section.field" of flags that the command does not have.
        together: whether several processes that torchrun has started share the work; refused otherwise.
    """
    flags = [
        flag
        for section in sections
        for flag in section_flags(section)
        if f"{section}.{flag.name}" not in without
    ]
    own = list(inspect.signature(body).parameters.values())[1:]

    def command(**given: Any) -> None:
        launch = distributed_env(os.environ)
        if launch.world > 1 and not together:
            raise UsageError(
                f"gangda {body.__name__} works in one process, and torchrun has started {launch.world}; start it "
                "without torchrun (parts of the work: sample --shard, compare --jobs or --cell)"
            )
        values = {(flag.section, flag.name): given[flag.parameter.name] for flag in flags}
        typed = {key: value for key, value in values.items() if value is not None}
        call = Call(
            Terminal(json=given["as_json"], quiet=given["quiet"]),
            given["dry_run"],
            launch,
            functools.partial(resolve, typed, os.environ, used=sections),
            given["config"],
            frozenset(map(".".join, typed)),
        )
        body(call, **{parameter.name: given[parameter.name] for parameter in own})

    shared = inspect.signature(_shared).parameters.values()
    parameters = [*own, *(flag.parameter for flag in flags), *shared]
    command.__doc__ = body.__doc__
    command.__name__ = body.__name__
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    app.command(body.__name__, cls=Command)(command)


_SHARED = "Output and configuration"


def _shared(
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", help="YAML file of options, such as a run's config.yaml", rich_help_panel=_SHARED
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="print one JSON document on stdout", rich_help_panel=_SHARED)
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="no progress and no remarks on stderr", rich_help_panel=_SHARED)
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="print what would be done; write nothing", rich_help_panel=_SHARED),
    ] = False,
) -> None:
    """The options of all commands."""


def section_flags(section: str) -> Iterator[Flag]:
    """The flags of a section; those of all architectures together where they depend on --arch."""
    if section == "arch":
        field = next(field for field in fields_of(schema.TrainConfig) if field.name == "arch")
        yield _flag(section, "name", field, f"{field.metadata['help']}{_default_text(shown(field.default))}")
    if section in OWNED:
        for name, owners in OWNED[section]().items():
            yield _flag(section, name, next(iter(owners.values())), _owners_help(owners))
        return
    for field in fields_of(files.SECTIONS[section]):
        text = f"{field.metadata['help']}{_default_text(shown(field.default))}"
        yield _flag(section, field.name, field, text)


def _owners_help(owners: Mapping[str, Field]) -> str:
    """Help of an option that depends on --arch: what it is, and its default for each owner."""
    by_default: dict[str, list[str]] = {}
    for owner, field in owners.items():
        by_default.setdefault(shown(field.default), []).append(owner)
    by_default.pop("", None)
    text = "; ".join(f"{value} for {', '.join(names)}" for value, names in by_default.items())
    if len(owners) > 1 and list(by_default.values()) == [list(owners)]:
        text = next(iter(by_default))
    return f"{next(iter(owners.values())).metadata['help']}{_default_text(text)}"


def _flag(section: str, name: str, field: Field, help: str) -> Flag:
    kind, flag = type_of(field), flag_of(field)
    boolean = kind.base is bool
    option = typer.Option(
        f"{flag}/--no-{flag[2:]}" if boolean else flag,
        help=help,
        rich_help_panel=PANELS[section],
        metavar=None if boolean else _metavar(field),
        autocompletion=None if boolean else _completer(section, name, field),
        show_default=False,
    )
    annotation: Any = bool if boolean else list[str] if field.metadata["repeat"] else str
    parameter = inspect.Parameter(
        f"{section}_{name}",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[annotation | None, option],
    )
    return Flag(section, name, parameter)


def _metavar(field: Field) -> str:
    kind, choices = type_of(field), "|".join(field.metadata["choices"])
    single = kind.length is None and not kind.several
    if not choices or (len(choices) > LONGEST_CHOICES and not single):
        choices = "<text>" if kind.base is str else f"<{kind.base.__name__}>"
    return choices if single or field.metadata["repeat"] else f"{choices},..."


def _completer(section: str, name: str, field: Field) -> Callable[[str], list[tuple[str, str]]]:
    table = COMPLETIONS.get((section, name), {})
    candidates = [(key, entry.summary) for key, entry in table.items()]
    candidates += [(choice, "") for choice in field.metadata["choices"] if choice not in table]
    several = type_of(field).length is not None

    def complete(incomplete: str) -> list[tuple[str, str]]:
        before, comma, _ = incomplete.rpartition(",") if several else ("", "", "")
        values = ((before + comma + value, text) for value, text in candidates)
        return [(value, text) for value, text in values if value.startswith(incomplete)]

    return complete


def _default_text(text: str) -> str:
    return f" \\[default: {text}]" if text else ""


def shown(default: Any) -> str:
    """A default in words; nothing for None, False and an empty tuple."""
    if default is None or default is False or default == ():
        return ""
    if isinstance(default, tuple):
        return ",".join(shown(part) for part in default)
    if default is True:
        return "yes"
    return f"{default:g}" if isinstance(default, float) else str(default)
