"""`GanAugmenter` as a sampler of imbalanced-learn: its checks, its pipeline, and images."""

import numpy as np
import pytest
import torch
from imblearn.pipeline import make_pipeline
from imblearn.utils.estimator_checks import parametrize_with_checks
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from gangda import GanAugmenter
from gangda.api import augmenter
from gangda.errors import UsageError

RNG = np.random.default_rng(0)
SMALL = {"components": 4}


@parametrize_with_checks([GanAugmenter("ppca", random_state=0, options={"components": 2, "threads": 1})])
def test_checks_of_imbalanced_learn(estimator, check):
    check(estimator)


def digits():
    """100 of the digit 0, 20 of 1 and 30 of 2, values 0 to 16."""
    X, y = load_digits(return_X_y=True)
    rows = np.concatenate(
        [np.flatnonzero(y == label)[:count] for label, count in ((0, 100), (1, 20), (2, 30))]
    )
    return X[rows], y[rows]


def test_samples_are_recognised_as_the_class_that_they_fill():
    X, y = digits()
    grown, labels = GanAugmenter("pca", random_state=0, options=SMALL).fit_resample(X, y)
    assert np.bincount(labels).tolist() == [100, 100, 100]
    np.testing.assert_array_equal(grown[:150], X)
    assert grown.shape == (300, 64)
    assert grown.min() >= 0
    assert grown.max() <= 16
    rest_X, rest_y = load_digits(return_X_y=True)
    rest = np.isin(rest_y, (0, 1, 2)) & (np.arange(len(rest_y)) > 400)
    judge = LogisticRegression(max_iter=500).fit(rest_X[rest], rest_y[rest])
    assert judge.score(grown[150:], labels[150:]) > 0.9


@pytest.mark.parametrize(
    ("how", "counts"),
    [
        ({"sampling_strategy": "auto"}, [100, 100, 100]),
        ({"sampling_strategy": "minority"}, [100, 100, 30]),
        ({"sampling_strategy": {1: 25}}, [100, 25, 30]),
        ({"sampling_strategy": lambda y: {2: 31}}, [100, 20, 31]),
        ({"ratio": 0.5}, [150, 30, 45]),
        ({"ratio": 0}, [100, 20, 30]),
    ],
)
def test_numbers_of_each_class(how, counts):
    _, labels = GanAugmenter("pca", random_state=0, options=SMALL, **how).fit_resample(*digits())
    assert np.bincount(labels).tolist() == counts


@pytest.mark.parametrize("shape", [(9, 9), (8, 8, 3), (8, 10, 1)])
def test_images_stay_images(shape):
    X, y = RNG.integers(0, 256, (30, *shape), np.uint8), np.array(["b"] * 20 + ["a"] * 10)
    augmenter = GanAugmenter("pca", random_state=1, options=SMALL)
    grown, labels = augmenter.fit_resample(X, y)
    assert (grown.shape, grown.dtype) == ((40, *shape), np.uint8)
    assert labels[30:].tolist() == ["a"] * 10
    np.testing.assert_array_equal(grown[:30], X)
    rows, _ = clone(augmenter).set_params(image_shape=shape).fit_resample(X.reshape(30, -1), y)
    np.testing.assert_array_equal(rows.reshape(grown.shape), grown)


def test_a_pipeline_trains_on_what_is_added_and_leaves_torch_alone():
    X, y = digits()
    before = torch.get_rng_state(), torch.get_num_threads()
    options = {"steps": 2, "width": 8, "d_width": 8, "threads": 1}
    pipeline = make_pipeline(GanAugmenter(random_state=0, options=options), LogisticRegression(max_iter=300))
    assert pipeline.fit(X, y).score(X, y) > 0.9
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == torch.get_num_threads()


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"ratio": 1.0, "sampling_strategy": {1: 25}}, ValueError, "exclude each other"),
        ({"image_shape": (3, 3)}, ValueError, "rows have 64 values"),
        ({"options": {"stepz": 1}}, UsageError, "stepz: no such option; did you mean 'steps'"),
        ({"arch": "dcgan"}, UsageError, "cannot make images of a given class"),
        ({"arch": 3}, ValueError, "The 'arch' parameter"),
    ],
)
def test_what_cannot_be_done_is_said(how, error, message):
    with pytest.raises(error, match=message):
        GanAugmenter(**{"arch": "pca", **how}).fit_resample(*digits())


def test_whole_numbers_and_truths_are_rounded_back_and_not_cut_off():
    for dtype, high in ((np.int64, 16), (np.bool_, 1)):
        layout = augmenter._Layout(1, (1, 1, 1), 0.0, float(high), np.dtype(dtype))
        pixels = np.array([0, 127, 128, 254], np.uint8).reshape(4, 1, 1, 1)
        wanted = np.rint(np.array([0, 127, 128, 254]) * high / 255).astype(dtype)
        np.testing.assert_array_equal(layout.to_rows(pixels)[:, 0], wanted)
