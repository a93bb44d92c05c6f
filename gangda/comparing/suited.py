"""What a comparison of these images needs, where the user has not said it; and what is seen in them."""

import dataclasses
from collections.abc import Collection, Iterator

import numpy as np

from gangda.augmenting.plan import MOST_NAMES, make_plan
from gangda.comparing.policy_choice import can_choose, policy_cost
from gangda.config.arms import parse_arm
from gangda.config.policies import AUTO, EXPLICIT
from gangda.config.schema import CompareConfig, ComparisonConfig
from gangda.data.loading import load_splits
from gangda.data.splits import DataSplits

UNBALANCED = 2.0  # times as many images of the largest class as of the smallest
TAIL = 0.5  # of the largest class: what smaller ones are filled up to
# Filling tails also evens the classes out, which drawing them equally often does without any image: the control.
TREATED, BALANCED = "generated+traditional", "balanced+traditional"
TESTED = (f"{TREATED} - {BALANCED}", f"{TREATED} - traditional")
# Real images of a seed, at most, where it chooses its transforms. The search takes as long whatever their number, and
# with more of them transforms matter less.
FEW = 1000
FOR_UNBALANCED, FOR_FEW = "chosen for unbalanced classes", "chosen for few images"  # origins of these values
FILLED = "--balance without --ratios"
AMOUNTS = ("compare.ratios", "compare.fill", "compare.replace", "compare.balance")


def as_in_augment(config: ComparisonConfig, asked: Collection[str]) -> ComparisonConfig:
    """`--balance` without `--ratios` fills every class to the largest; `asked`: options given, as in "data.source"."""
    compare = config.compare
    if not compare.balance or "compare.ratios" in asked:
        return config
    filled = dataclasses.replace(compare, balance=False, fill=(1.0,), ratios=CompareConfig().ratios)
    origins = {**config.origins, **dict.fromkeys(("compare.balance", "compare.fill"), FILLED)}
    return dataclasses.replace(config, compare=filled, origins=origins)


def suited(config: ComparisonConfig, asked: Collection[str]) -> tuple[ComparisonConfig, str]:
    """What these images need, each only where not `asked` otherwise, and what is to be said of it.

    Of unbalanced classes: balanced accuracy, filled tails and a balanced control. Of few images: traditional transforms
    that each seed chooses.

    Raises UsageError, DataError: images that cannot be read.
    """
    config, said = as_in_augment(config, asked), []
    if not (_open_score(asked) or _open_amount(config, asked) or _open_transforms(config, asked)):
        return config, ""
    splits = load_splits(config.data, config.runtime.seed)
    for choose in (_for_unbalanced, _for_few):
        config, words = choose(config, asked, splits)
        said += [words] if words else []
    return config, f"{'; '.join(said)}; your own options replace these" if said else ""


def _for_unbalanced(
    config: ComparisonConfig, asked: Collection[str], splits: DataSplits
) -> tuple[ComparisonConfig, str]:
    counts, compare, chosen = splits.train.counts(), config.compare, []
    if counts.max() < UNBALANCED * max(1, counts.min()):
        return config, ""
    if _open_score(asked):
        compare = dataclasses.replace(compare, score_by="balanced")
        chosen.append("--score-by balanced (mean recall of the classes)")
    if _open_amount(config, asked):
        compare = dataclasses.replace(compare, fill=(TAIL,))
        chosen.append(f"--fill {TAIL:g} (smaller classes are filled to half of the largest)")
        if TREATED in compare.arms and not {"compare.arms", "compare.contrast"}.intersection(asked):
            compare = dataclasses.replace(compare, arms=(*compare.arms, BALANCED), contrast=TESTED)
            chosen.append(f"arm {BALANCED} (classes drawn equally often), which generated images must beat")
    if not chosen:
        return config, ""
    said = f"unbalanced classes ({int(counts.min()):,} to {int(counts.max()):,} images): {', '.join(chosen)}"
    changed = [
        f"compare.{name}" for name, value in vars(compare).items() if value != getattr(config.compare, name)
    ]
    origins = {**config.origins, **dict.fromkeys(changed, FOR_UNBALANCED)}
    return dataclasses.replace(config, compare=compare, origins=origins), said


def _for_few(
    config: ComparisonConfig, asked: Collection[str], splits: DataSplits
) -> tuple[ComparisonConfig, str]:
    counts = splits.train.counts() + splits.validation.counts()
    if not _open_transforms(config, asked) or counts.sum() > FEW or not can_choose(counts):
        return config, ""
    said = (
        f"few images ({int(counts.sum()):,} a seed): --policy {AUTO} (each seed chooses its transforms by "
        f"cross-validation, in the time of {policy_cost():g} arms)"
    )
    origins = {**config.origins, "transforms.policy": FOR_FEW}
    transforms = dataclasses.replace(config.transforms, policy=AUTO)
    return dataclasses.replace(config, transforms=transforms, origins=origins), said


def _open_score(asked: Collection[str]) -> bool:
    return "compare.score_by" not in asked


def _open_amount(config: ComparisonConfig, asked: Collection[str]) -> bool:
    compare = config.compare
    own = any(compare.of_arm(name) is not compare for name in compare.arms)
    return not own and not any(name in asked for name in AMOUNTS)


def _open_transforms(config: ComparisonConfig, asked: Collection[str]) -> bool:
    said = config.transforms.policy != EXPLICIT or any(name.startswith("transforms.") for name in asked)
    arms = [parse_arm(name)[0] for name in config.compare.arms]
    return not said and any(arm.rule.transforms == "traditional" for arm in arms)


def seen(config: ComparisonConfig, splits: DataSplits) -> Iterator[str]:
    """What is in the images, a sentence each: classes, splits, odd sizes and twins, classes too small to learn."""
    parts = (
        ("to train on", splits.train),
        ("for validation", splits.validation),
        ("held out to test", splits.test),
    )
    names, counts = splits.train.class_names, np.sum([part.counts() for _, part in parts], axis=0)
    listed = [f"{name} {count:,}" for name, count in zip(names, counts.tolist(), strict=True)]
    if len(listed) > MOST_NAMES:
        listed = [*listed[:MOST_NAMES], f"and {len(listed) - MOST_NAMES} more"]
    sizes = ", ".join(f"{len(part):,} {words}" for words, part in parts)
    yield f"{splits.name}: {len(names)} classes (with the test images: {', '.join(listed)}); {sizes}"
    yield from (note for note in splits.notes if note not in splits.alarms)
    compare = config.compare
    if said := make_plan(splits.train, compare.at(max(compare.candidates))).too_few(names):
        yield said
