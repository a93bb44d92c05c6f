"""What each arm trains on: the real subset, plus (or with) added images."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from gangda.augmenting.plan import make_plan
from gangda.augmenting.selection import Filters, filter_choices
from gangda.comparing.analyses import planned_analyses
from gangda.config import architectures
from gangda.config.arms import Arm, parse_arm
from gangda.config.methods import default_options
from gangda.config.schema import AUTO, AugmentConfig, CompareConfig, ComparisonConfig, TrainConfig
from gangda.data.images import IntArray, LabelledImages
from gangda.errors import UsageError
from gangda.sampling.filters import filter_class, in_order
from gangda.sampling.filters.base import FilterTarget
from gangda.statistics.families import family_of

BY_VALIDATION = (
    "several --ratios (or --fill, --replace), --filter auto, --plateau-check, --tune-steps and arms by recall"
)


def adds(arm: Arm, asked: AugmentConfig | None, real: LabelledImages) -> bool:
    """Whether an arm adds images, where a plan of them is `asked` for: a class may have a ratio of its own at 0."""
    if not arm.added or asked is None:
        return False
    return arm.replaces or bool(make_plan(real, asked).make.any())


def passes_of(config: ComparisonConfig, arm: Arm, arch: str | None) -> int:
    """Parts that an arm's added images come in, one a pass: as asked for, else its generator's own number of them."""
    asked = config.compare.synthetic_passes
    if asked is not None:
        return asked
    return architectures.spec_class(arch or config.arch).synthetic_passes if arm.sampled else 1


def most_made(compare: CompareConfig, ratios: Sequence[float], real: LabelledImages) -> IntArray:
    """Added images of each class, int64 (K,), that are enough for a pass with each of these candidates."""
    most: IntArray = np.max([make_plan(real, compare.at(ratio)).make for ratio in ratios], axis=0)
    return most


def ratios_of(compare: CompareConfig, name: str) -> tuple[float, ...]:
    """The ratios (levels, shares) that an arm chooses from, ascending.

    One where it has its own, a known outcome, or replaces all.
    """
    arm = parse_arm(name)[0]
    ratios = tuple(sorted(compare.of_arm(name).candidates))
    return ratios[-1:] if arm.expected or arm.replaces or arm.is_other_real else ratios


def wanted_by(config: ComparisonConfig, real: LabelledImages, name: str) -> IntArray:
    """Added images of each class, int64 (K,), that this arm may need."""
    compare, (arm, arch) = config.compare, parse_arm(name)
    if arm.replaces:
        return real.counts()
    return passes_of(config, arm, arch) * most_made(compare.of_arm(name), ratios_of(compare, name), real)


def wanted(config: ComparisonConfig, real: LabelledImages, *, generated: bool) -> IntArray:
    """Added images of each class, int64 (K,), for every ratio and for replacing all, generated or otherwise."""
    compare = config.compare
    own = {name: parse_arm(name) for name in compare.arms if parse_arm(name)[0].sampled is generated}
    passes = max((passes_of(config, *one) for one in own.values()), default=1)
    amounts = (compare, *map(compare.of_arm, own))
    most = np.max([most_made(one, one.candidates, real) for one in amounts], axis=0)
    return np.asarray(np.maximum(passes * most, real.counts()), dtype=np.int64)


def _archs_of(config: ComparisonConfig) -> list[str]:
    return sorted({arch or config.arch for arm, arch in map(parse_arm, config.compare.arms) if arm.sampled})


def train_config(config: ComparisonConfig, arch: str, seed: int) -> TrainConfig:
    """How a cell trains: as the comparison is configured, or, for another architecture, by its defaults."""
    runtime = dataclasses.replace(config.runtime, seed=seed)
    if arch == config.arch:
        return TrainConfig(
            config.data, arch, config.spec, config.recipe, config.method, config.budget, runtime
        )
    kind = architectures.spec_class(arch)
    recipe, method = default_options(kind.recipe, kind.method)
    return TrainConfig(config.data, arch, kind(), recipe, method, config.budget, runtime)


def fixed_filters(compare: CompareConfig) -> Filters:
    """What generated images must pass where no arm has a choice."""
    return () if AUTO in compare.filter else in_order(compare.filter)


def choices_of(
    config: ComparisonConfig, arm: Arm, arch: str | None, num_classes: int, fewest: int | None = None
) -> tuple[Filters, ...]:
    """The filters an arm chooses from on validation images; a UsageError for one that cannot judge its generator."""
    if not arm.sampled or arm.altered:
        return (fixed_filters(config.compare),)
    return filter_choices(
        config.compare.filter,
        lambda name: _check_filter(config, name, arch or config.arch, num_classes, fewest),
    )


def check_filters(config: ComparisonConfig, num_classes: int, fewest: int | None = None) -> None:
    """Refuse filters that cannot judge the arms' generators; `fewest`: images of the smallest class, if known."""
    for arch in _archs_of(config):
        for name in in_order(config.compare.filter):
            _check_filter(config, name, arch, num_classes, fewest)


