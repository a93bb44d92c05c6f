"""Generators that rebuild their training images: only so many of each class, and none of them new."""

from pathlib import Path

import numpy as np

from gangda.data.images import IntArray
from gangda.errors import RunError, UsageError
from gangda.training.saved_model import Model


def available(model: Model) -> IntArray | None:
    """How many samples of each class there are, int64 (K,); None where there is no end of them."""
    counts = model.generator.available
    return None if counts is None else np.array(counts, dtype=np.int64)


def check_counts(model: Model, counts: IntArray) -> None:
    """Refuse to show what is not there. `counts` is int64 (K,).

    Raises:
        UsageError: more samples of a class than the training images that they are made of.
    """
    has = available(model)
    if has is None:
        return
    short = np.flatnonzero(counts > has)
    if len(short):
        label = int(short[0])
        raise UsageError(
            f"{model.named} rebuilds the {has[label]:,} training images of class "
            f"'{model.card.class_names[label]}', not {counts[label]:,}; ask for fewer, or for all of them by giving "
            "neither --per-class nor --counts"
        )


def refuse_reconstructions(run: Path, model: Model) -> None:
    """Refuse rebuilt training images where new ones are wanted.

    Raises:
        RunError: the generator makes nothing else.
    """
    if available(model) is not None:
        raise RunError(
            f"{run}: rebuilds its own training images (--reconstruct) and makes no new ones; name another --run, "
            "or train one without --reconstruct"
        )
