"""Adversarial losses on raw scores (logits; discriminators end without a sigmoid), and the slope penalty R1."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

Score = Callable[[Tensor], Tensor]  # images (B, C, H, W) -> (B,)


def label_smoothing(real: Tensor, amount: float) -> Tensor:
    """What the logistic loss gains when the target of real images is 1 - amount: amount * E score.

    real: (B,) scores. -t log D - (1 - t) log(1 - D) = -log D + (1 - t) score. One-sided: fakes keep their target 0.
    Source: Salimans 2016, section 3.4.
    """
    return amount * real.mean()


@dataclass(frozen=True)
class Loss:
    """The losses of both networks, means over a batch: float32 scores (B,) -> scalars.

    Attributes:
        discriminator: of (real, fake).
        generator: of (fake, real); `real` is None unless `paired`.
        paired: each fake is compared with a real image, so the generator's loss needs the real images' scores.
        threshold: the score above which an image is classified as real; None where only differences count.
        logistic: the score is a log odds, so that a target between 0 and 1 (label smoothing) has a meaning.
        needs_bound: meaningful only while the discriminator's slope is bounded.
        smoothing: of (real, amount): what the discriminator's loss gains by label smoothing.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor | None], Tensor]
    paired: bool = False
    threshold: float | None = 0.0
    logistic: bool = False
    needs_bound: bool = False
    smoothing: Callable[[Tensor, float], Tensor] = label_smoothing


def _logistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """-E log D(x) - E log(1 - D(G(z))) with D the sigmoid of the score (Goodfellow 2014, equation 1)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def nonsaturating() -> Loss:
    """Generator: -E log D(G(z)). Source: Goodfellow 2014, section 3."""
    return Loss(_logistic_discriminator, lambda fake, real: F.softplus(-fake).mean(), logistic=True)


def minimax() -> Loss:
    """Generator: E log(1 - D(G(z))), which saturates early on. Source: Goodfellow 2014, equation 1."""
    return Loss(_logistic_discriminator, lambda fake, real: -F.softplus(fake).mean(), logistic=True)


def accuracy(real: Tensor, fake: Tensor, threshold: float | None) -> Tensor:
    """How well scores tell real from fake, in [0, 1]: the mean of the shares of real and of fakes told rightly.

    Without a threshold: the share of pairs (row i of each) in which the real image has the higher score.
    """
    if threshold is None:
        return (real[: len(fake)] > fake).float().mean()
    return torch.stack([(real > threshold).float().mean(), (fake < threshold).float().mean()]).mean()


def gradient_norm_penalty(score: Score, images: Tensor) -> Tensor:
    """Half the mean squared gradient norm of the score at images (B, C, H, W). Multiply by gamma.

    Source: Mescheder 2018, equations 9 (R1, at real images) and 10 (R2, at fakes). With batch norm in the
    discriminator it is approximate: the gradient is that of the batch's whole score.
    """
    return 0.5 * input_gradients(score, images).square().sum(1).mean()


def input_gradients(score: Score, images: Tensor) -> Tensor:
    """Gradient of each image's score in its pixels, float32 (B, C H W); differentiable in the weights.

    The batch is scored as one: with batch norm, where images mix, a row is the gradient of the sum of all scores.
    """
    x = images.detach().float().requires_grad_(True)
    (gradient,) = torch.autograd.grad(score(x).sum(), x, create_graph=True)
    return gradient.float().flatten(1)
