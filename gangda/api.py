"""The commands as Python functions. Options are keywords, named as on the command line: `per_class=50`, `arch="pca"`.

Values are numbers, text or lists, or the text that one would type; `GANGDA_*` variables are not read. Every function
takes `dry_run` and `reporter` (a `Reporter`, for progress) too, or `settings` (resolved already) in place of options.
It raises a `GangdaError` with the command's message, and returns the values of the command's `--json`, as an object.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gangda.config import arms
from gangda.config.commands import COMMANDS
from gangda.config.fields import fields_by_name, flag_of
from gangda.config.files import SECTIONS, options_of
from gangda.config.hints import suggestion
from gangda.config.policies import EXPLICIT
from gangda.config.renamed import key_message
from gangda.config.resolve import Settings, resolve
from gangda.config.schema import AugmentationConfig, ClassifierConfig, ComparisonConfig, TrainConfig
from gangda.errors import UsageError

if TYPE_CHECKING:
    from gangda.augmenting import AugmentResult
    from gangda.classifying import ClassifyResult
    from gangda.comparing import CompareResult
    from gangda.data.splits import DataSplits
    from gangda.sampling import SampleResult
    from gangda.scoring import ScoreResult
    from gangda.training.result import TrainResult

Place = str | PathLike[str]
DIGITS_PER_CLASS = 50  # all 1,797 digits leave no room for an effect


def load(data: Place = "digits", **options: Any) -> DataSplits:
    """Training, validation and test images of a data set; `options` are those of the data, and `seed`."""
    from gangda.data.loading import load_splits

    chosen = _resolved(("data", "runtime"), (), {"data": str(data), **options})
    return load_splits(chosen.data, chosen.runtime.seed)


def train(*, out: Place | None = None, resume: bool = False, **options: Any) -> TrainResult:
    """Train a generator on real images; writes a run folder."""
    from gangda import training

    chosen, how = _settings("train", options)
    return training.train(chosen.pick(TrainConfig), _path(out), resume=resume, **how)


def sample(run: Place, *, out: Place | None = None, **options: Any) -> SampleResult:
    """Draw class-labelled samples from the generator of a run folder; writes a sample set."""
    from gangda import sampling

    chosen, how = _settings("sample", options)
    return sampling.sample(
        Path(run), chosen.sample, chosen.runtime, _path(out), sampler=chosen.sampler, **how
    )


def augment(*, run: Place | None = None, out: Place | None = None, **options: Any) -> AugmentResult:
    """Add synthetic images to the real training images; writes an augmented set."""
    from gangda import augmenting

    chosen, how = _settings("augment", options)
    if not chosen.augment.is_open:
        _refuse_idle(chosen)
    return augmenting.augment(chosen.pick(AugmentationConfig), _path(run), _path(out), **how)


def _refuse_idle(chosen: Settings) -> None:
    """Refuse options that say how to choose, where nothing is to be chosen; those of a file may be for other commands.

    Raises:
        UsageError: some of them concern the choice only.
    """
    concerned = {"classifier": fields_by_name(ClassifierConfig), "augment": ["score_by"]}
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


def classify(
    images: Place,
    *,
    test: Place | None = None,
    transforms: bool = False,
    repeats: int = 1,
    out: Place | None = None,
    **options: Any,
) -> ClassifyResult:
    """Train a classifier on a set (or data) and test it on held-out real images."""
    from gangda import classifying

    chosen, how = _settings("classify", options)
    used = chosen.transforms
    used.ranges()  # a policy that only compare chooses is refused
    return classifying.classify(
        str(images),
        None if test is None else str(test),
        chosen.data,
        chosen.classifier,
        used if transforms or used.policy != EXPLICIT else None,
        repeats,
        chosen.runtime,
        _path(out),
        **how,
    )


def score(samples: Place, *, out: Place | None = None, **options: Any) -> ScoreResult:
    """Compare samples with held-out real images, by default those that their set was made from."""
    from gangda import scoring

    chosen, how = _settings("score", options)
    return scoring.score(
        Path(samples),
        chosen.given_data,
        chosen.classifier,
        chosen.runtime,
        _path(out),
        metrics=chosen.score.metrics,
        changed=chosen.changed("data"),
        **how,
    )


def compare(
    *,
    out: Place | None = None,
    run: Place | None = None,
    jobs: int | None = None,
    cell: int | None = None,
    shard: str | None = None,
    plan: bool = False,
    judge: bool = False,
    calibrate: bool = False,
    **options: Any,
) -> CompareResult:
    """Does generated data help, and how much? Paired seeds, a verdict and an HTML report.

    `cell` (a number) and `shard` ("2/8") run some of the cells; `plan` only writes the plan, `judge` only judges.
    """
    from gangda import comparing
    from gangda.comparing.part import part_of
    from gangda.comparing.suited import suited

    part = part_of(cell, shard, plan=plan, judge=judge)
    chosen, how = _settings("compare", options)
    chosen = low_data(chosen)
    config, said = suited(chosen.pick(ComparisonConfig), chosen.asked)
    if said and "reporter" in how:
        how["reporter"].line(said)
    if calibrate:
        more = tuple(name for name in arms.CALIBRATION if name not in config.compare.arms)
        wider = dataclasses.replace(config.compare, arms=(*config.compare.arms, *more))
        config = dataclasses.replace(config, compare=wider)
    return comparing.compare(config, _path(out), jobs=jobs, run=_path(run), part=part, **how)


def low_data(chosen: Settings) -> Settings:
    """50 digits per class by default: the question is about small sets."""
    data = chosen.data
    if data.source != "digits" or data.per_class is not None or data.class_counts is not None:
        return chosen
    smaller = dataclasses.replace(data, per_class=DIGITS_PER_CLASS)
    origins = {**chosen.origins, "data.per_class": "preset of compare"}
    return dataclasses.replace(chosen, data=smaller, origins=origins)


def _settings(command: str, options: dict[str, Any]) -> tuple[Settings, dict[str, Any]]:
    """The settings of a command, and how its engine is to work (`dry_run`, `reporter`)."""
    how: dict[str, Any] = {name: options.pop(name) for name in ("dry_run", "reporter") if name in options}
    settings, known = options.pop("settings", None), COMMANDS[command]
    if settings is not None and options:
        raise UsageError(f"{', '.join(options)}: not beside settings; change those instead")
    return settings or _resolved(known.sections, known.without, options), how


def _resolved(sections: Collection[str], without: Collection[str], options: dict[str, Any]) -> Settings:
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
            raise UsageError(f"{name}: no such option; {suggestion(name, keys)}known: {', '.join(keys)}")
    return resolve({keys[name]: value for name, value in options.items()}, {}, used=sections)


def _path(place: Place | None) -> Path | None:
    return None if place is None else Path(place)
