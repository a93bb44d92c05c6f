import numpy as np
import pytest

from gangda.metrics.artefact import artefact, auc_interval


def test_equal_distributions_cannot_be_told_apart_and_an_artefact_can(make_inputs):
    rng = np.random.default_rng(0)
    real, floor, healthy = rng.normal(size=(3, 300, 10))
    marked = healthy + np.eye(10)[0] * 6
    (good,), (bad,) = (artefact(make_inputs(fake, real, floor)) for fake in (healthy, marked))
    assert good.interval[0] < 0.5 < good.interval[1]
    assert good.floor == pytest.approx(0.5, abs=0.1)
    assert bad.value > 0.99
    assert (good.note, bad.note[:5]) == ("", "ALARM")


def test_the_alarm_waits_until_the_bound_is_beyond_chance(make_inputs):
    rng = np.random.default_rng(0)
    real, floor, fake = rng.normal(size=(3, 1000, 10))
    marked = fake + np.eye(10)[0] * 2.05  # an AUC of Phi(2.05 / sqrt 2) = 0.926
    (few,) = artefact(make_inputs(marked[:60], real[:60], floor[:60]))
    (many,) = artefact(make_inputs(marked, real, floor))
    assert few.value == pytest.approx(0.926, abs=0.06)
    assert few.note == ""
    assert many.note.startswith("ALARM")


def test_interval_covers_the_true_auc():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(1)
    true = 0.760249938906524  # of two unit normals one apart: Phi(1 / sqrt 2)
    labels = np.repeat([0, 1], 80)
    inside = 0
    for _ in range(400):
        scores = np.concatenate([rng.normal(size=80), rng.normal(size=80) + 1])
        low, high = auc_interval(roc_auc_score(labels, scores), 80)
        inside += low <= true <= high
    assert inside / 400 == pytest.approx(0.95, abs=0.03)


def test_too_few_images_are_said(make_inputs):
    assert artefact(make_inputs(*np.zeros((3, 8, 2))))[0].note == "too few images"
