"""Solvers against flows whose solution is known, and the networks' shapes."""

import math

import pytest
import torch

from gangda.config.architectures import FlowSpec
from gangda.config.sampler_options import SamplerOptions
from gangda.errors import UsageError
from gangda.zoo.flow.generator import BACKBONES, SIGMA_DATA, SOLVERS, EdmGenerator, FlowGenerator, solve

MEAN, SPREAD = 3.0, 0.5


def gaussian_velocity(x, t):
    """dx/dt of x_t = (1 - t) x0 + t e for x0 ~ N(MEAN, SPREAD^2) and e ~ N(0, 1): E[e - x0 | x_t = x]."""
    variance = (1 - t) ** 2 * SPREAD**2 + t**2
    slope = (t - (1 - t) * SPREAD**2) / variance
    return -MEAN + slope * (x - (1 - t) * MEAN)


@pytest.mark.parametrize(
    ("solver", "steps", "error"), [("euler", 400, 1e-2), ("midpoint", 60, 1e-3), ("heun", 60, 1e-3)]
)
def test_the_flow_between_gaussians_is_followed_to_its_end(solver, steps, error):
    noise = torch.tensor([-2.0, 0.0, 1.0], dtype=torch.float64)
    found = solve(gaussian_velocity, noise, solver, [1 - i / steps for i in range(steps + 1)])
    assert torch.allclose(found, MEAN + SPREAD * noise, atol=error)


def test_one_step_of_each_solver_by_hand():
    # dx/dt = x from x = 2 at t = 1, a step of 0.5 down.
    steps = {
        "euler": 2 - 0.5 * 2,
        "midpoint": 2 - 0.5 * (2 - 0.25 * 2),
        "heun": 2 - 0.25 * (2 + (2 - 0.5 * 2)),
    }
    assert steps.keys() == SOLVERS.keys()
    for name, expected in steps.items():
        found = SOLVERS[name](lambda x, t: x, torch.tensor(2.0, dtype=torch.float64), 1.0, 0.5)
        assert found.item() == pytest.approx(expected)


def test_a_mixture_in_one_dimension_keeps_its_weights():
    """Two modes, -4 and 4, of a quarter and three quarters; the velocity follows from Bayes' rule."""
    modes, weights, spread = torch.tensor([-4.0, 4.0]), torch.tensor([0.25, 0.75]), 0.3

    def velocity(x, t):
        variance = (1 - t) ** 2 * spread**2 + t**2
        logits = weights.log() - (x[:, None] - (1 - t) * modes) ** 2 / (2 * variance)
        slope = (t - (1 - t) * spread**2) / variance
        each = -modes + slope * (x[:, None] - (1 - t) * modes)
        return (logits.softmax(1) * each).sum(1)

    noise = torch.randn(4000, generator=torch.Generator().manual_seed(0))
    found = solve(velocity, noise, "midpoint", [1 - i / 100 for i in range(101)])
    share = (found > 0).float().mean().item()
    assert share == pytest.approx(0.75, abs=4 * math.sqrt(0.75 * 0.25 / 4000))
    assert found[found > 0].std().item() == pytest.approx(spread, rel=0.1)


class Straight(FlowGenerator):
    """Velocity = label (0 for no class), so that an image is noise - label."""

    def velocity(self, x, t, y, changes):
        assert not changes.any()
        value = torch.where(y == self.num_classes, 0.0, y.float() / 100)
        return value[:, None, None, None].expand_as(x)


@pytest.mark.parametrize("guidance", [0.0, 1.0, 2.5])
def test_guidance_moves_away_from_no_class(guidance):
    generator = Straight(torch.nn.Identity(), (1, 8, 8), 5, conditional=True)
    noise = torch.zeros(2, 1, 8, 8)
    images = generator.sample(torch.tensor([1, 4]), noise, SamplerOptions(guidance=guidance, sampler_steps=3))
    assert images[:, 0, 0, 0].tolist() == pytest.approx([-0.01 * guidance, -0.04 * guidance])


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize(
    ("shape", "width"), [((1, 8, 8), 8), ((3, 30, 30), 12), ((1, 28, 20), 16), ((3, 64, 64), 8)]
)
def test_backbones_keep_any_shape_and_start_at_zero(backbone, shape, width):
    network = BACKBONES[backbone](FlowSpec(backbone=backbone, width=width), shape, 3).eval()
    x, t = torch.randn(2, *shape), torch.tensor([0.1, 0.9])
    found = network(x, t, torch.tensor([0, 3]), torch.zeros(2, 3))
    assert found.shape == x.shape
    assert not found.any()
    found.sum().backward()
    last = network.conv_out if backbone == "unet" else network.head
    assert last.weight.grad is not None


@pytest.mark.parametrize("backbone", BACKBONES)
def test_class_time_and_changes_reach_the_prediction(backbone):
    torch.manual_seed(0)
    network = BACKBONES[backbone](FlowSpec(backbone=backbone, width=8), (1, 8, 8), 3).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    x, t, y, changes = torch.randn(1, 1, 8, 8), torch.tensor([0.5]), torch.tensor([0]), torch.zeros(1, 3)
    plain = network(x, t, y, changes)
    for other in ((x, t + 0.2, y, changes), (x, t, y + 1, changes), (x, t, y, changes + 1)):
        assert not torch.allclose(network(*other), plain)


class Denoiser(torch.nn.Module):
    """F for which D is the best denoiser of images ~ N(MEAN / 10, SPREAD^2)."""

    def forward(self, x, t, y, changes):
        sigma = (4 * t).exp()[:, None, None, None]
        whole = (sigma**2 + SIGMA_DATA**2).sqrt()
        noisy = x * whole
        best = (SPREAD**2 * noisy + sigma**2 * MEAN / 10) / (SPREAD**2 + sigma**2)
        return (best - SIGMA_DATA**2 / whole**2 * noisy) / (sigma * SIGMA_DATA / whole)


@pytest.mark.parametrize(
    ("solver", "steps", "error"), [("euler", 300, 2e-2), ("midpoint", 60, 5e-3), ("heun", 60, 5e-3)]
)
def test_edm_follows_the_flow_of_a_gaussian_to_its_end(solver, steps, error):
    generator = EdmGenerator(Denoiser(), (1, 2, 2), 2, conditional=False).double()
    noise = torch.linspace(-1, 1, 4, dtype=torch.float64).reshape(1, 1, 2, 2)
    found = generator.sample(
        torch.zeros(1, dtype=torch.int64), noise, SamplerOptions(sampler=solver, sampler_steps=steps)
    )
    # Nearly all of the noise at t = 80 is the image's own spread: x_0 = mean + spread * noise.
    assert torch.allclose(found, (MEAN / 10 + SPREAD * noise).clamp(-1, 1), atol=error)


def test_edms_times_are_the_papers():
    generator = EdmGenerator(torch.nn.Identity(), (1, 8, 8), 2, conditional=True)
    times = generator.times(18)
    assert times[0] == pytest.approx(80)
    assert times[17] == pytest.approx(0.002)
    assert times[18] == 0
    assert times[9] == pytest.approx(1.9233, rel=1e-4)


@pytest.mark.parametrize(("backbone", "width", "unit"), [("unet", 9, 2), ("dit", 18, 4)])
def test_widths_that_four_heads_cannot_share_are_refused(backbone, width, unit):
    with pytest.raises(UsageError, match=f"--width {width}: .* multiple of {unit}"):
        FlowSpec(backbone=backbone, width=width).resolved(28)
