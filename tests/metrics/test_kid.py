import numpy as np
import pytest

from gangda.metrics.kid import distance, kid


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
    assert distance(fake, real, 20) == pytest.approx(by_loops(fake, real), rel=1e-6)


def test_unbiased_around_zero_for_equal_distributions():
    rng = np.random.default_rng(1)
    values = [distance(rng.normal(size=(50, 8)), rng.normal(size=(50, 8)), 50) for _ in range(200)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(200)
    assert min(values) < 0


def test_scale_of_the_extractor_does_not_matter():
    rng = np.random.default_rng(2)
    fake, real = rng.normal(size=(40, 4)) + 1, rng.normal(size=(40, 4))
    assert distance(fake * 7, real * 7, 20) == pytest.approx(distance(fake, real, 20), rel=1e-6)


def test_per_class_sees_the_one_bad_class(make_inputs):
    rng = np.random.default_rng(3)
    labels = np.repeat([0, 1], 50)
    fake, real, floor = (rng.normal(size=(100, 4)) for _ in range(3))
    fake[labels == 1] += 2
    lenet = kid(make_inputs(fake, real, floor, labels))[0]
    assert lenet.name == "kid_lenet_100"
    assert lenet.per_class[1] > 10 * abs(lenet.per_class[0])


def test_too_few_images_are_said(make_inputs):
    tiny = np.zeros((2, 3))
    assert kid(make_inputs(tiny, tiny, tiny))[0].note == "n too small"
