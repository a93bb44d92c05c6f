"""MAD-GAN: K generators against a discriminator with K+1 logits, the last of them "real" (Ghosh 2018)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from gangda.training.adversarial.losses import Loss
from gangda.training.adversarial.method import AdversarialMethod
from gangda.training.adversarial.regularisers import made_by


def discriminator_loss(real: Tensor, fake: Tensor, owner: Tensor) -> Tensor:
    """Cross-entropy of "which generator made it, or real" over K+1 logits (B, K+1); real is the last.

    `owner`: int64 (B,), generator of each fake. Source: Ghosh 2018, equation 2. Departure: a mean over the generators,
    not their sum, so that K does not weaken "real".
    """
    target = torch.full((len(real),), real.shape[1] - 1, dtype=torch.int64, device=real.device)
    return F.cross_entropy(real, target) + F.cross_entropy(fake, owner)


def minimax(fake: Tensor) -> Tensor:
    """E log(1 - D_real(G(z))). Source: Ghosh 2018, equation 3."""
    log_p = F.log_softmax(fake, dim=1)
    return torch.logsumexp(log_p[:, :-1], dim=1).mean()


def nonsaturating(fake: Tensor) -> Tensor:
    """-E log D_real(G(z)), as the authors' code has it."""
    return -F.log_softmax(fake, dim=1)[:, -1].mean()


def label_smoothing(real: Tensor, amount: float) -> Tensor:
    """What the cross-entropy gains when the target of real images is 1 - amount, the rest shared by the generators.

    real: (B, K+1) logits; amount * (real's logit - the mean of the others), as the softmax's normaliser cancels.
    Source: Salimans 2016, section 3.4, for K = 1; the sharing for K > 1 is ours.
    """
    return amount * (real[:, -1] - real[:, :-1].mean(1)).mean()


def real_score(logits: Tensor) -> Tensor:
    """Log odds of "real" against all generators together: (B, K+1) -> (B,)."""
    return logits[:, -1] - torch.logsumexp(logits[:, :-1], dim=1)


GENERATOR_LOSSES = {"minimax": minimax, "nonsaturating": nonsaturating}


class MadganMethod(AdversarialMethod):
    """K generators, each with B/K of the fakes in order, against K+1 logits."""

    def make_loss(self) -> Loss:
        """Cross-entropy over K+1 classes for the discriminator; each generator's own loss, averaged."""
        generator, count = GENERATOR_LOSSES[self.options.loss], self.generator.num_generators
        return Loss(
            lambda real, fake: discriminator_loss(real, fake, made_by(fake, count)),
            lambda fake, real: generator(fake),
            logistic=True,
            smoothing=label_smoothing,
        )

    def real_score(self, adversarial: Tensor) -> Tensor:
        """Log odds of "real" against all generators together: (B, K+1) -> (B,)."""
        return real_score(adversarial)
