import numpy as np
import pytest

from gangda.metrics.density_coverage import density_and_coverage, density_coverage
from gangda.metrics.neighbours import squared_radii


def ours(fake, real):
    fake, real = fake.astype(np.float32), real.astype(np.float32)
    return density_and_coverage(fake, real, squared_radii(real, 5)[:, -1])


def by_sklearn(fake, real):
    from sklearn.neighbors import NearestNeighbors

    radii = NearestNeighbors(n_neighbors=6).fit(real).kneighbors(real)[0][:, -1]
    inside = np.linalg.norm(fake[:, None] - real[None], axis=2) <= radii
    return inside.sum() / (5 * len(fake)), inside.any(axis=0).mean()


def test_agrees_with_a_second_implementation():
    rng = np.random.default_rng(0)
    fake, real = rng.normal(size=(60, 5)) * 0.8, rng.normal(size=(80, 5))
    assert ours(fake, real) == pytest.approx(by_sklearn(fake, real))


def test_constant_features_are_covered():
    same = np.full((20, 7), 0.1)
    assert ours(same, same) == (20 / 5, 1)


def test_missing_modes_raise_the_alarm_and_healthy_samples_do_not(make_inputs):
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(4, 6)) * 20
    real, floor, healthy = (centres[np.arange(200) % 4] + rng.normal(size=(200, 6)) for _ in range(3))
    collapsed = centres[np.arange(200) % 2] + rng.normal(size=(200, 6))
    good = density_coverage(make_inputs(healthy, real, floor))[1]
    bad = density_coverage(make_inputs(collapsed, real, floor))[1]
    assert good.name == "coverage_lenet_200"
    assert good.note == ""
    assert bad.note.startswith("ALARM")
    assert bad.value == pytest.approx(0.5, abs=0.05)


def test_too_few_images_are_said(make_inputs):
    assert "too small" in density_coverage(make_inputs(*np.zeros((3, 5, 2))))[0].note
