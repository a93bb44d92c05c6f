"""McNemar's exact test: a secondary look at one seed's two classifiers on the same images."""

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]


def mcnemar_p(first: BoolArray, second: BoolArray) -> float:
    """Two-sided exact p of equal accuracy from per-image correctness, bool (m,) each.

    1 where the two never disagree.

    Source: McNemar 1947, by the binomial test on the images that only one of them gets right.
    """
    from scipy.stats import binomtest

    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second, 0.5).pvalue)
