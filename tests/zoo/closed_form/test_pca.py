import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from gangda.config.architectures import PcaSpec
from gangda.data.images import real_images
from gangda.zoo.base import DEFAULT_OPTIONS
from gangda.zoo.closed_form.pca import build


def fit(spec, images):
    generator = build(spec, images.image_shape, images.num_classes).generator
    generator.fit(images)
    return generator


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


def test_reconstructions_are_projections_on_the_leading_components(blobs):
    generator = fit(PcaSpec(components=6, reconstruct=True), blobs)
    assert generator.available == (40, 40, 40, 40)
    for label in range(4):
        rows = np.flatnonzero(blobs.labels == label)
        real = blobs.pixels[rows].reshape(-1, 64) / 127.5 - 1
        reference = PCA(6).fit(real)
        expected = reference.inverse_transform(reference.transform(real)).clip(-1, 1)
        draws = generator.latents(label, range(40), torch.Generator(), DEFAULT_OPTIONS)
        images = generator.sample(torch.full((40,), label), draws.noise)
        assert images.flatten(1).numpy() == pytest.approx(expected, abs=1e-4)
        assert draws.parents.tolist() == blobs.row_id[rows].tolist()
    wrapped, all_ = (
        generator.latents(2, range(38, 42), None, DEFAULT_OPTIONS),
        generator.latents(2, range(40), None, DEFAULT_OPTIONS),
    )
    assert torch.equal(wrapped.noise, all_.noise[[38, 39, 0, 1]])
    assert torch.equal(wrapped.parents, all_.parents[[38, 39, 0, 1]])


def test_all_components_give_the_images_back(blobs):
    few = blobs.take(np.r_[0:24, 30, 34])  # classes of different sizes; fewer images than pixels
    generator = fit(PcaSpec(components=500, reconstruct=True), few)
    assert generator.available == tuple(few.counts().tolist())
    for label in range(4):
        real = few.pixels[few.labels == label].transpose(0, 3, 1, 2) / 127.5 - 1
        z = generator.latents(label, range(len(real)), None, DEFAULT_OPTIONS).noise
        assert generator(z, torch.full((len(real),), label)).numpy() == pytest.approx(real, abs=1e-4)


def test_reconstructions_do_not_lose_to_short_numbers(blobs):
    generator = fit(PcaSpec(components=6, reconstruct=True), blobs)
    z, y = generator.latents(0, range(8), None, DEFAULT_OPTIONS).noise, torch.zeros(8, dtype=torch.int64)
    with torch.autocast("cpu", torch.bfloat16):
        short = generator(z, y)
    assert torch.equal(short, generator(z, y))
