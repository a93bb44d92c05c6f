import numpy as np
import pytest

from gangda.metrics.inception_score import inception_score, score


def test_by_hand():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(50, 4)).astype(np.float32)
    p = np.exp(logits.astype(np.float64))
    p /= p.sum(1, keepdims=True)
    expected = np.exp((p * np.log(p / p.mean(0))).sum(1).mean())
    assert score(logits) == pytest.approx(expected, rel=1e-6)


def test_extremes_are_k_and_one():
    sure = 50 * np.eye(5, dtype=np.float32)[np.arange(100) % 5]
    assert score(sure) == pytest.approx(5)
    assert score(np.zeros((100, 5), dtype=np.float32)) == pytest.approx(1)


def test_a_sorted_set_is_shuffled_before_it_is_split():
    sure = 50 * np.eye(5, dtype=np.float32)[np.repeat(np.arange(5), 1000)]
    assert score(sure) > 4.9


def test_floor_is_heldout_and_the_note_says_of_what(make_inputs):
    real = 50 * np.eye(5, dtype=np.float32)[np.arange(40) % 5]
    (result,) = inception_score(make_inputs(0 * real, real, 0 * real))
    assert (result.name, result.value, result.floor) == ("is_lenet_40", pytest.approx(1), pytest.approx(5))
    assert "not Inception" in result.note


def test_nothing_without_labels(make_inputs):
    assert inception_score(make_inputs(*np.zeros((3, 10, 2)), scorer="")) == []
