"""Filters of samples: which there are, and what a set says of those that were used."""

from collections.abc import Sequence
from typing import Any, cast

from gangda.config import catalog
from gangda.sampling.filters.base import Filter


def in_order(names: Sequence[str]) -> tuple[str, ...]:
    """The filters asked for, each once, in the catalog's order: the order typed changes nothing."""
    return tuple(name for name in catalog.FILTERS if name in names)


def filter_class(name: str) -> type[Filter]:
    """The filter of a catalog name."""
    return cast(type[Filter], catalog.builder("filter", catalog.FILTERS, name))


def is_circular(labels: Any) -> bool:
    """Whether a classifier labelled or filtered the samples, by what a set or a cell says of them (`Sampler.as_dict`).

    Then the accuracy of another classifier on the samples (GAN-test) is circular.
    """
    if not isinstance(labels, dict):
        return False
    filters = labels.get("filters")
    used = filters.values() if isinstance(filters, dict) else ()
    return "classifier" in labels or any(isinstance(one, dict) and "classifiers" in one for one in used)
