import numpy as np
import pytest
from scipy import ndimage, stats

from gangda.data.images import generated_images, real_images
from gangda.metrics.inputs import MetricInputs, Side
from gangda.metrics.sharpness import laplacian_variances, sharpness

LABELS = np.repeat([0, 1], 40)


def scored(fake, real, floor):
    made = [
        build(pixels, LABELS, ("a", "b")) for build, pixels in zip(BUILDS, (fake, real, floor), strict=True)
    ]
    ours, theirs, third = (
        Side(images, lambda kind: pytest.fail("no features are needed")) for images in made
    )
    inputs = MetricInputs(ours, theirs, third, third, ours, theirs, third, {}, "", None, 0)
    [result] = sharpness(inputs)
    return result


BUILDS = (generated_images, real_images, real_images)


def textures(seed, blur=0.0):
    """Smooth noise; the images of class 1 are blurred further by `blur`."""
    noise = np.random.default_rng(seed).uniform(0, 255, (80, 12, 12, 1))
    noise = ndimage.gaussian_filter(noise, (0, 0.7, 0.7, 0))
    noise[LABELS == 1] = ndimage.gaussian_filter(noise[LABELS == 1], (0, blur, blur, 0))
    return noise.astype(np.uint8)


def test_variances_are_those_of_scipys_laplacian():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 9, 7, 3), dtype=np.uint8)
    grey = pixels.astype(np.float64).mean(3) / 255
    expected = [np.var(ndimage.laplace(image)[1:-1, 1:-1]) for image in grey]
    np.testing.assert_allclose(laplacian_variances(pixels), expected, rtol=1e-10)


def test_a_single_bright_pixel():
    """By hand: the 5x5 image's Laplacian has -4 at it and 1 at its four neighbours, of nine inner pixels."""
    pixels = np.zeros((1, 5, 5, 1), dtype=np.uint8)
    pixels[0, 2, 2] = 255
    assert laplacian_variances(pixels)[0] == pytest.approx((16 + 4) / 9)


def test_real_images_are_as_sharp_as_real_ones():
    result = scored(textures(1), textures(2), textures(3))
    assert result.name == "sharpness_ratio_80"
    assert result.interval[0] < 1 < result.interval[1]
    assert result.floor == pytest.approx(1, abs=0.15)


def test_a_blurred_class_is_below_one_and_noise_above():
    result = scored(textures(1, blur=1.0), textures(2), textures(3))
    assert result.per_class[0] == pytest.approx(1, abs=0.2)
    assert result.per_class[1] < 0.3
    assert result.value == pytest.approx(np.mean(result.per_class))
    noise = np.random.default_rng(4).integers(0, 256, (80, 12, 12, 1), dtype=np.uint8)
    assert scored(noise, textures(2), textures(3)).value > 3


def test_the_interval_covers_the_ratio_of_the_population():
    """Images of known contrast: variances are exponential, so that the means' ratio is 1; some 95% of 60 intervals."""

    def drawn(seed):
        scale = np.sqrt(stats.expon.rvs(size=80, random_state=seed) / 8)
        return (
            (127 + 100 * scale[:, None, None, None] * PATTERN[None, :, :, None]).clip(0, 255).astype(np.uint8)
        )

    covered = [
        low <= 1 <= high
        for low, high in (
            scored(drawn(3 * s), drawn(3 * s + 1), drawn(3 * s + 2)).interval for s in range(60)
        )
    ]
    assert 0.85 <= np.mean(covered) <= 1


PATTERN = np.indices((8, 8)).sum(0) % 2 * 2.0 - 1


def test_constant_images_and_tiny_classes_have_no_ratio():
    flat = np.full((80, 12, 12, 1), 9, dtype=np.uint8)
    result = scored(textures(1), flat, flat)
    assert np.isnan(result.value)
    assert result.interval is None
