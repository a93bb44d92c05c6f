"""Named policies of traditional augmentation, and how one is chosen. Nothing here imports torch or numpy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

EXPLICIT, AUTO = "explicit", "auto"
BY_ARM = "--arms ARM:auto"  # origin of `auto` where an arm's name asks for it
FOLDS = 3  # of the cross-validation that chooses
SEARCH_STEPS = 2  # a classifier of the search has so many times fewer steps than those of the arms
FINALISTS = 4  # one of so many candidates goes on after the first fold
MIXUP = 0.2  # alpha that each policy is also tried with (Zhang 2018)


@dataclass(frozen=True)
class Policy:
    """What is done to every image of a batch."""

    summary: str
    # Of `TransformConfig`, by field; what is not named is off.
    ranges: Mapping[str, Any] = field(default_factory=dict)
    automatic: str = ""  # "module:function" that changes a batch instead


_SHIFT = 0.125  # four pixels of 32, as in He 2016
_STRONG = {"rotation": 15.0, "translation": 0.1, "scaling": (0.9, 1.1), "erasing": 0.5}

POLICIES: Mapping[str, Policy] = {
    "none": Policy("no change"),
    "weak": Policy("shifts of up to 0.07 of the side", {"translation": 0.07}),
    "flips": Policy(
        "mirrored half the time, shifts of up to an eighth", {"flip": 0.5, "translation": _SHIFT}
    ),
    "flips+erasing": Policy(
        "the same, with Random Erasing", {"flip": 0.5, "translation": _SHIFT, "erasing": 0.5}
    ),
    "strong": Policy("rotation by 15 degrees, shifts and zoom by a tenth, Random Erasing", _STRONG),
    "trivial": Policy(
        "TrivialAugment (Mueller 2021)", automatic="gangda.traditional.trivial:trivial_augment"
    ),
    "randaugment": Policy(
        "RandAugment (Cubuk 2020), N = 2, M = 9", automatic="gangda.traditional.trivial:rand_augment"
    ),
}
CHOICES = (EXPLICIT, AUTO, *POLICIES)
