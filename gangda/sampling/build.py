"""The sampler of a trained run: checked, with the pseudo-labels and the filters that it needs."""

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from gangda.classifying.fitted_classifier import place
from gangda.config.files import read_config
from gangda.config.sampler_options import SamplerOptions
from gangda.data.splits import DataSplits
from gangda.errors import UsageError
from gangda.runtime.device import DeviceContext
from gangda.runtime.hashed_file import sha256_of_file
from gangda.runtime.progress import SILENT, Reporter
from gangda.sampling.filters import filter_class, in_order
from gangda.sampling.filters.base import FilterContext, FilterTarget
from gangda.sampling.pseudo_labels import PseudoLabeler, pseudo_labeler_of_run, splits_of_run
from gangda.sampling.sampler import Sampler
from gangda.training.saved_model import Model
from gangda.zoo.base import DEFAULT_OPTIONS, Generator
from gangda.zoo.flow.generator import FlowGenerator
from gangda.zoo.flow.start_from_real import StartFromReal


def make_sampler(
    model: Model,
    *,
    seed: int,
    context: DeviceContext,
    labeler: PseudoLabeler | None = None,
    which: int | None = None,
    min_confidence: float = 0.0,
    options: SamplerOptions = DEFAULT_OPTIONS,
    filters: Sequence[str] = (),
    splits: DataSplits | None = None,
    reporter: Reporter = SILENT,
) -> Sampler:
    """The sampler that fits the model, with the filters of these names.

    `labeler` chooses the labels where the generator does not know them, by default the run folder's own; `splits`
    have training and validation images. Samples may start from the training images, and filters learn from both, with
    `seed`; by default they are the run's own, with the run's seed: then what is learned is kept in the run folder.

    Raises UsageError: as `check_request`; RunError, DataError: what pseudo-labels, a filter or samples that start from
    real images need is missing.
    """
    check_request(model, options, filters, which=which, min_confidence=min_confidence)
    known = functools.cache(lambda: splits or splits_of_run(model))
    generator = cast(Generator, place(model.generator, context))
    if options.start_from_real is not None:
        generator = StartFromReal(cast(FlowGenerator, generator), known().train, options.start_from_real)
    if not needs_pseudo_labels(model):
        labeler = None
    elif labeler is None:
        labeler = pseudo_labeler_of_run(model, context, reporter)
    sampler = Sampler(
        generator,
        model.card.class_names,
        seed,
        context,
        options=options,
        which=which,
        labeler=labeler,
        min_confidence=min_confidence,
        run=model.named,
    )
    filter_context = FilterContext(
        model,
        sampler.attempts,
        known,
        seed=seed,
        fit_seed=model.card.seed if splits is None else seed,
        context=context,
        home=model.run if splits is None else None,
        reporter=reporter,
    )
    fitted = {name: filter_class(name).build(filter_context) for name in in_order(filters)}
    return replace(sampler, filters=fitted)


def needs_pseudo_labels(model: Model) -> bool:
    """Whether a classifier must choose the labels: several classes, which the generator does not know."""
    return not model.conditional and len(model.card.class_names) > 1


def check_request(
    model: Model,
    options: SamplerOptions,
    filters: Sequence[str],
    *,
    which: int | None = None,
    min_confidence: float = 0.0,
    smallest: int | None = None,
) -> None:
    """Raise UsageError for what the model cannot do; `smallest`: training images of the smallest class, if known."""
    has = model.generator.num_generators
    if which is not None and which >= has:
        numbers = f"{has} generators, 0 to {has - 1}" if has > 1 else "one generator, number 0"
        raise UsageError(f"--generator {which}: {model.named} has {numbers}")
    if min_confidence > 0 and not needs_pseudo_labels(model):
        what = f"no classifier labels the samples of {model.named}"
        raise UsageError(f"--min-confidence {min_confidence:g}: {what}; leave it out")
    if options.given():
        options.check(sampler_options_of(model), model.named)
    if filters and model.available is not None:
        raise UsageError(
            f"--filter {','.join(filters)}: {model.named} rebuilds training images; leave it out"
        )
    target = FilterTarget(model.card.arch, loss_of(model), len(model.card.class_names), model.named, smallest)
    for name in in_order(filters):
        filter_class(name).check(target)


def loss_of(model: Model) -> str:
    """The adversarial loss that it was trained with, from the run's `config.yaml`; empty where there is none."""
    if model.run is None or not (model.run / "config.yaml").is_file():
        return ""
    return str(read_config(model.run / "config.yaml").get("method", {}).get("loss", ""))


def sampler_options_of(model: Model) -> tuple[str, ...]:
    """Names of the sampler's options that a generator understands: one that rebuilds training images draws nothing."""
    if model.generator.available is not None:
        return ()
    return model.card.options.understood


def model_summary(model: Model, options: SamplerOptions) -> dict[str, Any]:
    """Which generator it is and how it is sampled, in plain values; `weights` is a hex hash (16 digits) of them."""
    card, folder = model.card, cast(Path, model.run) / "model"
    return {
        "run": card.run,
        "arch": card.arch,
        "spec": card.spec,
        "checkpoint": model.checkpoint,
        "steps": model.steps,
        "train_seed": card.seed,
        "weights": sha256_of_file(folder / model.weights_file)[:16],
        "generators": model.generator.num_generators,
        "sampler": options.understood(sampler_options_of(model)),
    }
