"""scikit-learn's handwritten digits: embedded, no download."""

import numpy as np

from gangda.config.schema import DataConfig
from gangda.data.images import real_images
from gangda.data.sources.raw import RawSource
from gangda.data.split_rows import fixed_test_rows


def load(config: DataConfig) -> RawSource:
    """1,797 digits, uint8 (N, 8, 8, 1), 0 to 16 scaled by 255/16; a fixed stratified test split of 360, gangda's own.

    Source: Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits (UCI); its test part.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    names = tuple(map(str, range(10)))
    labels = bunch.target.astype(np.int64)
    return RawSource(pixels, labels, names, fixed_test_rows(real_images(pixels, labels, names)))
