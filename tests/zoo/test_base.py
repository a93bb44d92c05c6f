"""Truncated noise."""

import pytest
import torch

from gangda.config import architectures
from gangda.training.saved_model import build_networks
from gangda.zoo.base import Truncated


@pytest.fixture(params=["cdcgan", "madgan", "gan"])
def generator(request):
    torch.manual_seed(0)
    return build_networks(
        request.param, architectures.spec_class(request.param)(), (1, 8, 8), 3
    ).generator.eval()


@pytest.mark.parametrize("limit", [0.1, 1.0, 2.5])
def test_no_value_lies_beyond_the_limit_and_the_others_stay(generator, limit):
    z = generator.noise(60, torch.Generator().manual_seed(0))
    cut = Truncated(generator, limit).noise(60, torch.Generator().manual_seed(0))
    assert cut.abs().max() <= limit
    inside = z.abs() <= limit
    assert torch.equal(cut[inside], z[inside])


def test_what_is_drawn_is_the_truncated_normal():
    torch.manual_seed(0)
    generator = build_networks("cdcgan", architectures.CdcganSpec(), (1, 8, 8), 3).generator
    z = Truncated(generator, 1.0).noise(2000, torch.Generator().manual_seed(0))
    # Variance of a standard normal cut at -1 and 1: 1 - 2 phi(1) / (2 Phi(1) - 1) = 0.29112...
    assert z.var().item() == pytest.approx(0.29112, abs=0.005)
    assert z.mean().item() == pytest.approx(0, abs=0.01)


def test_wide_limits_change_nothing(generator):
    truncated = Truncated(generator, 50.0)
    rows = 2 * generator.num_generators
    z = truncated.noise(rows, torch.Generator().manual_seed(0))
    y = torch.zeros(rows, dtype=torch.int64)
    assert torch.equal(z, generator.noise(rows, torch.Generator().manual_seed(0)))
    assert torch.equal(truncated(z, y), generator(z, y))
    assert isinstance(truncated.select(0), Truncated)
