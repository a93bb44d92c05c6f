"""How long one cell of a comparison would take on this machine, from a few of its steps."""

import dataclasses
import time
from typing import cast

from gangda.classifying.fit import fit_classifier, step_count
from gangda.classifying.self_training import SHARES
from gangda.comparing.arm_evaluator import TEACHERS
from gangda.comparing.arm_sets import ratios_of, train_config, wanted
from gangda.comparing.cell_result import generator_key
from gangda.comparing.cells import splits_of
from gangda.comparing.plan import ComparisonPlan
from gangda.comparing.policy_choice import policy_fits
from gangda.config.arms import parse_arm
from gangda.config.policies import AUTO, EXPLICIT
from gangda.data.images import LabelledImages
from gangda.runtime.device import DeviceContext, prepare
from gangda.training import check as check_training
from gangda.training.estimate import estimated
from gangda.training.memory import steps_to_try
from gangda.zoo.base import Generator
from gangda.zoo.draw import draw_block

TRIED = 30  # steps of a classifier, and samples of a generator


def cell_seconds(plan: ComparisonPlan) -> float:
    """Seconds of training, sampling and classifying; filters, analyses and evaluation are left out.

    Every generator is taken to learn from the subset: those that see more images may take longer.
    """
    config, context, transforms = plan.config, prepare(plan.config.runtime), plan.config.transforms
    real = splits_of(plan, plan.cells[0]).train
    arms = {name: parse_arm(name) for name in config.compare.arms}
    keys = {generator_key(arm.added, arch or config.arch): arch for arm, arch in arms.values() if arm.sampled}
    seconds = sum(_generator_seconds(plan, *one, real, context) for one in keys.items())
    fits = sum(len(ratios_of(config.compare, name)) if arm.added else 1 for name, (arm, _) in arms.items())
    fits += len(SHARES) * any(arm.unlabelled for arm, _ in arms.values())
    fits += TEACHERS * any(arm.rule.distilled for arm, _ in arms.values())
    if transforms.policy == AUTO:
        transforms, fits = transforms.under(EXPLICIT, transforms.mixup), fits + policy_fits()
    few = dataclasses.replace(config.classifier, classifier_steps=TRIED, classifier_epochs=None)
    began = time.perf_counter()
    fit_classifier(real, few, seed=0, context=context, transforms=transforms)
    each = (time.perf_counter() - began) / TRIED
    return seconds + fits * each * step_count(config.classifier, len(real))


def _generator_seconds(
    plan: ComparisonPlan, key: str, arch: str | None, real: LabelledImages, context: DeviceContext
) -> float:
    """Training, where it is not a shared run's, and samples; a fit in closed form takes no time worth naming."""
    config = plan.config
    trained = train_config(config, arch or config.arch, plan.cells[0].seed)
    if not trained.images_per_step:
        return 0.0
    trained = check_training(trained, real, labelled=True)
    shared = plan.run is not None and key == config.arch
    training = 0.0 if shared else estimated(trained, {}, real, context).seconds
    generator = cast(Generator, steps_to_try(trained, real, context)[0].modules["generator"])
    options = config.sampler.only(trained.spec.understood)
    began = time.perf_counter()
    draw_block(generator, 0, 0, seed=0, context=context, options=options, count=TRIED)
    each = (time.perf_counter() - began) / TRIED
    return training + each * int(wanted(config, real, generated=True).sum())
