"""Adversarial losses on raw scores (logits). Each takes `(real, fake)` and returns the loss of one player.

A `Loss` is a pair: what the discriminator minimises and what the generator minimises, both means over the batch.
Gangda's MAD-GAN uses the cross-entropies at the end.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Loss:
    """`discriminator(real, fake)` and `generator(fake)`: scores (B,) float32 -> scalars."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


def _logistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """-E log D(x) - E log(1 - D(G(z))) with D the sigmoid of the score (Goodfellow 2014, equation 1)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def nonsaturating() -> Loss:
    """Generator: -E log D(G(z)). Source: Goodfellow 2014, section 3."""
    return Loss(_logistic_discriminator, lambda fake: F.softplus(-fake).mean())


def minimax() -> Loss:
    """Generator: E log(1 - D(G(z))), which saturates early on. Source: Goodfellow 2014, equation 1."""
    return Loss(_logistic_discriminator, lambda fake: -F.softplus(fake).mean())


def hinge() -> Loss:
    """Hinge on both sides for the discriminator; generator: -E score. Source: Lim and Ye 2017, equations 7-8."""
    return Loss(
        lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(),
        lambda fake: -fake.mean(),
    )


def madgan_discriminator(real: Tensor, fake: Tensor, made_by: Tensor) -> Tensor:
    """Cross-entropy of "which generator made it, or real" over K+1 logits; real is the last class.

    real, fake: (B, K+1); made_by: int64 (B,) generator of each fake. Real and fake halves weigh the same.
    Source: Ghosh 2018, equation 2 (sum over generators taken as a mean, so that K does not weaken "real").
    """
    target = torch.full((len(real),), real.shape[1] - 1, dtype=torch.int64, device=real.device)
    return F.cross_entropy(real, target) + F.cross_entropy(fake, made_by)


def madgan_minimax(fake: Tensor) -> Tensor:
    """E log(1 - D_real(G(z))). Source: Ghosh 2018, equation 3."""
    log_p = F.log_softmax(fake, dim=1)
    return torch.logsumexp(log_p[:, :-1], dim=1).mean()


def madgan_nonsaturating(fake: Tensor) -> Tensor:
    """-E log D_real(G(z)), as the authors' code has it."""
    return -F.log_softmax(fake, dim=1)[:, -1].mean()
