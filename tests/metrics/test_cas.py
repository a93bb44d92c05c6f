import numpy as np
import pytest

from gangda.metrics.cas import cas

LABELS = np.repeat(np.arange(3), 20)


def test_trains_on_samples_and_for_the_ceiling_on_as_many_real_images(make_inputs):
    trained_on = []

    def retrain(images):
        trained_on.append((int(images.origin[0]), images.counts().tolist()))
        return LABELS if images.origin[0] == 0 else np.where(np.arange(60) < 6, 1, LABELS)

    (result,) = cas(make_inputs(*np.zeros((3, 60, 2)), LABELS, retrain=retrain))
    assert trained_on == [(2, [20, 20, 20]), (0, [20, 20, 20])]
    assert (result.name, result.value, result.floor) == ("cas_lenet", pytest.approx(0.9), 1)
    assert result.interval[0] < 0.9 < result.interval[1]
    assert result.per_class == pytest.approx((0.7, 1, 1))
    assert result.note.startswith("10.0 points below the ceiling")


def test_nothing_without_labels(make_inputs):
    assert cas(make_inputs(*np.zeros((3, 60, 2)), LABELS, scorer="")) == []
