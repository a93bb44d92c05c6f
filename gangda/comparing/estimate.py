"""What a comparison would take on this machine, time, memory and disk, from a few of its steps."""

import dataclasses
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from gangda.classifying.fit import fit_classifier, step_count
from gangda.classifying.self_training import SHARES
from gangda.comparing.analyses import planned_analyses
from gangda.comparing.arm_evaluator import TEACHERS
from gangda.comparing.arm_sets import ratios_of, train_config, wanted
from gangda.comparing.cell_result import generator_key
from gangda.comparing.cells import splits_of
from gangda.comparing.plan import ComparisonPlan
from gangda.comparing.policy_choice import can_choose, policy_cost
from gangda.comparing.workers import job_count
from gangda.config.arms import parse_arm
from gangda.config.policies import AUTO, BY_ARM, EXPLICIT
from gangda.config.schema import TransformConfig
from gangda.data.images import LabelledImages
from gangda.runtime.device import DeviceContext, prepare
from gangda.runtime.progress import duration
from gangda.statistics.signflip import fewest_for
from gangda.training import check as check_training
from gangda.training.estimate import estimated
from gangda.training.memory import steps_to_try, training_disk
from gangda.training.result import Estimate
from gangda.zoo.base import Generator
from gangda.zoo.draw import draw_block

CELL = 2**20  # about so many bytes of a cell's file and pictures
TRIED = 30  # steps of a classifier, and samples of a generator


@dataclass(frozen=True)
class Cost:
    """What a comparison takes; filters and evaluation are left out.

    A second classifier is taken to train as fast as the first.
    """

    cell_seconds: float  # in the mean, where an analysis runs in the first cells only
    left_seconds: float  # of the cells that are not finished
    at_once: int  # cells at a time
    memory_bytes: int  # of these
    disk_bytes: int  # of all cells, once they are finished
    choices: tuple[str, ...]  # cheaper and better runs, a sentence each


def cost_of(plan: ComparisonPlan, finished: int, jobs: int | None = None) -> Cost:
    """Time some steps, and reckon.

    Every generator is taken to learn from the subset: those that see more images may take longer.
    """
    config, context, transforms = plan.config, prepare(plan.config.runtime), plan.config.transforms
    splits, at_once = splits_of(plan, plan.cells[0]), job_count(jobs, plan)[0]
    real = splits.train
    arms = {name: parse_arm(name) for name in config.compare.arms}
    keys = {generator_key(arm.added, arch or config.arch): arch for arm, arch in arms.values() if arm.sampled}
    trained = [_generator(plan, *one, real, context) for one in keys.items()]
    fits: float = sum(
        len(ratios_of(config.compare, name)) if arm.added else 1 for name, (arm, _) in arms.items()
    )
    fits += len(SHARES) * any(arm.unlabelled for arm, _ in arms.values())
    fits += TEACHERS * any(arm.rule.distilled for arm, _ in arms.values())
    fits += _analysis_fits(plan)
    if transforms.policy == AUTO:
        transforms, fits = transforms.under(EXPLICIT, transforms.mixup), fits + policy_cost()
    fit = _fit_seconds(plan, real, transforms, context)
    seconds = sum(one.seconds for one in trained) + fits * fit
    possible = can_choose(real.counts() + splits.validation.counts())
    search = policy_cost() * fit if possible else None
    made = int(wanted(config, real, generated=True).sum()) if keys else 0
    images = made * real.pixels[:1].nbytes
    left = len(plan.cells) - finished
    return Cost(
        cell_seconds=seconds,
        left_seconds=math.ceil(left / at_once) * seconds,
        at_once=at_once,
        memory_bytes=at_once
        * (max([one.memory_bytes for one in trained], default=real.pixels.nbytes) + images),
        disk_bytes=len(plan.cells) * (CELL + sum(one.disk_bytes for one in trained)),
        choices=tuple(_choices(plan, seconds, search, at_once)),
    )


def _analysis_fits(plan: ComparisonPlan) -> float:
    """Classifiers that analyses train in a cell, in the mean over the cells, as usual trainings."""
    cells = len(plan.cells)
    return sum(
        one.fits * one.length * min(one.cells or cells, cells) / cells
        for one in planned_analyses(plan.config).values()
    )


def _fit_seconds(
    plan: ComparisonPlan, real: LabelledImages, transforms: TransformConfig, context: DeviceContext
) -> float:
    """One classifier's training on these images: what it takes once, and its steps."""
    config, took = plan.config.classifier, []
    for steps in (1, 1, TRIED):  # the first one loads what all need
        few = dataclasses.replace(config, classifier_steps=steps, classifier_epochs=None)
        began = time.perf_counter()
        fit_classifier(real, few, seed=0, context=context, transforms=transforms)
        took.append(time.perf_counter() - began)
    _, once, tried = took
    each = max(0.0, tried - once) / (TRIED - 1)
    return once + each * (step_count(config, len(real)) - 1)


def _choices(plan: ComparisonPlan, seconds: float, search: float | None, at_once: int) -> Iterator[str]:
    """Other runs and their times, a sentence each; `search`: seconds of a cell to choose transforms, if it can.

    Fewer and more seeds, but never so few that they can show nothing.
    """
    config, seeds, least = plan.config, len(plan.cells), fewest_for(plan.level)

    def time_of(count: int, each: float) -> str:
        return duration(math.ceil(count / at_once) * each)

    for word, count in (("cheaper", least if seeds > least else 0), ("better", max(2 * seeds, least))):
        if count:
            yield f"{word}: --seeds {count}, about {time_of(count, seconds)}"
    if search is None:
        return
    arms = [parse_arm(name)[0] for name in config.compare.arms]
    if config.transforms.policy == EXPLICIT and any(arm.rule.transforms == "traditional" for arm in arms):
        takes = time_of(seeds, seconds + search)
        yield f"fairer, with transforms that each seed chooses by cross-validation: --policy auto, about {takes}"
    if config.transforms.policy == AUTO:
        takes = time_of(seeds, seconds - search)
        plain = " (and no :auto in --arms)" if config.origins.get("transforms.policy") == BY_ARM else ""
        yield f"cheaper, with transforms as given, not chosen: --policy explicit{plain}, about {takes}"


def _generator(
    plan: ComparisonPlan, key: str, arch: str | None, real: LabelledImages, context: DeviceContext
) -> Estimate:
    """Training, where it is not a shared run's, and samples; a fit in closed form takes no time worth naming."""
    config = plan.config
    trained = train_config(config, arch or config.arch, plan.cells[0].seed)
    if not trained.images_per_step:
        return Estimate({}, 0, 0.0, 0, 0.0, memory_bytes=2 * real.pixels.nbytes)
    trained = check_training(trained, real, labelled=True)
    found = estimated(trained, {}, real, context)
    kept = training_disk(found.parameters, checkpoints=0)  # those of a finished cell are removed
    found = dataclasses.replace(found, disk_bytes=kept)
    if plan.run is not None and key == config.arch:
        found = dataclasses.replace(found, seconds=0.0, disk_bytes=0)
    generator = cast(Generator, steps_to_try(trained, real, context)[0].modules["generator"])
    options = config.sampler.only(trained.spec.understood)
    began = time.perf_counter()
    draw_block(generator, 0, 0, seed=0, context=context, options=options, count=TRIED)
    each = (time.perf_counter() - began) / TRIED
    draws = each * int(wanted(config, real, generated=True).sum())
    return dataclasses.replace(found, seconds=found.seconds + draws)
