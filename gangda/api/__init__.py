"""The commands as Python functions. Options are keywords, named as on the command line: `per_class=50`, `arch="pca"`.

Values are numbers, text or lists, or the text that one would type; `GANGDA_*` variables are not read. Data are a name,
a path, arrays (images, labels), a torch Dataset, or what `load` returned. Every function takes `dry_run`, and for
progress `progress` (a function of task, done, total) or `reporter` (a `Reporter`); or `settings` (resolved already) in
place of options. Nothing is printed, and torch's global state is as it was afterwards. A function raises a
`GangdaError` with the command's message, and returns the values of the command's `--json`, as an object.
"""

from __future__ import annotations

import dataclasses
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gangda.api.options import how_of, low_data, refuse_idle, resolved, settings_of, undoing
from gangda.config import arms
from gangda.config.commands import COMMANDS
from gangda.config.policies import EXPLICIT
from gangda.config.resolve import Settings
from gangda.config.schema import AugmentationConfig, ComparisonConfig, TrainConfig
from gangda.errors import DataError, UsageError

if TYPE_CHECKING:
    from gangda.api.augmenter import GanAugmenter
    from gangda.api.data import Data
    from gangda.api.run import Run, open_run
    from gangda.api.stream import SampleDataset
    from gangda.augmenting import AugmentResult
    from gangda.classifying import ClassifyResult
    from gangda.comparing import CompareResult
    from gangda.sampling import SampleResult
    from gangda.scoring import ScoreResult
    from gangda.tuning.result import TuneResult

