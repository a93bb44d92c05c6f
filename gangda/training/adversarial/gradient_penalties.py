"""Penalties on the slope of the discriminator's score in its input."""

import torch
from torch import Tensor, nn

from gangda.training.adversarial.losses import Score, slopes
from gangda.training.draws import Draws


def r2(score: Score, fake: Tensor) -> Tensor:
    """As `losses.r1`, at fakes, where it restrains the score around what the generator makes. Multiply by gamma.

    Source: Mescheder 2018, equation 10.
    """
    return 0.5 * slopes(score, fake).square().sum(1).mean()


def gradient_penalty(score: Score, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
    """E (|gradient| - 1)^2 at random points between pairs of real and fake images, both (B, C, H, W).

    One uniform share a pair, from `draws`. Multiply by lambda (10 in the paper). Source: Gulrajani 2017, equation 3.
    """
    share = draws.take(torch.rand, (len(real), 1, 1, 1))
    between = torch.lerp(fake.detach().to(real.dtype), real, share)
    lengths = torch.linalg.vector_norm(slopes(score, between), dim=1)
    penalty: Tensor = (lengths - 1).square().mean()
    return penalty


def clip_weights(module: nn.Module, bound: float) -> None:
    """Force every weight into [-bound, bound], in place; 0: none. Source: Arjovsky 2017, algorithm 1 (bound 0.01)."""
    tensors: list[Tensor] = list(module.parameters()) if bound else []
    if not tensors:
        return
    with torch.no_grad():
        torch._foreach_clamp_min_(tensors, -bound)
        torch._foreach_clamp_max_(tensors, bound)
