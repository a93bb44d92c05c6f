"""`gangda train --list`: what the catalog's architectures are, and how large for the images at hand."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from gangda.config import catalog
from gangda.config.architectures import ArchSpec, spec_class
from gangda.config.fields import flag_of
from gangda.config.schema import DataConfig
from gangda.data.loading import load_splits
from gangda.errors import UsageError
from gangda.training.result import count_parameters
from gangda.zoo.networks import build_networks

USUAL_IMAGES = ((1, 28, 28), 10)  # shape and classes where no --data is named


def architectures(data: DataConfig | None, only: str | None = None, seed: int = 0) -> dict[str, Any]:
    """Every architecture of the catalog (or `only` that) in plain values, with `parameters` for this data.

    Without data they are counted for 28x28 grey images of ten classes. Networks are built for it, which is done in
    less time than torch takes to load its weightless ("meta") tensors.

    Raises:
        GangdaError: the data cannot be read, or there is no such architecture.
    """
    shape, classes = USUAL_IMAGES
    if data is not None:
        train = load_splits(data, seed).train
        shape, classes = train.image_shape, train.num_classes
    names = [only] if only else list(catalog.ARCHITECTURES)
    rows = [_row(name, shape, classes) for name in names]
    return {"image_shape": list(shape), "num_classes": classes, "architectures": rows}


def _row(name: str, shape: tuple[int, int, int], classes: int) -> dict[str, Any]:
    entry = catalog.lookup("architecture", catalog.ARCHITECTURES, name)
    spec_type = spec_class(name)
    return {
        "name": name,
        "summary": entry.summary,
        "source": entry.source,
        "parameters": parameters(name, shape, classes),
        "labels": labels_of(spec_type),
        "pixels": list(spec_type.size_range),
        "recipe": dict(spec_type.recipe),
        "options": list(_options(spec_type)),
    }


def parameters(name: str, shape: tuple[int, int, int], classes: int) -> dict[str, int | None]:
    """`count_parameters` of both networks with default options.

    None for what is fitted without training, and for images that are too large.
    """
    kind = spec_class(name)
    try:
        networks = build_networks(name, kind(), shape, classes)
    except UsageError:
        return {"generator": None, "discriminator": None}
    counts = {key: count or None for key, count in count_parameters(networks.modules()).items()}
    return {"generator": None, "discriminator": None, **counts}


def labels_of(spec: type[ArchSpec]) -> str:
    """Whether it makes images of a class on demand: "yes", "no", or "either" where that is an option."""
    if "conditional" in {field.name for field in dataclasses.fields(spec)}:
        return "either"
    return "yes" if spec.conditional else "no"


def _options(spec: type[ArchSpec]) -> Iterator[dict[str, Any]]:
    for field in dataclasses.fields(spec):
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        yield {"flag": flag_of(field), "default": default, "help": field.metadata["help"]}
