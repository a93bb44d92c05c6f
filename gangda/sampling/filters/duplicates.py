"""Drop samples that repeat a training image, or each other."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gangda.data import memmap
from gangda.data.images import FloatArray, LabelledImages, UInt8Array
from gangda.data.splits import DataSplits
from gangda.metrics.memorisation import TAIL
from gangda.metrics.neighbours import PixelSearch
from gangda.runtime.seeding import numpy_stream
from gangda.sampling.filters.base import FilterContext, FilterTarget, Predicate, Reasons
from gangda.training.saved_model import Model

MIN_HELD_OUT = 1000  # validation images; with fewer, the 1% quantile would rest on fewer than 10 images
MAX_COMPARED = 2000  # held-out images from which the quantile is estimated


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Rejects samples that are nearer to a training image than 99% of held-out images are.

    Distances are in pixels, the least over small shifts, to training images of any class, and to images without labels
    that the generator was trained on. Held-out images are the validation images of the same subset or, where they are
    fewer than 1,000, training images, each against all others. Classes differ in how near their images lie (ones are
    nearer to each other than bags are), so distances count relative to the median of the class. Exact copies are always
    rejected, and so are exact repeats within a block.

    Source: ours; `metrics.memorisation` measures the same for a whole set.
    """

    search: PixelSearch  # among the images that the generator may have learnt from, the training images first
    # Float64 (K,), in grey levels: a sample of the class must be further away than this.
    min_distances: FloatArray
    reference: str  # reference, compared: what they were estimated from, and how many images
    compared: int

    @staticmethod
    def check(target: FilterTarget) -> None:
        """See `Filter.check`: any samples can be compared."""

    @staticmethod
    def build(filter_context: FilterContext) -> "Duplicates":
        """Measure how near held-out images come to training images."""
        splits = filter_context.splits()
        train, validation = splits.train, splits.validation
        search = PixelSearch(memmap.join([train.pixels, *_unlabelled(splits, filter_context.model)]))
        rng = numpy_stream(filter_context.fit_seed, "filter", "duplicates")
        held_out = len(validation) >= MIN_HELD_OUT
        rows = np.sort(rng.permutation(len(validation if held_out else train))[:MAX_COMPARED])
        images = (validation if held_out else train).take(rows)
        distances = search.distances(images.pixels, None if held_out else rows)
        reference = "validation images" if held_out else "training images, each against the others"
        return Duplicates(search, min_distances_of(images, distances), reference, len(images))

    def predicate(self, label: int, block: int) -> Predicate:
        """See `Filter.predicate`."""
        seen: set[bytes] = set()

        def reasons(pixels: UInt8Array) -> Reasons:
            near = self.search.distances(pixels) <= self.min_distances[label]
            repeats = np.zeros(len(pixels), dtype=np.bool_)
            for row, content in enumerate(image.tobytes() for image in pixels):
                repeats[row] = content in seen
                seen.add(content)
            return np.where(near, "copy", np.where(repeats, "repeat", "")).astype(object)

        return reasons

    def as_dict(self) -> dict[str, Any]:
        """How it was set."""
        return {
            "min_distance": [round(distance, 3) for distance in self.min_distances.tolist()],
            "unit": "grey levels, root mean square",
            "tail": TAIL,
            "reference": self.reference,
            "compared": self.compared,
        }


def _unlabelled(splits: DataSplits, model: Model) -> list[UInt8Array]:
    """The unlabelled images that the model was trained on, if any."""
    if splits.unlabelled is None:
        return []
    return [splits.unlabelled.pixels[np.isin(splits.unlabelled.row_id, model.row_ids)]]


def min_distances_of(images: LabelledImages, distances: FloatArray) -> FloatArray:
    """The distance in each class that all but 1% of images exceed, float64 (K,); relative to the class's median.

    A class without images has the median of all.
    """
    own = [distances[images.labels == label] for label in range(images.num_classes)]
    medians = np.array([np.median(part if len(part) else distances) for part in own])
    usual = medians[images.labels]
    relative = np.divide(distances, usual, out=np.zeros_like(distances), where=usual > 0)
    result: npt.NDArray[np.float64] = np.quantile(relative, TAIL) * medians
    return result
