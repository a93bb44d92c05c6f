"""The interval that also varies the test images.

The seeds share one test set, so a win may be a win on these images only.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from gangda.data.images import FloatArray
from gangda.runtime.seeding import numpy_stream
from gangda.statistics.values import Interval

RESAMPLES = 2000


def crossed_interval(differences: npt.NDArray[Any], alpha: float) -> Interval:
    """Percentile interval of the mean difference under resampling of seeds and of images, independently.

    Args:
        differences: (n, m), what each image adds to the difference in each seed: -1, 0 or 1 where all images count
            alike (to +-2 for an interaction).
        alpha: error rate, in (0, 1); the level is 1 - alpha.

    Source: Owen 2007, "The pigeonhole bootstrap" (somewhat wider than needed, never narrower).
    """
    means = _resampled_means(differences.astype(np.float32))
    low, high = np.quantile(means, [alpha / 2, 1 - alpha / 2])
    return float(low), float(high)


def _resampled_means(differences: npt.NDArray[np.float32]) -> FloatArray:
    n, m = differences.shape
    rng = numpy_stream("crossed-bootstrap", n, m)  # the same draws for every contrast of an experiment
    seed_weights = rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(np.float32) / n
    means = np.empty(RESAMPLES)
    for index, weights in enumerate(seed_weights):
        per_image = weights @ differences
        means[index] = per_image[rng.integers(0, m, m)].mean(dtype=np.float64)
    return means