def _check_filter(
    config: ComparisonConfig, name: str, arch: str, num_classes: int, fewest: int | None
) -> None:
    loss = getattr(train_config(config, arch, config.runtime.seed).method, "loss", "")
    filter_class(name).check(FilterTarget(arch, loss, num_classes, f"--arch {arch}", fewest))


def check(config: ComparisonConfig) -> None:
    """Refuse a configuration that cannot be compared, by a UsageError."""
    compare = config.compare
    family_of(compare.arms, compare.contrast)
    different = {_as_trained(config, name) for name in compare.arms}
    if len(different) < max(2, len(compare.arms)):
        few = len(different) < 2
        what = "give at least two different arms" if few else "the same arm is there twice; give each once"
        raise UsageError(f"--arms {','.join(compare.arms)}: {what}")
    _check_arms(config)
    if config.data.unlabelled is not None and not any(parse_arm(name)[0].unlabelled for name in compare.arms):
        what = "none of these --arms uses unlabelled images; add pseudo-labelled+traditional, or leave it out"
        raise UsageError(f"--unlabelled {config.data.unlabelled}: {what}")
    archs = _archs_of(config)
    specs = [train_config(config, arch, config.runtime.seed).spec for arch in archs]
    understood = {name for spec in specs for name in spec.understood}
    config.sampler.check(understood, f"--arch {', '.join(archs)}" if archs else "any of these --arms")
    if not compare.candidates or len(set(compare.candidates)) != len(compare.candidates):
        flag = "--fill" if compare.fill else "--replace" if compare.replace else "--ratios"
        raise UsageError(f"{flag}: give at least one, each once")
    if uses_validation(config) and config.data.validation == 0:
        raise UsageError(f"{BY_VALIDATION} go by validation images; give --validation above 0")


def uses_validation(config: ComparisonConfig) -> bool:
    """Whether validation images choose what an arm adds, or are needed by an analysis."""
    compare, analyses = config.compare, planned_analyses(config).values()
    by_recall = any(parse_arm(name)[0].by_recall for name in compare.arms)
    chooses = len(compare.candidates) > 1 or AUTO in compare.filter or by_recall
    return chooses or any(one.validation for one in analyses)


def _as_trained(config: ComparisonConfig, name: str) -> tuple[object, ...]:
    """What makes an arm another one: not how its architecture or ratio is spelt, or whether it is spelt out."""
    arm, arch = parse_arm(name)
    made_by = (arch or config.arch) if arm.generated else None
    if not arm.added or arm.replaces:
        return arm, made_by, ()
    own = config.compare.of_arm(name)
    return arm, made_by, tuple(own.at(ratio) for ratio in ratios_of(config.compare, name))


def _check_arms(config: ComparisonConfig) -> None:
    compare, data = config.compare, config.data
    for name in compare.arms:
        arm, own = parse_arm(name)[0], compare.of_arm(name)
        reason = ""
        if arm.is_other_real and data.per_class is None and data.class_counts is None:
            reason = "nothing is held back; give --per-class or --class-counts"
        elif arm.unlabelled and data.unlabelled is None:
            reason = "needs images without labels; give --unlabelled, a number or a folder"
        elif arm.by_recall and (own.replace or own.balance or own.fill):
            reason = "shares out what is added; it goes with neither --replace nor --balance nor --fill"
        elif own.replace and arm.rule.pretrained and max(ratios_of(compare, name)) >= 1:
            reason = "leaves no real image to train on then; give --replace below 1"
        if reason:
            raise UsageError(f"--arms {name}: {reason}")
