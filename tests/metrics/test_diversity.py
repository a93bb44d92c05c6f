import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform

from gangda.metrics.diversity import diversity, mean_distance, vendi


def test_mean_distance_is_that_of_all_pairs():
    points = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32) + 100
    assert mean_distance(points)[0] == pytest.approx(pdist(points.astype(np.float64)).mean(), rel=1e-4)


def test_variance_of_the_mean_distance_is_that_of_repetition():
    rng = np.random.default_rng(1)
    draws = [mean_distance(rng.normal(size=(60, 3)).astype(np.float32)) for _ in range(400)]
    values, variances = np.array(draws).T
    assert np.mean(variances) == pytest.approx(np.var(values), rel=0.25)


def test_vendi_is_the_entropy_of_the_kernel():
    points = np.random.default_rng(2).normal(size=(30, 4)).astype(np.float32)
    kernel = np.exp(-(squareform(pdist(points.astype(np.float64))) ** 2) / (2 * 1.5**2)) / 30
    shares = np.linalg.svd(kernel, compute_uv=False)
    assert vendi(points, 1.5) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-4)


def test_vendi_counts_different_points():
    far = 1000 * np.eye(5, dtype=np.float32)
    assert vendi(far, 1.0) == pytest.approx(5)
    assert vendi(np.repeat(far[:2], 10, axis=0), 1.0) == pytest.approx(2)


def three(rng, labels):
    centres = 10 * rng.normal(size=(labels.max() + 1, 5))
    return [centres[labels] + rng.normal(size=(len(labels), 5)) for _ in range(3)]


def of(results, name):
    return next(result for result in results if result.name.startswith(name))


def test_healthy_samples_are_as_varied_as_real_ones(make_inputs):
    rng, labels = np.random.default_rng(3), np.repeat(np.arange(4), 50)
    results = diversity(make_inputs(*three(rng, labels), labels))
    assert not [result.note for result in results if result.note.startswith("ALARM")]
    ratio = of(results, "diversity_ratio_randconv")
    assert ratio.interval[0] < 1 < ratio.interval[1]
    assert ratio.floor == pytest.approx(1, abs=0.1)
    assert of(results, "vendi_randconv").value == pytest.approx(1, abs=0.1)


def test_one_collapsed_class_is_named(make_inputs):
    rng, labels = np.random.default_rng(4), np.repeat(np.arange(12), 40)
    fake, real, floor = three(rng, labels)
    fake[labels == 7] = fake[labels == 7].mean(0) + 0.6 * (fake[labels == 7] - fake[labels == 7].mean(0))
    ratio = of(diversity(make_inputs(fake, real, floor, labels)), "diversity_ratio_pca")
    assert ratio.value > 0.93  # the mean hardly sees it
    assert ratio.note == "ALARM less varied than real images: class 7"
    assert ratio.per_class[7] == pytest.approx(0.6, abs=0.08)


def test_tiny_classes_are_left_out(make_inputs):
    rng, labels = np.random.default_rng(5), np.repeat([0, 1], [30, 2])
    ratio = diversity(make_inputs(*three(rng, labels), labels))[0]
    assert np.isnan(ratio.per_class[1])
    assert np.isfinite(ratio.value)
    tiny = np.repeat([0, 1], 2)
    assert diversity(make_inputs(*three(rng, tiny), tiny))[0].note == "too few images of each class"
