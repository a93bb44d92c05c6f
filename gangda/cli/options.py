"""Flags made from the configuration classes: a new field of `gangda.config` is a new flag without further edits.

A command is a function `body(call, own options...)`. `register` adds one flag for each field of the sections it names,
and `--config --json --quiet --dry-run`; the `Call` resolves them.
"""

import dataclasses
import functools
import inspect
import os
import sys
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.models import OptionInfo

from gangda.cli.group import ALL_OPTIONS, Command
from gangda.cli.output import Render, Terminal
from gangda.config import arms, catalog
from gangda.config.commands import Subcommand
from gangda.config.fields import Field, flag_of, type_of, words_of
from gangda.config.files import options_of
from gangda.config.resolve import Layer, Settings, resolve, unread_variables
from gangda.errors import UsageError
from gangda.runtime import machine
from gangda.runtime.launch import DistributedEnv, adopt_slurm, distributed_env

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
    "tune": "Search",
    "runtime": "Device and seed",
}
LONGEST_CHOICES = 40  # characters of choices in a metavar; longer lists are left to completion and messages
# What completes a flag whose field has no fixed choices: names of the catalog (paths are fine too).
COMPLETIONS: Mapping[tuple[str, str], Mapping[str, catalog.Entry] | Mapping[str, arms.Arm]] = {
    ("data", "source"): catalog.SOURCES,
    ("arch", "name"): catalog.ARCHITECTURES,
    ("classifier", "classifier"): catalog.CLASSIFIERS,
    ("score", "metrics"): catalog.METRICS,
    ("sample", "format"): catalog.FORMATS,
    ("augment", "format"): catalog.FORMATS,
    ("sample", "filter"): catalog.FILTERS,
    ("augment", "filter"): catalog.FILTERS,
    ("compare", "filter"): catalog.FILTERS,
    ("compare", "arms"): arms.ARMS,
}


@dataclass(frozen=True)
class Call:
    """What a command gets."""

    terminal: Terminal
    dry_run: bool
    launch: DistributedEnv
    # Flags and environment over a file, or over named sections.
    resolve: Callable[[Path | Layer | None], Settings]
    config: Path | None  # the configuration file given, if any
    typed: frozenset[str]  # options given as flags, as in "arch.generators"
    words: tuple[str, ...]  # these flags with their values, and --config, as they would be typed

    @functools.cached_property
    def settings(self) -> Settings:
        """All sections, resolved at the first use: an experiment has configurations of its own."""
        return self.resolve(self.config)

    @functools.cached_property
    def busy(self) -> bool:
        """Whether other processes use the cores that this command is to use, as it begins."""
        try:
            threads = self.settings.runtime.threads
        except UsageError:  # said where the settings are used
            threads = None
        return machine.is_busy(machine.thread_count(threads, os.environ, self.launch.local_world))

    def work(self, function: Callable[..., Any], *args: Any, **own: Any) -> Any:
        """Call a function that takes `dry_run` and `reporter`."""
        with self.terminal.reporter(machine.REMARK if self.busy else "") as reporter:
            return function(*args, dry_run=self.dry_run, reporter=reporter, **own)

    def run(self, function: Callable[..., Any], show: Render, *args: Any, **own: Any) -> None:
        """Call a function of `gangda.api` with these settings, and print its result."""
        self.result(self.work(function, *args, settings=self.settings, **own).as_dict(), show)

    def result(
        self, values: Mapping[str, Any], show: Render, origins: Mapping[str, str] | None = None
    ) -> None:
        """Print a result, with where each value comes from that is not a default.

        `origins`: those of the configuration as run, where the command has changed these settings.
        """
        known = self.settings.origins if origins is None else origins
        given = {key: origin for key, origin in known.items() if origin != "default"}
        self.terminal.result({**values, "options": given}, show)


def register(app: typer.Typer, body: Callable[..., None], command: Subcommand) -> None:
    """Add `body` to the app under its own name, with the flags of the command's sections; it takes a `Call` first."""
    flags = {
        (section, name): parameter
        for section in command.sections
        for name, parameter in section_flags(section).items()
        if f"{section}.{name}" not in command.without
    }
    own = list(inspect.signature(body).parameters.values())[1:]

    def run(**given: Any) -> None:
        if command.together:
            adopt_slurm(os.environ)
        launch = distributed_env(os.environ)
        if launch.world > 1 and not command.together:
            raise UsageError(
                f"gangda {body.__name__} works in one process, and torchrun has started {launch.world}; start it "
                "without torchrun (parts of the work: --shard of sample and augment, compare --jobs or --cell)"
            )
        values = {key: given[flag.name] for key, flag in flags.items()}
        typed = {key: value for key, value in values.items() if value is not None}
        terminal = Terminal(given["as_json"], given["quiet"], body.__name__)
        resolved = functools.partial(resolve, typed, os.environ, used=command.sections)
        names = frozenset(map(".".join, typed))
        file = () if given["config"] is None else ("--config", str(given["config"].resolve()))
        words = (*file, *(word for key, value in typed.items() for word in _words(*key, value)))
        call = Call(terminal, given["dry_run"], launch, resolved, given["config"], names, words)
        if not given["quiet"] and launch.is_main:
            for remark in unread_variables(os.environ, [flag for one in own for flag in _flags_of(one)]):
                print(f"gangda: {remark}", file=sys.stderr)
        if call.busy:  # now, before torch loads
            machine.sleep_while_waiting(os.environ)
        body(call, **{parameter.name: given[parameter.name] for parameter in own})

    parameters = [*own, *flags.values(), *SHARED]
    run.__doc__ = body.__doc__
    run.__name__ = body.__name__
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    app.command(body.__name__, cls=Command, context_settings={"obj": command})(run)


