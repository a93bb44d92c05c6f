import numpy as np
import pytest
import torch

from gangda.metrics import neighbours
from gangda.metrics.neighbours import squared_radii
from gangda.metrics.precision_recall import precision_recall, shares_inside


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
