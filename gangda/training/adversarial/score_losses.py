"""Adversarial losses besides the logistic ones, on raw scores."""

from torch import Tensor
from torch.nn import functional as F

from gangda.training.adversarial.losses import Loss


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