Place = str | PathLike[str]
LAZY = {
    "GanAugmenter": "gangda.api.augmenter",
    "SampleDataset": "gangda.api.stream",
    "open_run": "gangda.api.run",
}
__all__ = [
    "GanAugmenter",
    "SampleDataset",
    "augment",
    "classify",
    "compare",
    "fit",
    "load",
    "open_run",
    "sample",
    "score",
    "train",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in LAZY:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    import importlib

    try:
        return getattr(importlib.import_module(LAZY[name]), name)
    except ModuleNotFoundError as error:
        raise UsageError(f"{name} needs {error.name}: pip install 'gangda[sklearn]'") from None


@undoing
def load(data: Any = "digits", **options: Any) -> Data:
    """Read a data set and split it into training, validation and test images.

    `options` are those of the data, and `seed`.

    >>> load("digits", per_class=20)
    Data(digits, 10 classes, train=180, validation=20, test=360)
    """
    from gangda.api.data import Data, options_with
    from gangda.data.loading import load_splits

    if data is None:  # mostly a variable that was never set
        raise DataError("data is None: give a name, a path, or arrays of images and labels")
    given = options_with(data, options)
    chosen = resolved(("data", "runtime"), (), given)
    return Data(given, load_splits(chosen.data, chosen.runtime.seed))


@undoing
def train(data: Any = None, *, out: Place | None = None, resume: bool = False, **options: Any) -> Run:
    """Train a generator on real images; writes a run folder."""
    from gangda import training
    from gangda.api.data import options_with
    from gangda.api.run import Run

    chosen, how = settings_of("train", options_with(data, options))
    result = training.train(chosen.pick(TrainConfig), _path(out), resume=resume, **how)
    return Run(**vars(result))


@undoing
def sample(run: Place, *, out: Place | None = None, **options: Any) -> SampleResult:
    """Draw class-labelled samples from the generator of a run folder; writes a sample set."""
    from gangda import sampling

    chosen, how = settings_of("sample", options)
    return sampling.sample(
        Path(run), chosen.sample, chosen.runtime, _path(out), sampler=chosen.sampler, **how
    )


@undoing
def augment(
    data: Any = None,
    *,
    run: Place | None = None,
    samples: Place | None = None,
    out: Place | None = None,
    **options: Any,
) -> AugmentResult:
    """Add synthetic images to the real training images; writes an augmented set."""
    from gangda import augmenting
    from gangda.api.data import options_with

    chosen, how = settings_of("augment", options_with(data, options))
    if not chosen.augment.is_open:
        refuse_idle(chosen)
    config = chosen.pick(AugmentationConfig)
    return augmenting.augment(config, _path(run), _path(out), samples=_path(samples), **how)


@undoing
def classify(
    images: Any,
    *,
    test: Any = None,
    transforms: bool = False,
    repeats: int = 1,
    out: Place | None = None,
    **options: Any,
) -> ClassifyResult:
    """Train a classifier on a set (or data) and test it on held-out real images."""
    from gangda import classifying
    from gangda.api.data import options_with, source_of

    given = options_with(images, {})
    source = given.pop("data")
    chosen, how = settings_of("classify", {**given, **options})
    used = chosen.transforms
    used.ranges()  # a policy that only compare chooses is refused
    return classifying.classify(
        source,
        None if test is None else source_of(test),
        chosen.data,
        chosen.classifier,
        used if transforms or used.policy != EXPLICIT else None,
        repeats,
        chosen.runtime,
        _path(out),
        **how,
    )


fit = classify


@undoing
def score(samples: Any, data: Any = None, *, out: Place | None = None, **options: Any) -> ScoreResult:
    """Compare samples with held-out real images, by default those that their set was made from."""
    from gangda import scoring
    from gangda.api.data import options_with, source_of

    chosen, how = settings_of("score", options_with(data, options))
    return scoring.score(
        Path(source_of(samples)),
        chosen.given_data,
        chosen.classifier,
        chosen.runtime,
        _path(out),
        metrics=chosen.score.metrics,
        changed=chosen.changed("data"),
        **how,
    )


@undoing
def compare(
    data: Any = None,
    *,
    out: Place | None = None,
    run: Place | None = None,
    jobs: int | None = None,
    cell: int | str | None = None,
    shard: str | None = None,
    plan: bool = False,
    judge: bool = False,
    calibrate: bool = False,
    **options: Any,
) -> CompareResult:
    """Does generated data help, and how much? Paired seeds, a verdict and an HTML report.

    `cell` (a number, or "0-9,12") and `shard` ("2/8") run some of the cells; `plan` only writes the plan, `judge` only
    judges.
    """
    from gangda import comparing
    from gangda.api.data import options_with
    from gangda.comparing.suited import suited
    from gangda.runtime.part import part_of

    part = part_of(cell, shard, plan=plan, judge=judge)
    chosen, how = settings_of("compare", options_with(data, options))
    chosen = low_data(chosen)
    config, said = suited(chosen.pick(ComparisonConfig), chosen.asked)
    if calibrate:
        more = tuple(name for name in arms.CALIBRATION if name not in config.compare.arms)
        wider = dataclasses.replace(config.compare, arms=(*config.compare.arms, *more))
        origins = {**config.origins, "compare.arms": "--calibrate"} if more else config.origins
        config = dataclasses.replace(config, compare=wider, origins=origins)
    return comparing.compare(config, _path(out), jobs=jobs, run=_path(run), part=part, chosen=said, **how)


@undoing
def tune(space: Place, data: Any = None, *, out: Place | None = None, **options: Any) -> TuneResult:
    """Search the options of training; never sees test images. `space`: a shipped search space's name, or a file."""
    from gangda import search_spaces, tuning
    from gangda.api.data import options_with
    from gangda.config.files import Sections, merge_sections

    how, given, known = how_of(options), options_with(data, options), COMMANDS["tune"]
    asked = search_spaces.read(str(space))

    def configure(sections: Sections) -> Settings:
        layer = (asked.source, merge_sections(asked.base, sections))
        return resolved(known.sections, known.without, given, layer)

    asked.refuse_varied({name for name, origin in configure({}).origins.items() if origin == "flag"})
    return tuning.tune(asked, configure, _path(out), **how)


def _path(place: Place | None) -> Path | None:
    return None if place is None else Path(place)
