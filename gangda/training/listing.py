"""`gangda train --list`: what the catalog's architectures are, and how large for the images at hand."""

import contextlib
import dataclasses
from typing import Any

from gangda.config import catalog
from gangda.config.architectures import spec_class
from gangda.config.fields import flag_of
from gangda.config.schema import DataConfig
from gangda.data.loading import load_splits
from gangda.errors import UsageError
from gangda.runtime.plain import to_plain
from gangda.training.result import count_parameters
from gangda.zoo.networks import build_networks

USUAL_IMAGES = ((1, 28, 28), 10)  # shape and classes where no --data is named


def architectures(data: DataConfig | None, only: str | None = None, seed: int = 0) -> dict[str, Any]:
    """Every architecture of the catalog (or `only` that) in plain values, with `parameters` for this data.

    Without data they are counted for 28x28 grey images of ten classes; None for what is fitted without training, and
    for images that are too large. Raises GangdaError: the data cannot be read, or there is no such architecture.
    """
    shape, classes = USUAL_IMAGES
    if data is not None:
        train = load_splits(data, seed).train
        shape, classes = train.image_shape, train.num_classes
    rows = []
    for name in [only] if only else catalog.ARCHITECTURES:
        entry, kind = catalog.lookup("architecture", catalog.ARCHITECTURES, name), spec_class(name)
        fields = dataclasses.fields(kind)
        parameters: dict[str, int | None] = {"generator": None, "discriminator": None}
        with contextlib.suppress(UsageError):
            counts = count_parameters(build_networks(name, kind(), shape, classes).modules())
            parameters |= {key: count or None for key, count in counts.items()}
        either = any(field.name == "conditional" for field in fields)  # whether labels are used is an option
        rows.append(
            {
                "name": name,
                "summary": entry.summary,
                "source": entry.source,
                "parameters": parameters,
                "labels": "either" if either else "yes" if kind.conditional else "no",
                "pixels": list(kind.size_range),
                "recipe": dict(kind.recipe),
                "options": [
                    {"flag": flag_of(one), "default": to_plain(one.default), "help": one.metadata["help"]}
                    for one in fields
                ],
            }
        )
    return {"image_shape": list(shape), "num_classes": classes, "architectures": rows}
