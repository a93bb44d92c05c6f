"""Penalties on the slope of the discriminator's score in its input."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from gangda.runtime.seeding import draw

Score = Callable[[Tensor], Tensor]  # images (B, C, H, W) -> (B,)


def r1(score: Score, real: Tensor) -> Tensor:
    """Half the mean squared gradient norm of the score at real images (B, C, H, W). Multiply by gamma.

    Source: Mescheder 2018, equation 9.
    """
    return 0.5 * _slopes(score, real).square().sum(1).mean()


def r2(score: Score, fake: Tensor) -> Tensor:
    """The same at fakes, where it restrains the score around what the generator makes. Multiply by gamma.

    Source: Mescheder 2018, equation 10.
    """
    return 0.5 * _slopes(score, fake).square().sum(1).mean()


def gradient_penalty(score: Score, real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
    """E (|gradient| - 1)^2 at random points between pairs of real and fake images, both (B, C, H, W).

    One uniform share a pair, from `rng`. Multiply by lambda (10 in the paper). Source: Gulrajani 2017, equation 3.
    """
    share = draw(rng, torch.rand, (len(real), 1, 1, 1)).to(real.device)
    between = torch.lerp(fake.detach().to(real.dtype), real, share)
    lengths = torch.linalg.vector_norm(_slopes(score, between), dim=1)
    penalty: Tensor = (lengths - 1).square().mean()
    return penalty


def clip_weights(parameters: Iterable[nn.Parameter], bound: float) -> None:
    """Force every weight into [-bound, bound], in place. Source: Arjovsky 2017, algorithm 1 (bound 0.01)."""
    tensors: list[Tensor] = list(parameters)
    with torch.no_grad():
        torch._foreach_clamp_min_(tensors, -bound)
        torch._foreach_clamp_max_(tensors, bound)


def _slopes(score: Score, images: Tensor) -> Tensor:
    """Gradient of each image's score in its pixels, float32 (B, C H W); differentiable in the weights.

    Images are float32 here, whatever the number format of the network that made them.

    The batch is scored as one: with batch norm, where images mix, a row is the gradient of the sum of all scores.
    """
    x = images.detach().float().requires_grad_(True)
    (gradient,) = torch.autograd.grad(score(x).sum(), x, create_graph=True)
    return gradient.float().flatten(1)
