"""What a comparison of these images needs, where the user has not said it; and what is seen in them."""

import dataclasses
from collections.abc import Collection, Iterator

import numpy as np

from gangda.augmenting.plan import MOST_NAMES, make_plan
from gangda.config.schema import CompareConfig, ComparisonConfig
from gangda.data.loading import load_splits
from gangda.data.splits import DataSplits

UNBALANCED = 2.0  # times as many images of the largest class as of the smallest
TAIL = 0.5  # of the largest class: what smaller ones are filled up to
# Filling tails also evens the classes out, which drawing them equally often does without any image: the control.
TREATED, BALANCED = "generated+traditional", "balanced+traditional"
TESTED = (f"{TREATED} - {BALANCED}", f"{TREATED} - traditional")
CHOSEN = "chosen for unbalanced classes"  # the origin of these values
AMOUNTS = ("compare.ratios", "compare.fill", "compare.replace", "compare.balance", "compare.ratio_for")


def as_in_augment(config: ComparisonConfig, asked: Collection[str]) -> ComparisonConfig:
    """`--balance` without `--ratios` fills every class to the largest; `asked`: options given, as in "data.source"."""
    compare = config.compare
    if not compare.balance or "compare.ratios" in asked:
        return config
    filled = dataclasses.replace(compare, balance=False, fill=(1.0,), ratios=CompareConfig().ratios)
    return dataclasses.replace(config, compare=filled)


def suited(config: ComparisonConfig, asked: Collection[str]) -> tuple[ComparisonConfig, str]:
    """Of unbalanced classes: balanced accuracy, filled tails and a balanced control, and what is to be said of them.

    Each only where not `asked` otherwise.

    Raises UsageError, DataError: images that cannot be read.
    """
    config = as_in_augment(config, asked)
    open_score = "compare.score_by" not in asked
    open_amount = not any(name in asked for name in AMOUNTS) and ":" not in "".join(config.compare.arms)
    if not (open_score or open_amount):
        return config, ""
    counts = load_splits(config.data, config.runtime.seed).train.counts()
    if counts.max() < UNBALANCED * max(1, counts.min()):
        return config, ""
    chosen, compare = [], config.compare
    if open_score:
        compare = dataclasses.replace(compare, score_by="balanced")
        chosen.append("--score-by balanced (mean recall of the classes)")
    if open_amount:
        compare = dataclasses.replace(compare, fill=(TAIL,))
        chosen.append(f"--fill {TAIL:g} (smaller classes are filled to half of the largest)")
        if TREATED in compare.arms and not {"compare.arms", "compare.contrast"}.intersection(asked):
            compare = dataclasses.replace(compare, arms=(*compare.arms, BALANCED), contrast=TESTED)
            chosen.append(f"arm {BALANCED} (classes drawn equally often), which generated images must beat")
    changed = (name for name, value in vars(compare).items() if value != getattr(config.compare, name))
    origins = {**config.origins, **{f"compare.{name}": CHOSEN for name in changed}}
    said = f"unbalanced classes ({int(counts.min()):,} to {int(counts.max()):,} images): {', '.join(chosen)}"
    config = dataclasses.replace(config, compare=compare, origins=origins)
    return config, f"{said}; your own options replace these"


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
