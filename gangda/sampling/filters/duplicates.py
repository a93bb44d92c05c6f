"""Drop samples that repeat a training image, or each other."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gangda.data.images import FloatArray, LabelledImages, UInt8Array
from gangda.metrics.memorisation import TAIL
from gangda.metrics.neighbours import PixelSearch
from gangda.runtime.seeding import numpy_stream
from gangda.sampling.filters.base import FilterContext, Predicate, Reasons

FEWEST_HELD = 1000  # validation images; of fewer, too few are in the tail to say where it begins
MOST_COMPARED = 2000  # held-out images whose distances say what is near: 20 of them are in the tail


@dataclass(frozen=True, eq=False)
class Duplicates:
    """A guard against memorisation: what is nearer to a training image than all but 1% of held-out images are, goes.

    Distances are in pixels, the least over small shifts, to training images of any class. Held-out images are the
    validation images of the same subset or, where they are fewer than 1,000, training images, each against all others.
    Classes differ in how near their images lie (ones are nearer to each other than bags are), so distances count
    relative to the median of the class. An exact copy always goes; so does an exact repeat within a block of samples.

    Source: ours; `memorisation` measures the same of a whole set.

    Attributes:
        search: among the training images.
        edges: float64 (K,), in grey levels: a sample of the class must be further than this.
        reference, compared: what the edges come from, and how many images.
    """

    search: PixelSearch
    edges: FloatArray
    reference: str
    compared: int

    @staticmethod
    def check(arch: str, loss: str, num_classes: int, where: str, fewest: int | None = None) -> None:
        """See `FilterClass.check`: any samples can be compared."""

    @staticmethod
    def build(filter_context: FilterContext) -> "Duplicates":
        """Measure how near held-out images come to training images."""
        train, validation = filter_context.images()
        search = PixelSearch(train.pixels)
        rng = numpy_stream(filter_context.fit_seed, "filter", "duplicates")
        held = len(validation) >= FEWEST_HELD
        rows = np.sort(rng.permutation(len(validation if held else train))[:MOST_COMPARED])
        images = (validation if held else train).take(rows)
        distances = search.distances(images.pixels, None if held else rows)
        reference = "validation images" if held else "training images, each against the others"
        return Duplicates(search, edges_of(images, distances), reference, len(images))

    def predicate(self, label: int, block: int) -> Predicate:
        """See `Filter.predicate`."""
        seen: set[bytes] = set()

        def reasons(pixels: UInt8Array) -> Reasons:
            near = self.search.distances(pixels) <= self.edges[label]
            repeats = np.array([_seen_before(image, seen) for image in pixels], dtype=np.bool_)
            return np.where(near, "copy", np.where(repeats, "repeat", "")).astype(object)

        return reasons

    def as_dict(self) -> dict[str, Any]:
        """How it was set."""
        return {
            "nearest_allowed": [round(edge, 3) for edge in self.edges.tolist()],
            "unit": "grey levels, root mean square",
            "tail": TAIL,
            "reference": self.reference,
            "compared": self.compared,
        }


def edges_of(images: LabelledImages, distances: FloatArray) -> FloatArray:
    """The distance in each class that all but 1% of images exceed, float64 (K,); relative to the class's median.

    A class without images has the median of all.
    """
    medians = np.array(
        [
            np.median(own if len(own := distances[images.labels == label]) else distances)
            for label in range(images.num_classes)
        ]
    )
    usual = medians[images.labels]
    relative = np.divide(distances, usual, out=np.zeros_like(distances), where=usual > 0)
    edges: npt.NDArray[np.float64] = np.quantile(relative, TAIL) * medians
    return edges


def _seen_before(image: UInt8Array, seen: set[bytes]) -> bool:
    content = image.tobytes()
    known = content in seen
    seen.add(content)
    return known
