import numpy as np
import pytest
import torch

from gangda.metrics import neighbours
from gangda.metrics.manifolds import density_and_coverage, density_coverage, precision_recall, shares_inside
from gangda.metrics.neighbours import squared_radii


def shares(fake, real):
    fake, real = fake.astype(np.float32), real.astype(np.float32)
    return shares_inside(fake, real, squared_radii(fake, 3)[:, -1], squared_radii(real, 3)[:, -1])


def brute_force(fake, real):
    def inside(points, centres):
        count = 0
        for point in points:
            for i, centre in enumerate(centres):
                others = np.delete(centres, i, axis=0)
                radius = np.sort(np.linalg.norm(others - centre, axis=1))[2]
                if np.linalg.norm(point - centre) <= radius:
                    count += 1
                    break
        return count / len(points)

    return inside(fake, real), inside(real, fake)


@pytest.mark.parametrize("cells", [1 << 21, 100])
def test_agrees_with_brute_force_whatever_the_chunk(cells, monkeypatch):
    monkeypatch.setattr(neighbours, "CELLS", cells)
    rng = np.random.default_rng(0)
    fake, real = rng.normal(size=(40, 6)) * 1.3, rng.normal(size=(50, 6))
    assert shares(fake, real) == pytest.approx(brute_force(fake, real))


def test_agrees_with_torch_fidelity():
    from torch_fidelity.metric_prc import prc_features_to_metric

    rng = np.random.default_rng(1)
    fake, real = (rng.normal(size=(300, 20)).astype(np.float32) * scale for scale in (0.9, 1.0))
    theirs = prc_features_to_metric(torch.from_numpy(fake), torch.from_numpy(real), verbose=False)
    assert shares(fake, real) == pytest.approx((theirs["precision"], theirs["recall"]), abs=1e-6)


def test_constant_features_are_inside_and_another_constant_outside():
    same = np.full((20, 7), 0.1)
    assert shares(same, same) == (1, 1)
    assert shares(same, same + 0.3) == (0, 0)


def test_names_intervals_and_small_sets(make_inputs):
    rng = np.random.default_rng(2)
    results = precision_recall(make_inputs(*rng.normal(size=(3, 30, 4))))
    assert [result.name for result in results[:2]] == ["precision_lenet_30", "recall_lenet_30"]
    assert results[0].interval[0] < results[0].value < results[0].interval[1]
    tiny = precision_recall(make_inputs(*rng.normal(size=(3, 3, 4))))[0]
    assert np.isnan(tiny.value)
    assert "too small" in tiny.note


def density(fake, real):
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
    assert density(fake, real) == pytest.approx(by_sklearn(fake, real))


def test_constant_features_are_covered():
    same = np.full((20, 7), 0.1)
    assert density(same, same) == (20 / 5, 1)


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
