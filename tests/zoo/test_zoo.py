"""Properties that every architecture must have, parametrised over the catalog."""

import pytest
import torch

from gangda import catalog, specs
from gangda.moves.model import build_networks
from gangda.zoo.base import Scores

TRAINED = [name for name in catalog.ARCHITECTURES if specs.spec_class(name).game]
SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 30, 30), (1, 64, 64)]
CASES = [(arch, shape) for arch in TRAINED for shape in SHAPES if shape[1] <= specs.spec_class(arch).sides[1]]


def build(arch, shape, classes=5):
    torch.manual_seed(0)
    return build_networks(arch, specs.spec_class(arch)(), shape, classes)


@pytest.mark.parametrize(("arch", "shape"), CASES, ids=str)
def test_shapes_and_ranges(arch, shape):
    networks = build(arch, shape)
    generator = networks.generator
    rows = 2 * generator.num_generators
    y = torch.arange(rows) % 5
    images = generator(generator.noise(rows, torch.Generator().manual_seed(1)), y)
    assert images.shape == (rows, *shape)
    assert images.abs().max() <= 1
    scores = networks.discriminator(images, y)
    assert isinstance(scores, Scores)
    assert scores.adversarial.shape[0] == rows
    assert scores.adversarial.dtype == torch.float32


@pytest.mark.parametrize("arch", TRAINED)
def test_every_parameter_learns(arch):
    networks = build(arch, (1, 8, 8))
    generator = networks.generator
    rows = 4 * generator.num_generators
    y = torch.arange(rows) % 5
    z = generator.noise(rows, torch.Generator().manual_seed(1))
    networks.discriminator(generator(z, y), y).adversarial.square().sum().backward()
    for player in (generator, networks.discriminator):
        idle = [name for name, p in player.named_parameters() if p.grad is None]
        assert idle == []


@pytest.mark.parametrize("arch", TRAINED)
def test_conditional_generators_listen_to_the_label(arch):
    generator = build(arch, (1, 8, 8)).generator.eval()
    with torch.no_grad():
        for parameter in generator.parameters():  # fresh conditional norms are alike for all classes
            parameter.add_(0.1 * torch.randn_like(parameter))
    rows = generator.num_generators
    z = generator.noise(rows, torch.Generator().manual_seed(1))
    one, two = (
        generator(z, torch.zeros(rows, dtype=torch.int64)),
        generator(z, torch.ones(rows, dtype=torch.int64)),
    )
    assert torch.equal(one, two) is not generator.conditional


@pytest.mark.parametrize("arch", TRAINED)
def test_a_sample_does_not_depend_on_its_batch(arch):
    generator = build(arch, (1, 28, 28)).generator.eval()
    k = generator.num_generators
    z = generator.noise(4 * k, torch.Generator().manual_seed(1))
    y = torch.arange(4 * k) % 5
    alone = generator.select(0)(z[:2], y[:2])
    assert torch.allclose(generator(z, y)[:2], alone, atol=1e-5)


def test_numbers_of_parameters():
    # Counted by hand from the layer shapes at 28x28 with 10 classes.
    generator = build("cdcgan", (1, 28, 28), 10).generator
    linear = 64 * 128 * 49
    ups = 128 * 64 * 16 + 64 * 32 * 16
    norms = 10 * 2 * (128 + 64 + 32)
    out = 32 * 9 + 1
    assert sum(p.numel() for p in generator.parameters()) == linear + ups + norms + out


@pytest.mark.parametrize("k", [0, 1, 2])
@pytest.mark.parametrize("conditional", [True, False])
def test_a_selected_madgan_generator_makes_the_same_images(k, conditional):
    torch.manual_seed(0)
    spec = specs.MadganSpec(generators=3, conditional=conditional)
    ensemble = build_networks("madgan", spec, (1, 28, 28), 5).generator.eval()
    z, y = torch.randn(12, 64), torch.arange(12) % 5
    together = ensemble(z, y)[4 * k : 4 * k + 4]
    alone = ensemble.select(k)(z[4 * k : 4 * k + 4], y[4 * k : 4 * k + 4])
    assert torch.allclose(together, alone, atol=1e-6)
    with pytest.raises(IndexError):
        ensemble.select(3)


def test_madgan_generators_start_different():
    generator = build("madgan", (1, 8, 8)).generator.eval()
    z = torch.randn(1, 64).expand(3, 64)
    images = generator(z, torch.zeros(3, dtype=torch.int64))
    assert not torch.allclose(images[0], images[1], atol=1e-3)


def test_madgan_discriminator_conditions_the_real_logit_only():
    spec = specs.MadganSpec()
    discriminator = build_networks("madgan", spec, (1, 8, 8), 5).discriminator
    torch.nn.init.normal_(discriminator.embed.weight)
    x = torch.randn(2, 1, 8, 8)
    one = discriminator(x, torch.tensor([0, 0])).adversarial
    two = discriminator(x, torch.tensor([1, 1])).adversarial
    assert torch.equal(one[:, :-1], two[:, :-1])
    assert not torch.allclose(one[:, -1], two[:, -1])
