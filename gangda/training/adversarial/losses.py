"""Adversarial losses on raw scores (logits; discriminators end without a sigmoid), and the slope penalty R1."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

Score = Callable[[Tensor], Tensor]  # images (B, C, H, W) -> (B,)


def label_smoothing(real: Tensor, amount: float) -> Tensor:
    """What the logistic loss gains when real images' target is 1 - amount: amount * E score, of scores (B,).

    -t log D - (1 - t) log(1 - D) = -log D + (1 - t) score. One-sided: fakes keep their target 0.
    Source: Salimans 2016, section 3.4.
    """
    return amount * real.mean()


@dataclass(frozen=True)
class Loss:
    """The losses of both networks, means over a batch: float32 scores (B,) -> scalars."""

    discriminator: Callable[[Tensor, Tensor], Tensor]  # of (real, fake)
    generator: Callable[[Tensor, Tensor | None], Tensor]  # of (fake, real); `real` is None unless `paired`
    paired: bool = False  # each fake is compared with a real image, whose score the generator's loss needs
    # An image above it is classified as real; None where only differences count.
    threshold: float | None = 0.0
    # The score is a log odds, so that a target between 0 and 1 (label smoothing) has a meaning.
    logistic: bool = False
    needs_bound: bool = False  # meaningful only while the discriminator's slope is bounded
    smoothing: Callable[[Tensor, float], Tensor] = label_smoothing  # of (real, amount)


def _logistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """-E log D(x) - E log(1 - D(G(z))) with D the sigmoid of the score (Goodfellow 2014, equation 1)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def nonsaturating() -> Loss:
    """Generator: -E log D(G(z)). Source: Goodfellow 2014, section 3."""
    return Loss(_logistic_discriminator, lambda fake, real: F.softplus(-fake).mean(), logistic=True)


def minimax() -> Loss:
    """Generator: E log(1 - D(G(z))), which saturates early on. Source: Goodfellow 2014, equation 1."""
    return Loss(_logistic_discriminator, lambda fake, real: -F.softplus(fake).mean(), logistic=True)


def hinge() -> Loss:
    """Hinge on both sides for the discriminator; generator: -E score. Source: Lim and Ye 2017, equations 7-8."""
    return Loss(
        lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(),
        lambda fake, real: -fake.mean(),
    )


def lsgan() -> Loss:
    """Least squares: a = 0 for fakes, b = 1 for real images, c = 1 for what G wants. Source: Mao 2017, equation 9."""
    return Loss(
        lambda real, fake: 0.5 * ((real - 1).square().mean() + fake.square().mean()),
        lambda fake, real: 0.5 * (fake - 1).square().mean(),
        threshold=0.5,
    )


def wasserstein() -> Loss:
    """Critic: E score(G(z)) - E score(x), the negative of the distance's estimate; generator: -E score(G(z)).

    The critic must be kept near 1-Lipschitz by weight clipping, a gradient penalty or spectral norm.
    Source: Arjovsky 2017, equation 2 and algorithm 1.
    """
    return Loss(
        lambda real, fake: fake.mean() - real.mean(),
        lambda fake, real: -fake.mean(),
        threshold=None,
        needs_bound=True,
    )


def relativistic() -> Loss:
    """RpGAN: each fake against a real image, logistic. Discriminator: E f(score(G(z)) - score(x)), f = softplus.

    The generator has the same with the roles exchanged. Row i of the fakes is paired with row i of the real images
    (of the same class, where there are classes). Source: Jolicoeur-Martineau 2018 (RpGAN); Huang 2024 (R3GAN), with
    the logistic f and the signs of the authors' Trainer.py.
    """

    def generator(fake: Tensor, real: Tensor | None) -> Tensor:
        if real is None:
            raise ValueError("a relativistic loss needs the scores of real images")
        return F.softplus(real[: len(fake)] - fake).mean()

    return Loss(
        lambda real, fake: F.softplus(fake - real[: len(fake)]).mean(), generator, paired=True, threshold=None
    )


def accuracy(real: Tensor, fake: Tensor, threshold: float | None) -> Tensor:
    """Mean of the shares of real and of fake images told rightly, in [0, 1].

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
    """Gradient of the batch's summed score in each image, float32 (B, C H W); differentiable in the weights."""
    x = images.detach().float().requires_grad_(True)
    (gradient,) = torch.autograd.grad(score(x).sum(), x, create_graph=True)
    return gradient.float().flatten(1)
