"""Keywords of the functions as options of the commands: checked, and resolved to settings."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection
from typing import Any, ParamSpec, TypeVar

from gangda.config.commands import COMMANDS
from gangda.config.fields import fields_by_name, flag_of
from gangda.config.files import SECTIONS, Sections, options_of
from gangda.config.hints import suggestion
from gangda.config.renamed import key_message
from gangda.config.resolve import Layer, Settings, resolve
from gangda.config.schema import ClassifierConfig
from gangda.errors import UsageError
from gangda.runtime.progress import Callback, CallbackReporter

P = ParamSpec("P")
T = TypeVar("T")
DIGITS_PER_CLASS = 10  # more leave no room for an effect: at 50 per class, traditional transforms reach 99%
PRESET = "preset of compare"
# What a comparison asks where the user asks nothing: can a GAN's samples take the place of traditional transforms, and
# do they help beside them? The first answer is clear on any machine, within minutes on two cores.
QUESTION: Sections = {
    "data": {"per_class": 6},
    "budget": {"steps": 400},
    "classifier": {"classifier_steps": 500},
    "compare": {"contrast": ["generated - traditional", "generated+traditional - traditional"]},
}


def undoing(function: Callable[P, T]) -> Callable[P, T]:
    """The function without lasting effects on torch's global state, but for the command line (`settings`)."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        if "settings" in kwargs:
            return function(*args, **kwargs)
        from gangda.runtime.torch_state import unchanged_torch

        with unchanged_torch():
            return function(*args, **kwargs)

    return call


def how_of(options: dict[str, Any]) -> dict[str, Any]:
    """How an engine is to work (`dry_run`, `reporter`), taken out of the options."""
    how: dict[str, Any] = {name: options.pop(name) for name in ("dry_run", "reporter") if name in options}
    progress: Callback | None = options.pop("progress", None)
    if progress is not None:
        if "reporter" in how:
            raise UsageError("progress and reporter exclude each other: give one of them")
        how["reporter"] = CallbackReporter(progress)
    return how


def settings_of(command: str, options: dict[str, Any]) -> tuple[Settings, dict[str, Any]]:
    """The settings of a command, and how its engine is to work."""
    how = how_of(options)
    settings, known = options.pop("settings", None), COMMANDS[command]
    if settings is not None and options:
        raise UsageError(f"{', '.join(options)}: not beside settings; change those instead")
    return settings or resolved(known.sections, known.without, options), how


def resolved(
    sections: Collection[str], without: Collection[str], options: dict[str, Any], file: Layer | None = None
) -> Settings:
    """Options of these sections, but for "section.field" in `without`; a UsageError names the nearest known one.

    `file`: sections below them, as of a configuration file.
    """
    keys = {
        flag_of(field)[2:].replace("-", "_"): (section, name)
        for section in sections
        for name, owners in options_of(section).items()
        for field in [next(iter(owners.values()))]
        if f"{section}.{name}" not in without
    }
    for name in options:
        if name not in keys:
            if renamed := key_message(name, keys):
                raise UsageError(renamed)
            near = suggestion(name, keys).strip()
            raise UsageError(
                f"{name}: no such option; {near or 'options are the flags (--help-all), with _ for -'}"
            )
    return resolve({keys[name]: value for name, value in options.items()}, {}, file, used=sections)


def refuse_idle(chosen: Settings) -> None:
    """Refuse options that say how to choose, where nothing is to be chosen; those of a file may be for other commands.

    Raises:
        UsageError: some of them concern the choice only.
    """
    labels = chosen.augment.pseudo_label  # by the classifier of these options
    concerned = {"classifier": () if labels else fields_by_name(ClassifierConfig), "augment": ["score_by"]}
    idle = [
        flag_of(fields_by_name(SECTIONS[section])[name])
        for section, names in concerned.items()
        for name in names
        if chosen.origins[f"{section}.{name}"] == "flag"
    ]
    if idle:
        raise UsageError(
            f"{', '.join(idle)}: nothing is chosen on validation images here; leave it out, or leave something open "
            "with --ratio auto, --filter auto or --allocate recall"
        )


def low_data(chosen: Settings) -> Settings:
    """Few digits per class by default: the question is about small sets; `QUESTION` where nothing at all is asked."""
    if all(name.startswith("runtime.") or name == "compare.seeds" for name in chosen.asked):
        asked = resolve({}, {}, (PRESET, QUESTION))
        seeds = chosen.compare.seeds if "compare.seeds" in chosen.asked else asked.compare.seeds
        compare = dataclasses.replace(asked.compare, seeds=seeds)
        origins = {**asked.origins, **{name: chosen.origins[name] for name in chosen.asked}}
        return dataclasses.replace(asked, compare=compare, runtime=chosen.runtime, origins=origins)
    data = chosen.data
    if data.source != "digits" or data.per_class is not None or data.class_counts is not None:
        return chosen
    smaller = dataclasses.replace(data, per_class=DIGITS_PER_CLASS)
    return dataclasses.replace(chosen, data=smaller, origins={**chosen.origins, "data.per_class": PRESET})
