"""Images that a cell keeps for the report: some of every class, what each arm adds, the nearest training images."""

import numpy as np

from gangda.comparing.added_images import AddedImages
from gangda.comparing.cell_result import ArmImages, ClassImages, FilterSheet, NearestImages, Pictures
from gangda.config.arms import parse_arm
from gangda.data.images import FloatArray, IntArray, LabelledImages, UInt8Array
from gangda.metrics.evaluate import default_cache, evaluate_metrics, prepare_inputs
from gangda.metrics.inputs import subsample
from gangda.metrics.memorisation import closest_pairs
from gangda.report.figures import kept_and_rejected
from gangda.training.preview import COLUMNS

MOST_CLASSES, IMAGES_PER_CLASS = 20, 10
NEAREST_OF = 300  # samples whose nearest training image is searched: seconds, and enough for a picture
PAIRS = 8  # of them shown


def pictures_of(added: AddedImages) -> Pictures:
    """The images of a cell whose arms have run."""
    real, generated = added.splits.train, added.already_made("generator")
    names = real.class_names[:MOST_CLASSES]
    return Pictures(
        classes=tuple(
            ClassImages(
                name, _of_class(real, label), None if generated is None else _of_class(generated, label)
            )
            for label, name in enumerate(names)
        ),
        added=_added(added),
        ensembles={
            key: tuple(samples[first : first + COLUMNS] for first in range(0, len(samples), COLUMNS))
            for key, samples in added.ensembles.items()
        },
        nearest={
            key: _nearest(added, samples)
            for key in added.records
            if (samples := added.already_made("generator", key)) is not None
        },
        filtered=tuple(
            FilterSheet(
                key, filters, kept_and_rejected(real.class_names, found.kept, found.rejected, found.reasons)
            )
            for (key, filters), found in added.statistics.items()
        ),
    )


def _added(added: AddedImages) -> tuple[ArmImages, ...]:
    """Images of each class for each set that arms add and that is not the comparison's own generator's."""
    own = added.already_made("generator")
    arms_of: dict[int, list[str]] = {}
    sets: dict[int, LabelledImages] = {}
    for name in added.plan.config.compare.arms:
        arm, arch = parse_arm(name)
        images = added.already_made(arm.source, arch)
        if images is not None and images is not own:
            sets[id(images)] = images
            arms_of.setdefault(id(images), []).append(name)
    return tuple(
        ArmImages(
            tuple(arms_of[key]),
            tuple(_of_class(images, label) for label in range(min(images.num_classes, MOST_CLASSES))),
        )
        for key, images in sets.items()
    )


def _nearest(added: AddedImages, samples: LabelledImages) -> NearestImages:
    """Samples of one generator against the training images: the closest pairs, and all distances.

    Distances are those of `metrics.memorisation`, in grey levels, beside as many of held-out test images.
    """
    seed = added.cell.seed
    inputs = prepare_inputs(
        samples.take(subsample(len(samples), NEAREST_OF, seed, "nearest")),
        added.splits,
        seed=seed,
        context=added.context,
        classifier=added.plan.config.classifier,
        cache=default_cache(),
    )
    pairs = closest_pairs(inputs, PAIRS)
    return NearestImages(
        samples=inputs.fake.images.pixels[pairs.samples],
        train=inputs.train.images.pixels[pairs.train],
        distances=_rounded(pairs.distances),
        of_samples=_rounded(np.sort(inputs.nearest_of_samples.pixels)),
        of_held_out=_rounded(np.sort(inputs.nearest_of_heldout.pixels)),
        metrics=tuple(evaluate_metrics(inputs, ["memorisation"])),
    )


def _rounded(distances: FloatArray) -> tuple[float, ...]:
    return tuple(round(float(distance), 2) for distance in distances)


def _of_class(images: LabelledImages, label: int) -> UInt8Array:
    rows: IntArray = np.flatnonzero(images.labels == label)[:IMAGES_PER_CLASS]
    return images.pixels[rows]
