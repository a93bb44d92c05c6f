import numpy as np
import pytest
import scipy.linalg

from gangda.metrics.fid import fid, frechet


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
