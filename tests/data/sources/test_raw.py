import numpy as np
import pytest
from PIL import Image

from gangda.data.sources.raw import own_size, to_square

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("size", [8, 20, 28, 50])
@pytest.mark.parametrize("channels", [1, 3])
def test_same_as_pillow(size, channels):
    pixels = RNG.integers(0, 256, (3, 28, 28, channels), np.uint8)
    ours = to_square(pixels, size)
    for image, resized in zip(pixels, ours, strict=True):
        theirs = Image.fromarray(image.squeeze()).resize((size, size), Image.Resampling.BILINEAR)
        assert np.abs(resized.squeeze().astype(int) - np.asarray(theirs)).max() <= 1


def test_rectangles_are_centre_cropped():
    pixels = RNG.integers(0, 256, (2, 12, 20, 1), np.uint8)
    np.testing.assert_array_equal(to_square(pixels, None), pixels[:, :, 4:16])
    np.testing.assert_array_equal(
        to_square(pixels.transpose(0, 2, 1, 3), 12), pixels.transpose(0, 2, 1, 3)[:, 4:16]
    )


def test_images_of_the_right_size_are_not_copied():
    pixels = np.zeros((2, 28, 28, 1), dtype=np.uint8)
    assert to_square(pixels, None) is to_square(pixels, 28) is pixels


@pytest.mark.parametrize(("shape", "side"), [((28, 28), 28), ((5, 9), 8), ((200, 100), 64)])
def test_own_size_stays_within_8_and_64(shape, side):
    assert own_size(*shape) == side
