"""Adversarial losses on raw scores (logits): discriminators end without a sigmoid.

A `Loss` is a pair: what the discriminator minimises and what the generator minimises, both means over the batch.
MAD-GAN's cross-entropies, over K+1 logits, are in `madgan.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Loss:
    """The two players' losses: scores (B,) float32 -> scalars.

    Attributes:
        discriminator: of (real, fake).
        generator: of (fake, real); `real` is None unless `paired`.
        paired: each fake is compared with a real image, so the generator's loss needs the real images' scores.
        threshold: the score above which an image counts as taken for real; None where scores have no zero and only
            differences count.
        logistic: the score is a log odds, so that a target between 0 and 1 (label smoothing) has a meaning.
        needs_bound: it means something only while the discriminator's slope is bounded.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor | None], Tensor]
    paired: bool = False
    threshold: float | None = 0.0
    logistic: bool = False
    needs_bound: bool = False


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
    """Least squares with the 0-1 coding (a = 0 for fakes, b = 1 for real images, c = 1 for what G wants).

    Source: Mao 2017, equation 9.
    """
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
    return Loss(_relativistic_discriminator, _relativistic_generator, paired=True, threshold=None)


def _relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    return F.softplus(fake - real[: len(fake)]).mean()


def _relativistic_generator(fake: Tensor, real: Tensor | None) -> Tensor:
    if real is None:
        raise ValueError("a relativistic loss needs the scores of real images")
    return F.softplus(real[: len(fake)] - fake).mean()


def label_smoothing(real: Tensor, amount: float) -> Tensor:
    """What the logistic loss gains when the target of real images is 1 - amount: amount * E score.

    real: (B,) scores. -t log D - (1 - t) log(1 - D) = -log D + (1 - t) score. One-sided: fakes keep their target 0.
    Source: Salimans 2016, section 3.4.
    """
    return amount * real.mean()


def auxiliary(classes: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy of the auxiliary classifier, (B, num_classes) logits against int64 (B,) labels.

    Source: Odena 2017 (ACGAN), equation 3; both players minimise it, on real images and on fakes.
    """
    return F.cross_entropy(classes.float(), y)


def accuracy(real: Tensor, fake: Tensor, threshold: float | None) -> Tensor:
    """How well scores tell real from fake, in [0, 1]: the mean of the shares of real and of fakes told rightly.

    Without a threshold: the share of pairs (row i of each) in which the real image has the higher score.
    """
    if threshold is None:
        return (real[: len(fake)] > fake).float().mean()
    return torch.stack([(real > threshold).float().mean(), (fake < threshold).float().mean()]).mean()
