"""Gradient penalties on the discriminator."""

from collections.abc import Callable

import torch
from torch import Tensor


def r1(score: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """Half the mean squared gradient norm of the summed score at real images.

    real: (B, C, H, W); score: images -> (B,). Multiply by gamma. Source: Mescheder 2018, equation 9.
    """
    x = real.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(score(x).sum(), x, create_graph=True)
    return 0.5 * gradient.float().square().sum((1, 2, 3)).mean()
