"""What a cell keeps to be looked at: images of every class, what each arm adds, and the nearest training images."""

import base64
from typing import Any

import numpy as np

from gangda.comparing.added_images import AddedImages
from gangda.config.arms import find
from gangda.data.images import FloatArray, IntArray, LabelledImages, UInt8Array
from gangda.metrics.inputs import subsample
from gangda.metrics.judge import default_cache, measure, prepare_inputs
from gangda.metrics.memorisation import closest_pairs
from gangda.report.filter_figures import kept_and_rejected
from gangda.runtime.files import without_nan
from gangda.training.preview import COLUMNS

PICTURED_CLASSES, PICTURES_PER_CLASS = 20, 10
NEAREST_OF = 300  # samples whose nearest training image is searched: seconds, and enough for a picture
PAIRS = 8  # of them shown


def pictures_of(pools: AddedImages) -> dict[str, Any]:
    """Images as base64 of uint8 (n, H, W, C), and `shape`, that of one; sheets of filters as base64 of a PNG.

    `classes`: the first real and generated images of the first classes. `added`: what arms add that is not the
    experiment's own generator's, by class. `each`: what each generator of an ensemble makes. `nearest`: see `_nearest`.
    `filtered`: what filters kept and rejected, and why; only where there were any.
    """
    real, pool = pools.splits.train, pools.drawn
    return {
        "shape": list(real.pixels.shape[1:]),
        "classes": [
            {
                "name": real.class_names[label],
                "real": _encode(_of_class(real, label)),
                "generated": None if pool is None else _encode(_of_class(pool, label)),
            }
            for label in _labels(real)
        ],
        "added": _added(pools),
        "each": {
            key: [_encode(samples[first : first + COLUMNS]) for first in range(0, len(samples), COLUMNS)]
            for key, samples in pools.each.items()
        },
        "nearest": {
            key: _nearest(pools, pool) for key in pools.made if (pool := pools.kept(("generator", key)))
        },
        **({"filtered": _filtered(pools)} if pools.sieves else {}),
    }


def _filtered(pools: AddedImages) -> list[dict[str, Any]]:
    """A contact sheet for each generator and its filters."""
    names = pools.splits.train.class_names
    return [
        {
            "key": key,
            "filter": list(filters),
            "sheet": base64.b64encode(
                kept_and_rejected(names, sieve.kept, sieve.rejected, sieve.reasons)
            ).decode(),
        }
        for (key, filters), sieve in pools.sieves.items()
    ]


def _labels(images: LabelledImages) -> range:
    return range(min(images.num_classes, PICTURED_CLASSES))


def _added(pools: AddedImages) -> list[dict[str, Any]]:
    """A sheet for each pool that arms add from: their names, and the first images of each class."""
    sheets: dict[int, dict[str, Any]] = {}
    own = pools.drawn
    for name in pools.plan.config.compare.arms:
        arm, arch = find(name)
        pool = pools.kept((arm.added, arch or pools.plan.config.arch))
        if pool is None or pool is own:
            continue
        rows = [_encode(_of_class(pool, label)) for label in _labels(pool)]
        sheets.setdefault(id(pool), {"arms": [], "rows": rows})["arms"].append(name)
    return list(sheets.values())


def _nearest(pools: AddedImages, pool: LabelledImages) -> dict[str, Any]:
    """Samples of one generator against the training images: the closest pairs, and all distances.

    Distances are those of `metrics.memorisation`, in grey levels, beside as many of held-out test images.
    """
    seed = pools.cell.seed
    inputs = prepare_inputs(
        pool.take(subsample(len(pool), NEAREST_OF, seed, "nearest")),
        pools.splits,
        seed=seed,
        context=pools.context,
        classifier=pools.plan.config.classifier,
        cache=default_cache(),
    )
    pairs = closest_pairs(inputs, PAIRS)
    return {
        "samples": _encode(inputs.fake.images.pixels[pairs.samples]),
        "train": _encode(inputs.train.images.pixels[pairs.train]),
        "distances": [round(float(distance), 2) for distance in pairs.distances],
        "of_samples": _sorted(inputs.nearest_of_samples.pixels),
        "of_heldout": _sorted(inputs.nearest_of_heldout.pixels),
        "metrics": [without_nan(metric.as_dict()) for metric in measure(inputs, ["memorisation"])],
    }


def _sorted(distances: FloatArray) -> list[float]:
    return [round(float(distance), 2) for distance in np.sort(distances)]


def _of_class(images: LabelledImages, label: int) -> UInt8Array:
    rows: IntArray = np.flatnonzero(images.labels == label)[:PICTURES_PER_CLASS]
    return images.pixels[rows]


def _encode(pixels: UInt8Array) -> str:
    return base64.b64encode(np.ascontiguousarray(pixels).tobytes()).decode()
