import numpy as np
import pytest
import scipy.linalg

from gangda.metrics.distances import fid, frechet, kernel_distance, kid


def by_matrix_root(a, b):
    """The definition, with scipy's matrix root."""
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(first @ second).real
    gap = a.mean(0) - b.mean(0)
    return gap @ gap + np.trace(first + second - 2 * root)


def test_agrees_with_the_matrix_root():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(400, 12)) @ rng.normal(size=(12, 12))
    b = rng.normal(size=(300, 12)) @ rng.normal(size=(12, 12)) + 1
    assert frechet(a, b) == pytest.approx(by_matrix_root(a, b), rel=1e-6)


def test_closed_form_of_diagonal_gaussians():
    """|m1 - m2|^2 + sum (s1 - s2)^2, reached exactly by whitened features."""
    rng = np.random.default_rng(1)
    white = rng.normal(size=(500, 6))
    white = (white - white.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(white, rowvar=False))).T
    s1, s2, shift = np.arange(1, 7), np.arange(6, 0, -1), np.full(6, 0.5)
    assert frechet(white * s1, white * s2 + shift) == pytest.approx(
        6 * 0.25 + ((s1 - s2) ** 2).sum(), rel=1e-6
    )


def test_fewer_rows_than_features_stays_finite():
    rng = np.random.default_rng(2)
    assert np.isfinite(frechet(rng.normal(size=(10, 40)), rng.normal(size=(10, 40))))


def test_bias_of_84_features_falls_as_measured():
    """Two samples of one 84-d Gaussian: 38 at n = 100 (EVALUATION's table), so the floor is needed."""
    rng = np.random.default_rng(3)
    values = [frechet(rng.normal(size=(100, 84)), rng.normal(size=(100, 84))) for _ in range(5)]
    assert np.mean(values) == pytest.approx(38, rel=0.05)


def test_results_carry_floor_and_n(make_inputs):
    rng = np.random.default_rng(4)
    fake, real, floor = rng.normal(size=(60, 4)) + 3, rng.normal(size=(60, 4)), rng.normal(size=(60, 4))
    lenet, randconv = fid(make_inputs(fake, real, floor))
    assert (lenet.name, randconv.name, lenet.n_fake) == ("fid_lenet_60", "fid_randconv_60", 60)
    assert lenet.value > 30 > 3 > lenet.floor


def test_one_image_is_nan_not_a_crash():
    assert np.isnan(frechet(np.zeros((1, 3)), np.zeros((5, 3))))


def by_loops(fake, real):
    """The unbiased estimate, pair by pair, on features at the real ones' unit scale."""
    scale = np.sqrt((real**2).mean())
    fake, real = fake / scale, real / scale
    n, width = fake.shape

    def kernel(x, y):
        return (x @ y / width + 1) ** 3

    within = sum(kernel(a[i], a[j]) for a in (fake, real) for i in range(n) for j in range(n) if i != j)
    return within / (n * (n - 1)) - 2 * sum(kernel(x, y) for x in fake for y in real) / n**2


def test_agrees_with_a_double_loop():
    rng = np.random.default_rng(0)
    fake, real = rng.normal(size=(20, 5)) + 0.5, rng.normal(size=(20, 5)) * 2
    assert kernel_distance(fake, real, 20) == pytest.approx(by_loops(fake, real), rel=1e-6)


def test_unbiased_around_zero_for_equal_distributions():
    rng = np.random.default_rng(1)
    values = [kernel_distance(rng.normal(size=(50, 8)), rng.normal(size=(50, 8)), 50) for _ in range(200)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(200)
    assert min(values) < 0


def test_scale_of_the_extractor_does_not_matter():
    rng = np.random.default_rng(2)
    fake, real = rng.normal(size=(40, 4)) + 1, rng.normal(size=(40, 4))
    assert kernel_distance(fake * 7, real * 7, 20) == pytest.approx(kernel_distance(fake, real, 20), rel=1e-6)


def test_per_class_sees_the_one_bad_class(make_inputs):
    rng = np.random.default_rng(3)
    labels = np.repeat([0, 1], 50)
    fake, real, floor = (rng.normal(size=(100, 4)) for _ in range(3))
    fake[labels == 1] += 2
    lenet = kid(make_inputs(fake, real, floor, labels))[0]
    assert lenet.name == "kid_lenet_100"
    assert lenet.per_class[1] > 10 * abs(lenet.per_class[0])


def test_too_few_images_for_kid_are_said(make_inputs):
    tiny = np.zeros((2, 3))
    assert kid(make_inputs(tiny, tiny, tiny))[0].note == "n too small"
