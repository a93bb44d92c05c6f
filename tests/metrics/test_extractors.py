import numpy as np
import pytest
import torch

from gangda.metrics.extractors import pixel_components, random_convolutions
from gangda.runtime.device import DeviceContext

MACHINE = DeviceContext(torch.device("cpu"), torch.float32, 1)


def noise(count, side, channels=1, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, channels), dtype=np.uint8)


@pytest.mark.parametrize(("side", "channels"), [(8, 1), (9, 3), (28, 1), (64, 3)])
def test_any_size_gives_256_features(side, channels):
    features = random_convolutions((channels, side, side), MACHINE).embed(noise(3, side, channels))
    assert features.shape == (3, 256)
    assert features.dtype == np.float32
    assert features.std() > 0


def test_no_feature_depends_on_the_batch_beside_it(monkeypatch):
    images = noise(20, 28)
    whole = random_convolutions((1, 28, 28), MACHINE).embed(images)
    monkeypatch.setattr(type(MACHINE), "inference_batch", lambda *given: 3)
    assert random_convolutions((1, 28, 28), MACHINE).embed(images) == pytest.approx(whole, abs=1e-5)


def test_weights_are_fixed_and_leave_the_global_stream_alone():
    torch.manual_seed(1)
    first = random_convolutions((1, 28, 28), MACHINE)
    torch.manual_seed(2)
    second = random_convolutions((1, 28, 28), MACHINE)
    assert first.fingerprint == second.fingerprint == random_convolutions((1, 20, 20), MACHINE).fingerprint
    assert first.fingerprint != random_convolutions((1, 8, 8), MACHINE).fingerprint
    assert np.array_equal(first.embed(noise(2, 28)), second.embed(noise(2, 28)))


def test_brightness_alone_is_not_seen():
    flat = np.stack([np.full((28, 28, 1), value, dtype=np.uint8) for value in (10, 240)])
    assert np.abs(random_convolutions((1, 28, 28), MACHINE).embed(flat)).max() < 1e-4


def test_components_agree_with_sklearn():
    from sklearn.decomposition import PCA

    images = noise(100, 8)
    ours = pixel_components(images).embed(noise(7, 8, seed=1))
    pca = PCA(32, svd_solver="full").fit(images.reshape(100, -1) / 127.5 - 1)
    theirs = pca.transform(noise(7, 8, seed=1).reshape(7, -1) / 127.5 - 1)
    assert np.abs(ours) == pytest.approx(np.abs(theirs), abs=1e-3)


def test_few_images_give_few_components():
    assert pixel_components(noise(4, 8)).embed(noise(2, 8)).shape == (2, 3)
