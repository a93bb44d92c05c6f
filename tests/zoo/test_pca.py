import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from gangda.data.images import real_images
from gangda.specs import PcaSpec
from gangda.zoo.pca import fit


def test_components_agree_with_scikit_learn(blobs):
    generator = fit(PcaSpec(components=5), blobs)
    for label in range(blobs.num_classes):
        flat = blobs.pixels[blobs.labels == label].reshape(-1, 64) / 127.5 - 1
        reference = PCA(5).fit(flat)
        lengths = generator.basis[label].norm(dim=1).numpy()
        assert lengths == pytest.approx(np.sqrt(reference.explained_variance_), rel=1e-4)
        cosines = np.abs((generator.basis[label].numpy() / lengths[:, None] * reference.components_).sum(1))
        assert cosines == pytest.approx(np.ones(5), abs=1e-4)


def test_samples_have_the_moments_of_the_class(blobs):
    generator = fit(PcaSpec(components=64), blobs)
    rng = torch.Generator().manual_seed(0)
    images = generator(generator.noise(4000, rng), torch.full((4000,), 2))
    real = blobs.pixels[blobs.labels == 2].transpose(0, 3, 1, 2) / 127.5 - 1
    assert images.mean(0).numpy() == pytest.approx(real.mean(0), abs=0.05)


def test_a_class_of_one_image_gives_that_image():
    images = real_images(np.full((3, 8, 8, 1), 200, np.uint8), [0, 1, 1], ["one", "two"])
    generator = fit(PcaSpec(components=3), images)
    sample = generator(torch.randn(1, 3), torch.tensor([0]))
    assert sample.numpy() == pytest.approx(200 / 127.5 - 1, abs=1e-6)
