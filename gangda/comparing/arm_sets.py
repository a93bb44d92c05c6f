"""What each arm trains on: the real subset, plus (or with) added images."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from gangda.augmenting.plan import make_plan
from gangda.augmenting.selection import Filters, filter_choices
from gangda.config import architectures
from gangda.config.arms import Arm, parse_arm, ratio_of
from gangda.config.methods import default_options
from gangda.config.schema import AUTO, CompareConfig, ComparisonConfig, TrainConfig
from gangda.data.images import IntArray, LabelledImages
from gangda.sampling.filters import filter_class, in_order
from gangda.sampling.filters.base import FilterTarget

LEAKY = "leaky"  # the key of a generator that saw all of the source's training images


def adds_at(compare: CompareConfig, arm: Arm, ratio: float | None, real: LabelledImages) -> bool:
    """Whether an arm adds images at a ratio: at 0 only where a class has a ratio of its own and there is no choice.

    Of several ratios 0 is the real images alone: otherwise a choice would not tell whether adding helps.
    """
    if not arm.added or ratio is None:
        return False
    if ratio == 0 and len(compare.candidates) > 1:
        return False
    return arm.replaces or bool(make_plan(real, compare.at(ratio)).make.any())


def most_made(compare: CompareConfig, ratios: Sequence[float], real: LabelledImages) -> IntArray:
    """Added images of each class, int64 (K,), that are enough for each of the ratios, whatever the pass."""
    most: IntArray = np.max([make_plan(real, compare.at(ratio)).make for ratio in ratios], axis=0)
    return compare.synthetic_passes * most


def ratios_of(compare: CompareConfig, name: str) -> tuple[float, ...]:
    """The ratios that an arm which adds images has to choose from, ascending: one, where it does not choose.

    Arms with a known outcome, and points of a learning curve, need one size in all seeds.
    """
    arm, own = parse_arm(name)[0], ratio_of(name)
    if own is not None:
        return (own,)
    ratios = tuple(sorted(compare.candidates))
    return ratios[-1:] if arm.expected or arm.replaces or arm.added == "held back" else ratios


def wanted_by(config: ComparisonConfig, real: LabelledImages, name: str) -> IntArray:
    """Added images of each class, int64 (K,), that this arm may need."""
    compare = config.compare
    if parse_arm(name)[0].replaces:
        return real.counts()
    return most_made(compare, ratios_of(compare, name), real)


def wanted(config: ComparisonConfig, real: LabelledImages, *, generated: bool) -> IntArray:
    """Added images of each class, int64 (K,): enough for every ratio, and for replacing all.

    `generated`: of those that come from generators, or of the others; an arm's own ratio counts for its kind alone.
    """
    compare = config.compare
    own = [ratio_of(name) for name in compare.arms if parse_arm(name)[0].sampled is generated]
    ratios = (*compare.candidates, *(ratio for ratio in own if ratio is not None))
    most = most_made(compare, ratios, real)
    return np.asarray(np.maximum(most, real.counts()), dtype=np.int64)


def generator_key(added: str, arch: str) -> str:
    """The key, among a cell's generators, of the one whose samples are added; `arch` is the arm's architecture."""
    return LEAKY if added == "leaked" else arch


def archs_of(config: ComparisonConfig) -> list[str]:
    """Architectures whose samples the arms add, sorted."""
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


def chooses(compare: CompareConfig) -> bool:
    """Whether validation images decide what an arm adds."""
    by_recall = any(parse_arm(name)[0].by_recall for name in compare.arms)
    return len(compare.candidates) > 1 or AUTO in compare.filter or by_recall


def fixed_filters(compare: CompareConfig) -> Filters:
    """What generated images must pass where no arm has a choice."""
    return () if AUTO in compare.filter else in_order(compare.filter)


def choices_of(
    config: ComparisonConfig, arm: Arm, arch: str | None, num_classes: int, fewest: int | None = None
) -> tuple[Filters, ...]:
    """The filters that an arm chooses from on validation images; with `--filter auto` more than one.

    `fewest`: training images of the smallest class, where they are known.

    Raises:
        UsageError: a filter was named that cannot judge the arm's generator.
    """
    if not arm.sampled or arm.altered:
        return (fixed_filters(config.compare),)
    return filter_choices(
        config.compare.filter,
        lambda name: _check_filter(config, name, arch or config.arch, num_classes, fewest),
    )


def check_filters(config: ComparisonConfig, num_classes: int, fewest: int | None = None) -> None:
    """Refuse filters that cannot judge what the generators of the arms will make.

    `fewest`: training images of the smallest class, where they are known.

    Raises:
        UsageError: with the reason.
    """
    for arch in archs_of(config):
        for name in in_order(config.compare.filter):
            _check_filter(config, name, arch, num_classes, fewest)


def _check_filter(
    config: ComparisonConfig, name: str, arch: str, num_classes: int, fewest: int | None
) -> None:
    loss = getattr(train_config(config, arch, config.runtime.seed).method, "loss", "")
    filter_class(name).check(FilterTarget(arch, loss, num_classes, f"--arch {arch}", fewest))
