"""Filters of samples: which there are, and what a set says of those that were used."""

from collections.abc import Sequence
from typing import Any, cast

from gangda.config import catalog
from gangda.errors import UsageError
from gangda.sampling.filters.base import FilterClass
from gangda.training.saved_model import Model, loss_of

NO_CLASSIFIER = (
    "conditional",
    "rebuilt from training images",
)  # how labels are made that no classifier chose


def in_order(names: Sequence[str]) -> tuple[str, ...]:
    """The filters asked for, each once, in the catalog's order: the order typed changes nothing."""
    return tuple(name for name in catalog.FILTERS if name in names)


def filter_class(name: str) -> FilterClass:
    """The filter of a catalog name."""
    return cast(FilterClass, catalog.builder("filter", catalog.FILTERS, name))


def check_filters(model: Model, names: Sequence[str], fewest: int | None = None) -> None:
    """Refuse filters that cannot be used on a model's samples.

    Args:
        model: the generator's.
        names: of the filters.
        fewest: training images of the smallest class, where they are known already.

    Raises:
        UsageError: the run rebuilds training images, or is not of a kind that a filter can be used on.
    """
    if names and model.available is not None:
        raise UsageError(
            f"--filter {','.join(names)}: {model.named} rebuilds training images and makes no new ones; leave it out"
        )
    for name in in_order(names):
        num_classes = len(model.card.class_names)
        filter_class(name).check(model.card.arch, loss_of(model), num_classes, model.named, fewest)


def is_circular(labels: Any) -> bool:
    """Whether a classifier labelled or filtered the samples, by `Sampler.as_dict`: GAN-test on them is circular."""
    return labels["made"] not in NO_CLASSIFIER or classifier_chose(labels)


def classifier_chose(labels: Any) -> bool:
    """Whether a filter asked classifiers, by what a set or a cell says of its labels (`Sampler.as_dict`).

    Then the accuracy of another classifier on the samples (GAN-test) is circular, as with pseudo-labels.
    """
    filters = labels.get("filters") if isinstance(labels, dict) else None
    return isinstance(filters, dict) and any(
        isinstance(about, dict) and "classifiers" in about for about in filters.values()
    )
