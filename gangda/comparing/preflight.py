"""Configurations that cannot be compared."""

from gangda.comparing.analyses import planned_analyses
from gangda.comparing.arm_sets import archs_of, chooses, ratios_of
from gangda.config import architectures
from gangda.config.arms import parse_arm, ratio_of
from gangda.config.schema import ComparisonConfig
from gangda.errors import UsageError
from gangda.statistics.families import family_of


def check(config: ComparisonConfig) -> None:
    """Refuse a configuration that cannot be compared.

    Raises:
        UsageError: see the messages.
    """
    compare = config.compare
    family_of(compare.arms, compare.contrast)
    different = {_as_trained(config, name) for name in compare.arms}
    if len(different) < 2:
        raise UsageError(f"--arms {','.join(compare.arms)}: give at least two different arms")
    if len(different) < len(compare.arms):
        raise UsageError(f"--arms {','.join(compare.arms)}: the same arm is there twice; give each once")
    _check_arms(config)
    archs = archs_of(config)
    understood = {name for arch in archs for name in architectures.spec_class(arch).sampler_options}
    config.sampler.check(understood, f"--arch {', '.join(archs)}" if archs else "any of these --arms")
    if not compare.candidates or len(set(compare.candidates)) != len(compare.candidates):
        raise UsageError(f"{'--replace' if compare.replace else '--ratios'}: give at least one, each once")
    if uses_validation(config) and config.data.validation == 0:
        raise UsageError(
            "several --ratios (or --replace), --filter auto, --tune-steps and arms by recall go by validation images; "
            "give --validation above 0"
        )


def uses_validation(config: ComparisonConfig) -> bool:
    """Whether validation images choose what an arm adds, or for how long it trains."""
    return chooses(config.compare) or any(one.validation for one in planned_analyses(config).values())


def _as_trained(config: ComparisonConfig, name: str) -> tuple[object, ...]:
    """What makes an arm another one: not how its architecture or ratio is spelt, or whether it is spelt out."""
    arm, arch = parse_arm(name)
    made_by = (arch or config.arch) if arm.generated else None
    return arm, made_by, ratios_of(config.compare, name) if arm.added and not arm.replaces else ()


def _check_arms(config: ComparisonConfig) -> None:
    """Refuse arms that these data or this mode cannot have."""
    whole = config.data.per_class is None and config.data.class_counts is None
    for name in config.compare.arms:
        if whole and parse_arm(name)[0].added == "held back":
            raise UsageError(f"--arms {name}: nothing is held back; give --per-class or --class-counts")
        if (config.compare.replace or config.compare.balance) and parse_arm(name)[0].by_recall:
            raise UsageError(
                f"--arms {name}: shares out what is added; it goes with neither --replace nor --balance"
            )
        if not config.compare.replace:
            continue
        ratio = ratio_of(name)
        if ratio is not None and ratio > 1:
            raise UsageError(f"--arms {name}: with --replace a ratio is a share, 0 to 1")
        if parse_arm(name)[0].rule.pretrained and max(ratios_of(config.compare, name)) >= 1:
            raise UsageError(f"--arms {name}: leaves no real image to train on then; give --replace below 1")
