import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from gangda.config.architectures import PpcaSpec
from gangda.data.images import real_images
from gangda.zoo.closed_form.pca import build


def fit(spec, images):
    generator = build(spec, images.image_shape, images.num_classes).generator
    generator.fit(images)
    return generator


def gaussian_images(count=4000):
    """One class of 8x8 images: five strong directions and noise of 8 grey levels, far from black and white."""
    rng = np.random.default_rng(0)
    directions = np.linalg.qr(rng.normal(size=(64, 5)))[0].T
    flat = rng.normal(size=(count, 5)) * [90, 80, 70, 60, 50] @ directions + rng.normal(size=(count, 64)) * 8
    pixels = np.clip(np.round(flat + 128), 0, 255).astype(np.uint8).reshape(-1, 8, 8, 1)
    return real_images(pixels, np.zeros(count, dtype=np.int64), ["only"])


def covariance(x):
    return np.cov(x.reshape(len(x), -1), rowvar=False, bias=True)


@pytest.mark.parametrize("components", [1, 5, 20])
def test_noise_is_the_mean_of_the_discarded_eigenvalues(blobs, components):
    generator = fit(PpcaSpec(components=components), blobs)
    for label in range(4):
        flat = blobs.pixels[blobs.labels == label].reshape(-1, 64) / 127.5 - 1
        eigenvalues = np.linalg.eigvalsh(covariance(flat))[::-1]
        assert float(generator.sigma[label]) ** 2 == pytest.approx(eigenvalues[components:].mean(), rel=1e-4)
        columns = generator.weight[label].double()
        kept = (columns @ columns.T).diagonal().numpy()
        assert kept == pytest.approx(eigenvalues[:components] - eigenvalues[components:].mean(), rel=1e-3)


def test_likelihood_is_scikit_learns():
    # Where there are more images than pixels, scikit-learn's noise variance is the paper's, but for its n - 1.
    images = gaussian_images()
    flat = images.pixels.reshape(len(images), -1) / 127.5 - 1
    generator = fit(PpcaSpec(components=5), images)
    weight = generator.weight[0].double().numpy()
    model = weight.T @ weight + float(generator.sigma[0]) ** 2 * np.eye(64)
    reference = PCA(5).fit(flat)
    assert model * len(images) / (len(images) - 1) == pytest.approx(reference.get_covariance(), abs=1e-5)


def test_samples_have_the_models_covariance():
    images = gaussian_images()
    generator = fit(PpcaSpec(components=5), images)
    z = generator.noise(20000, torch.Generator().manual_seed(0))
    assert z.shape == (20000, 5 + 64)
    samples = generator(z, torch.zeros(20000, dtype=torch.int64)).flatten(1).numpy()
    real = covariance(images.pixels.reshape(len(images), -1) / 127.5 - 1)
    made = covariance(samples)
    assert np.trace(made) == pytest.approx(np.trace(real), rel=0.03)
    assert np.abs(made - real).max() < 0.05 * np.abs(real).max()
    # Without its noise the model would miss the discarded directions: here 59 of them at (8 / 127.5)^2 each.
    assert np.linalg.eigvalsh(made)[:59].mean() == pytest.approx((8 / 127.5) ** 2, rel=0.05)


def test_small_classes_and_many_components():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1)).astype(np.uint8)
    images = real_images(pixels, [0, 1, 1, 1, 1], ["one", "four"])
    generator = fit(PpcaSpec(components=500), images)
    assert generator.sigma.tolist() == pytest.approx([0, 0], abs=1e-6)
    sample = generator(generator.noise(3, torch.Generator().manual_seed(0)), torch.tensor([0, 1, 1]))
    assert sample[0].flatten().numpy() == pytest.approx(pixels[0].ravel() / 127.5 - 1, abs=1e-6)
    assert not torch.allclose(sample[1], sample[2])