def _flags_of(parameter: inspect.Parameter) -> list[str]:
    """The flag of a command's own option, if it is one."""
    described = typing.get_args(parameter.annotation)[-1]
    return ["--" + parameter.name.replace("_", "-")] if isinstance(described, OptionInfo) else []


def run_folders(incomplete: str) -> list[str]:
    """Run folders here and in `runs`, as completion offers them; none where another path is being typed."""
    found = [path.parent for pattern in ("*/run.json", "runs/*/run.json") for path in Path().glob(pattern)]
    return sorted(str(run) for run in found if str(run).startswith(incomplete))


def _words(section: str, name: str, value: Any) -> list[str]:
    """An option with its value, as it would be typed."""
    return words_of(next(iter(options_of(section)[name].values())), value)


def _parameter(name: str, kind: Any, default: Any, flag: str, panel: str, **more: Any) -> inspect.Parameter:
    option = typer.Option(flag, rich_help_panel=panel, **more)
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option]
    )


def _show_all_options(context: typer.Context, asked: bool) -> None:
    if asked:
        context.obj = dataclasses.replace(context.obj, shown=(), examples=())
        typer.echo(context.get_help(), color=context.color)
        raise typer.Exit


SHARED = [
    _parameter(name, kind, default, flag, "Output and configuration", help=help)
    for name, kind, default, flag, help in (
        ("config", Path | None, None, "--config", "YAML file of options, such as a run's config.yaml"),
        ("as_json", bool, False, "--json", "print one JSON document on stdout"),
        ("quiet", bool, False, "--quiet", "no progress and no messages on stderr"),
        ("dry_run", bool, False, "--dry-run", "print what would be done; write nothing"),
    )
]
SHARED.append(
    _parameter(
        "help_all", bool, False, ALL_OPTIONS, "Output and configuration", help="show all options, by topic, and exit",
        is_eager=True, callback=_show_all_options,
    )
)  # fmt: skip


def section_flags(section: str) -> dict[str, inspect.Parameter]:
    """The flags of a section by field; those of all architectures together where they depend on --arch."""
    return {name: _flag(section, name, owners) for name, owners in options_of(section).items()}


def _default_text(owners: Mapping[str, Field]) -> str:
    """The default of an option, or its defaults with the owners of each."""
    by_default: dict[str, list[str]] = {}
    for owner, field in owners.items():
        text = "all" if field.default == field.metadata["choices"] != () else shown(field.default)
        by_default.setdefault(text, []).append(owner)
    by_default.pop("", None)
    text = "; ".join(f"{value} for {', '.join(names)}" for value, names in by_default.items())
    if "" in owners or (len(owners) > 1 and list(by_default.values()) == [list(owners)]):
        text = "".join(by_default)
    return f" \\[default: {text}]" if text else ""


def _flag(section: str, name: str, owners: Mapping[str, Field]) -> inspect.Parameter:
    field = next(iter(owners.values()))
    help = f"{field.metadata['help']}{_default_text(owners)}"
    flag, more = flag_of(field), {"help": help, "show_default": False}
    annotation: Any = list[str] if field.metadata["repeat"] else str
    if type_of(field).base is bool:
        flag, annotation = flag if flag.startswith("--no-") else f"{flag}/--no-{flag[2:]}", bool
    else:
        more |= {"metavar": _metavar(field), "autocompletion": _completer(section, name, field)}
    return _parameter(f"{section}_{name}", annotation | None, None, flag, PANELS[section], **more)


def _metavar(field: Field) -> str:
    kind, choices = type_of(field), "|".join(map(str, field.metadata["choices"]))
    single = kind.length is None and not kind.several
    if not choices or (len(choices) > LONGEST_CHOICES and not single):
        choices = "<text>" if kind.base is str else f"<{kind.base.__name__}>"
    return choices if single or field.metadata["repeat"] else f"{choices},..."


def _completer(section: str, name: str, field: Field) -> Callable[[str], list[tuple[str, str]]]:
    table = COMPLETIONS.get((section, name), {})
    candidates = [(key, entry.summary) for key, entry in table.items()]
    candidates += [(str(choice), "") for choice in field.metadata["choices"] if choice not in table]
    several = type_of(field).length is not None

    def complete(incomplete: str) -> list[tuple[str, str]]:
        before, comma, _ = incomplete.rpartition(",") if several else ("", "", "")
        values = ((before + comma + value, text) for value, text in candidates)
        return [(value, text) for value, text in values if value.startswith(incomplete)]

    return complete


def shown(default: Any) -> str:
    """A default in words; nothing for None, False and an empty tuple."""
    if default is None or default is False or default == ():
        return ""
    if isinstance(default, tuple):
        return ",".join(shown(part) for part in default)
    if default is True:
        return "yes"
    return f"{default:g}" if isinstance(default, float) else str(default)
