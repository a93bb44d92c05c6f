"""The sampler of a trained run: checked, with the pseudo-labels and the filters that it needs."""

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch

from gangda.config import architectures
from gangda.config.sampler_options import SamplerOptions
from gangda.data.images import LabelledImages
from gangda.errors import RunError, UsageError
from gangda.runtime.device import DeviceContext
from gangda.runtime.progress import SILENT, Reporter
from gangda.sampling.filters import filter_class, in_order
from gangda.sampling.filters.base import FilterContext
from gangda.sampling.pseudo_labels import PseudoLabeler, images_of_run, pseudo_labeler_of_run
from gangda.sampling.sampler import Sampler
from gangda.training.saved_model import Model, loss_of
from gangda.zoo.base import Generator


def make_sampler(
    model: Model,
    *,
    seed: int,
    context: DeviceContext,
    run: Path | None = None,
    labeler: PseudoLabeler | None = None,
    which: int | None = None,
    min_confidence: float = 0.0,
    options: SamplerOptions = SamplerOptions(),  # noqa: B008  (frozen)
    filters: Sequence[str] = (),
    images: tuple[LabelledImages, LabelledImages] | None = None,
    reporter: Reporter = SILENT,
) -> Sampler:
    """The sampler that fits the model, with the filters of these names.

    Args:
        labeler: chooses the labels where the generator does not know them; by default the run folder's own.
        images: training and validation images that filters may learn from, with `seed`; by default the run's own, with
            the run's seed: then what is learned is kept in the run folder.

    Raises:
        UsageError: `which` is not one of the run's generators; a least confidence where no classifier chooses labels;
            options of another sampler; a filter that cannot be used on this model.
        RunError: what pseudo-labels or a filter need is missing.
    """
    check_request(model, options, filters, which=which, min_confidence=min_confidence)
    layout = torch.channels_last if context.channels_last else torch.contiguous_format
    generator: Generator = model.generator.to(context.device, memory_format=layout)  # type: ignore[call-overload]
    if not needs_pseudo_labels(model):
        labeler = None
    elif labeler is None:
        if run is None:
            raise RunError(
                f"{model.named}: makes images without labels, and has no run folder to label them by"
            )
        labeler = pseudo_labeler_of_run(run, model, context, reporter)
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
    if not filters:
        return sampler
    if images is None and run is None:
        raise RunError(f"{model.named}: there is no run folder whose images --filter could go by")
    filter_context = FilterContext(
        model,
        sampler.attempts,
        functools.cache(lambda: images or images_of_run(cast(Path, run), model)),
        seed=seed,
        fit_seed=model.card.seed if images is None else seed,
        context=context,
        home=run if images is None else None,
        reporter=reporter,
    )
    return replace(
        sampler, filters={name: filter_class(name).build(filter_context) for name in in_order(filters)}
    )


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
    """Refuse what the model cannot do; see `make_sampler`.

    Args:
        smallest: training images of the smallest class, where they are known already.

    Raises:
        UsageError: no such generator, no labels to be confident about, options of another sampler, or a filter that
            cannot be used on its samples.
    """
    has = model.generator.num_generators
    if which is not None and which >= has:
        numbers = f"{has} generators, 0 to {has - 1}" if has > 1 else "one generator, number 0"
        raise UsageError(f"--generator {which}: {model.named} has {numbers}")
    if min_confidence > 0 and not needs_pseudo_labels(model):
        raise UsageError(
            f"--min-confidence {min_confidence:g}: no classifier labels the samples of {model.named}; leave it out"
        )
    if options.given():
        options.check(sampler_options_of(model), model.named)
    if filters and model.available is not None:
        raise UsageError(
            f"--filter {','.join(filters)}: {model.named} rebuilds training images and makes no new ones; leave it out"
        )
    for name in in_order(filters):
        classes = len(model.card.class_names)
        filter_class(name).check(model.card.arch, loss_of(model), classes, model.named, smallest)


def sampler_options_of(model: Model) -> tuple[str, ...]:
    """Names of the sampler's options that a generator understands: one that rebuilds training images draws nothing."""
    if model.generator.available is not None:
        return ()
    return architectures.spec_class(model.card.arch).sampler_options


def model_summary(run: Path, model: Model, options: SamplerOptions) -> dict[str, Any]:
    """Which generator it is and how it is sampled, in plain values; `weights` is a hex hash (16 digits) of them."""
    card = model.card
    with (run / "model" / model.weights_file).open("rb") as file:
        weights = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    return {
        "run": card.run,
        "arch": card.arch,
        "spec": card.spec,
        "checkpoint": model.checkpoint,
        "steps": model.steps,
        "train_seed": card.seed,
        "weights": weights,
        "generators": model.generator.num_generators,
        "sampler": options.understood(sampler_options_of(model)),
    }
