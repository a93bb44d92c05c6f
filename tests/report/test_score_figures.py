import io

import numpy as np
import pytest
from PIL import Image

from gangda.data.images import generated_images, real_images
from gangda.report import score_figures


def decoded(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def test_bars_are_as_long_as_the_shares():
    def blue(shares):
        picture = decoded(score_figures.class_bars(["a", "b"], np.array([0.5, np.nan]), np.array(shares)))
        return (np.abs(picture - (0x25, 0x63, 0xEB)).sum(-1) < 30).sum()

    assert blue([0.8, 0.8]) > 1.8 * blue([0.4, 0.4]) > 0


@pytest.mark.parametrize("channels", [1, 3])
def test_grid_shows_both_sides_and_tolerates_missing_classes(channels):
    names = [f"a class with a long name {k}" for k in range(3)]
    pixels = np.full((12, 8, 8, channels), 200, dtype=np.uint8)
    real = real_images(pixels, np.arange(12) % 3, names)
    fake = generated_images(pixels[:4], [0, 0, 2, 2], names)
    picture = decoded(score_figures.real_and_generated(real, fake))
    assert (picture == 200).all(-1).sum() > 1000


def test_pairs_fill_a_second_row():
    pixels = np.zeros((9, 8, 8, 1), dtype=np.uint8)
    one = decoded(score_figures.nearest_pairs(pixels[:8], pixels[:8], np.arange(8.0)))
    two = decoded(score_figures.nearest_pairs(pixels, pixels, np.arange(9.0)))
    assert two.shape[0] > 1.5 * one.shape[0]
