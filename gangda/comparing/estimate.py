"""How long one cell of a comparison would take on this machine, from a few of its steps."""

import dataclasses
import time
from typing import cast

from gangda.classifying.fit import fit_classifier, step_count
from gangda.comparing.arm_sets import archs_of, ratios_of, train_config, wanted
from gangda.comparing.plan import ComparisonPlan
from gangda.comparing.policy_choice import policy_fits
from gangda.config.policies import AUTO, EXPLICIT
from gangda.data.images import LabelledImages
from gangda.data.loading import load_splits
from gangda.runtime.device import DeviceContext, prepare
from gangda.training import check as check_training
from gangda.training.estimate import estimated
from gangda.training.memory import steps_to_try
from gangda.zoo.base import Generator
from gangda.zoo.draw import draw_block

TRIED = 30  # steps of a classifier, and samples of a generator


def cell_seconds(plan: ComparisonPlan) -> float:
    """Seconds of training, sampling and classifying; filters, analyses and evaluation are left out."""
    config, context = plan.config, prepare(plan.config.runtime)
    real = load_splits(config.data, plan.cells[0].seed).train
    seconds = sum(_generator_seconds(plan, arch, real, context) for arch in archs_of(config))
    transforms, fits = (
        config.transforms,
        sum(len(ratios_of(config.compare, arm)) for arm in config.compare.arms),
    )
    if transforms.policy == AUTO:
        transforms, fits = transforms.under(EXPLICIT, transforms.mixup), fits + policy_fits()
    few = dataclasses.replace(config.classifier, classifier_steps=TRIED, classifier_epochs=None)
    began = time.perf_counter()
    fit_classifier(real, few, seed=0, context=context, transforms=transforms)
    each = (time.perf_counter() - began) / TRIED
    return seconds + fits * each * step_count(config.classifier, len(real))


def _generator_seconds(
    plan: ComparisonPlan, arch: str, real: LabelledImages, context: DeviceContext
) -> float:
    """Training, where it is not a shared run's, and samples; a fit in closed form takes no time worth naming."""
    config = plan.config
    trained = train_config(config, arch, plan.cells[0].seed)
    if not trained.images_per_step:
        return 0.0
    trained = check_training(trained, real, labelled=True)
    shared = plan.run is not None and arch == config.arch
    training = 0.0 if shared else estimated(trained, {}, real, context).seconds
    generator = cast(Generator, steps_to_try(trained, real, context)[0].modules["generator"])
    options = config.sampler.only(trained.spec.understood)
    began = time.perf_counter()
    draw_block(generator, 0, 0, seed=0, context=context, options=options, count=TRIED)
    each = (time.perf_counter() - began) / TRIED
    return training + each * int(wanted(config, real, generated=True).sum())
