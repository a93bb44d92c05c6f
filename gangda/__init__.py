"""gangda: does generative data augmentation help this classifier on this data, and how much of it?

The functions of `gangda.api` are attributes of the package, imported at the first use: `gangda.train(...)`.
"""

from typing import TYPE_CHECKING, Any

from gangda.errors import GangdaError

if TYPE_CHECKING:
    from gangda.api import (
        GanAugmenter,
        SampleDataset,
        augment,
        classify,
        compare,
        fit,
        load,
        open_run,
        sample,
        score,
        train,
        tune,
    )

__version__ = "0.2.0"
__all__ = [
    "GanAugmenter",
    "GangdaError",
    "SampleDataset",
    "augment",
    "classify",
    "compare",
    "fit",
    "load",
    "open_run",
    "sample",
    "score",
    "train",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'gangda' has no attribute '{name}'")
    from gangda import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
