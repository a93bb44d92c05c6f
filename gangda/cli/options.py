"""Flags made from the configuration classes: a new field in `configs.py` is a new flag with no further edit.

A command is a function `body(call, own options...)`. `register` gives it, besides its own options, one flag
for each field of the sections it names (and `--config --json --quiet --dry-run`), resolves them, and passes
the result as `call`.
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
from gangda.config import resolve as settings
from gangda.config.field_types import type_of
from gangda.config.fields import flag_of
from gangda.errors import UsageError
from gangda.runtime.launch import DistributedEnv, distributed_env

Field = dataclasses.Field[Any]
Body = Callable[..., None]
Resolve = Callable[[Path | settings.Layer | None], settings.Settings]

PANELS: Mapping[str, str] = {
    "data": "Data",
    "arch": "Architecture",
    "recipe": "Training recipe",
    "method": "Training method",
    "budget": "Training budget",
    "transforms": "Traditional transforms",
    "classifier": "Classifier",
    "sampler": "Sampler",
    "sample": "Samples",
    "augment": "Augmentation",
    "score": "Metrics",
    "compare": "Comparison",
    "runtime": "Device and seed",
}
OWNED = {"arch": files.spec_fields, "method": files.method_fields}  # sections whose options depend on --arch
MOST_SHOWN = 40  # characters of a list of names; longer ones are left to completion and to messages
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
    """What a command works from.

    Attributes:
        terminal: where to speak.
        dry_run: whether it is only a rehearsal.
        launch: with which other processes.
        config: the configuration file given, if any.
        resolve: flags and environment over a configuration: a file, or what to call it and its sections.
        typed: options given as flags, as in "arch.generators".
    """

    terminal: Terminal
    dry_run: bool
    launch: DistributedEnv
    config: Path | None
    resolve: Resolve
    typed: frozenset[str]

    @functools.cached_property
    def settings(self) -> settings.Settings:
        """Everything resolved, when it is first asked for: an experiment brings configurations of its own."""
        return self.resolve(self.config)


@dataclass(frozen=True)
class Flag:
    """One generated option: (section, name) is the key it is resolved under."""

    section: str
    name: str
    parameter: inspect.Parameter

    @property
    def key(self) -> tuple[str, str]:
        """The key in `settings.resolve`'s flags."""
        return self.section, self.name


def register(
    app: typer.Typer, body: Body, sections: Sequence[str], without: Sequence[str] = (), together: bool = False
) -> None:
    """Add `body` to the app under its own name, with the flags of these sections.

    Args:
        app: the application.
        body: the command; its first parameter takes the `Call`, the others are its own options.
        sections: names of configuration sections, in the order of the help panels.
        without: "section.field" of flags that make no sense here.
        together: whether several processes that torchrun has started share the work; refused otherwise.
    """
    flags = [flag for section in sections for flag in section_flags(section) if str_key(flag) not in without]
    own = list(inspect.signature(body).parameters.values())[1:]

    def command(**given: Any) -> None:
        launch = distributed_env(os.environ)
        if launch.world > 1 and not together:
            raise UsageError(
                f"gangda {body.__name__} works in one process, and torchrun has started {launch.world}; start it "
                "without torchrun (parts of the work: sample --shard, compare --jobs or --cell)"
            )
        named = {flag.key: given[flag.parameter.name] for flag in flags}
        typed = {key: value for key, value in named.items() if value is not None}

        def resolve(file: Path | settings.Layer | None) -> settings.Settings:
            return settings.resolve(typed, os.environ, file, used=sections)

        terminal = Terminal(json=given["as_json"], quiet=given["quiet"])
        keys = frozenset(".".join(key) for key in typed)
        call = Call(terminal, given["dry_run"], launch, given["config"], resolve, keys)
        body(call, **{parameter.name: given[parameter.name] for parameter in own})

    parameters = [*own, *(flag.parameter for flag in flags), *SHARED]
    command.__doc__ = body.__doc__
    command.__name__ = body.__name__
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    app.command(body.__name__, cls=Command)(command)


def str_key(flag: Flag) -> str:
    """A flag's key as in YAML, such as "data.per_class"."""
    return f"{flag.section}.{flag.name}"


