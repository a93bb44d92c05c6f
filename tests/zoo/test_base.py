"""The inputs of samples, and truncated noise."""

import pytest
import torch

from gangda.config import architectures
from gangda.config.sampler_options import SamplerOptions
from gangda.zoo.networks import build_networks


@pytest.fixture(params=["cdcgan", "madgan", "gan"])
def generator(request):
    torch.manual_seed(0)
    return build_networks(
        request.param, architectures.spec_class(request.param)(), (1, 8, 8), 3
    ).generator.eval()


def latents(generator, count, limit):
    rng = torch.Generator().manual_seed(0)
    return generator.latents(0, range(count), rng, SamplerOptions(truncation=limit))


@pytest.mark.parametrize("limit", [0.1, 1.0, 2.5])
def test_no_value_lies_beyond_the_limit_and_the_others_stay(generator, limit):
    z = generator.noise(60, torch.Generator().manual_seed(0))
    cut = latents(generator, 60, limit)
    assert cut.parents is None
    assert cut.noise.abs().max() <= limit
    inside = z.abs() <= limit
    assert torch.equal(cut.noise[inside], z[inside])


def test_what_is_drawn_is_the_truncated_normal():
    torch.manual_seed(0)
    generator = build_networks("cdcgan", architectures.CdcganSpec(), (1, 8, 8), 3).generator
    z = latents(generator, 2000, 1.0).noise
    # Variance of a standard normal cut at -1 and 1: 1 - 2 phi(1) / (2 Phi(1) - 1) = 0.29112...
    assert z.var().item() == pytest.approx(0.29112, abs=0.005)
    assert z.mean().item() == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("limit", [None, 50.0])
def test_without_a_narrow_limit_the_noise_is_as_drawn(generator, limit):
    rows = 2 * generator.num_generators
    z = latents(generator, rows, limit).noise
    y = torch.zeros(rows, dtype=torch.int64)
    assert torch.equal(z, generator.noise(rows, torch.Generator().manual_seed(0)))
    assert torch.equal(generator.sample(y, z), generator(z, y))