def section_flags(section: str) -> Iterator[Flag]:
    """The flags of a section; those of all architectures together for `arch`."""
    if section == "arch":
        yield _arch_flag()
    if section in OWNED:
        for name, owners in OWNED[section]().items():
            yield _flag(section, name, next(iter(owners.values())), _owners_help(owners))
        return
    for field in files.fields_of(files.SECTIONS[section]):
        yield _flag(section, field.name, field, str(field.metadata["help"]) + _default_text(field.default))


def _arch_flag() -> Flag:
    field = next(field for field in dataclasses.fields(schema.TrainConfig) if field.name == "arch")
    text = "which architecture; `gangda train --list` tells them apart" + _default_text(field.default)
    return _flag("arch", "name", field, text, "--arch")


def _owners_help(owners: Mapping[str, Field]) -> str:
    """Help of an architecture's option: what it is, and its default for each architecture that has it."""
    field = next(iter(owners.values()))
    alike: dict[str, list[str]] = {}
    for arch, own in owners.items():
        alike.setdefault(shown(own.default), []).append(arch)
    alike.pop("", None)
    if not alike:
        return str(field.metadata["help"])
    if len(owners) > 1 and list(alike.values()) == [list(owners)]:
        return f"{field.metadata['help']} \\[default: {next(iter(alike))}]"
    defaults = "; ".join(f"{value} for {', '.join(archs)}" for value, archs in alike.items())
    return f"{field.metadata['help']} \\[default: {defaults}]"


def _flag(section: str, name: str, field: Field, help: str, flag: str = "") -> Flag:
    kind, flag = type_of(field), flag or flag_of(field)
    boolean, repeat = kind.base is bool, bool(field.metadata.get("repeat"))
    option = typer.Option(
        f"{flag}/--no-{flag[2:]}" if boolean else flag,
        help=help,
        rich_help_panel=PANELS[section],
        metavar=None if boolean else _metavar(field),
        autocompletion=None if boolean else _completer(section, name, field),
        show_default=False,
    )
    annotation: Any = bool | None if boolean else list[str] | None if repeat else str | None
    parameter = inspect.Parameter(
        f"{section}_{name}",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[annotation, option],
    )
    return Flag(section, name, parameter)


def _metavar(field: Field) -> str:
    kind, choices = type_of(field), field.metadata.get("choices", ())
    if choices and kind.length is None:
        return "|".join(choices)
    word = f"<{kind.base.__name__ if kind.base is not str else 'text'}>"
    if choices and len("|".join(choices)) <= MOST_SHOWN:
        word = "|".join(choices)
    single = kind.length is None and not kind.several
    return word if single or field.metadata.get("repeat") else f"{word},..."


def _completer(section: str, name: str, field: Field) -> Callable[[str], list[tuple[str, str]]]:
    table = COMPLETIONS.get((section, name), {})
    options = [(key, entry.summary) for key, entry in table.items()]
    options += [(choice, "") for choice in field.metadata.get("choices", ()) if choice not in table]

    def complete(incomplete: str) -> list[tuple[str, str]]:
        before = incomplete.rpartition(",")[0] if type_of(field).length is not None else ""
        lead = before + "," if before else ""
        return [(lead + value, text) for value, text in options if (lead + value).startswith(incomplete)]

    return complete


def _default_text(default: Any) -> str:
    text = shown(default)
    return f" \\[default: {text}]" if text else ""


def shown(default: Any) -> str:
    """A default in words; nothing for None, False and an empty tuple."""
    if default is None or default is False or default == ():
        return ""
    if isinstance(default, tuple):
        return ",".join(shown(part) for part in default)
    if isinstance(default, bool):
        return "yes"
    return f"{default:g}" if isinstance(default, float) else str(default)


def _shared(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


_PANEL = "Output and configuration"
SHARED = (
    _shared(
        "config",
        Annotated[
            Path | None,
            typer.Option("--config", help="YAML file; a run's config.yaml will do", rich_help_panel=_PANEL),
        ],
        None,
    ),
    _shared(
        "as_json",
        Annotated[
            bool,
            typer.Option("--json", help="one JSON document on stdout", rich_help_panel=_PANEL),
        ],
        False,
    ),
    _shared(
        "quiet",
        Annotated[
            bool, typer.Option("--quiet", help="no progress, no remarks on stderr", rich_help_panel=_PANEL)
        ],
        False,
    ),
    _shared(
        "dry_run",
        Annotated[
            bool,
            typer.Option("--dry-run", help="tell what would be done; write nothing", rich_help_panel=_PANEL),
        ],
        False,
    ),
)
