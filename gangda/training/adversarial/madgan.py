"""The losses of a multi-agent GAN, over K+1 logits: K generators and, last, "real"."""

import torch
from torch import Tensor
from torch.nn import functional as F


def discriminator(real: Tensor, fake: Tensor, made_by: Tensor) -> Tensor:
    """Cross-entropy of "which generator made it, or real" over K+1 logits; real is the last class.

    real, fake: (B, K+1); made_by: int64 (B,) generator of each fake. Real and fake halves weigh the same.
    Source: Ghosh 2018, equation 2 (sum over generators taken as a mean, so that K does not weaken "real").
    """
    target = torch.full((len(real),), real.shape[1] - 1, dtype=torch.int64, device=real.device)
    return F.cross_entropy(real, target) + F.cross_entropy(fake, made_by)


def minimax(fake: Tensor) -> Tensor:
    """E log(1 - D_real(G(z))). Source: Ghosh 2018, equation 3."""
    log_p = F.log_softmax(fake, dim=1)
    return torch.logsumexp(log_p[:, :-1], dim=1).mean()


def nonsaturating(fake: Tensor) -> Tensor:
    """-E log D_real(G(z)), as the authors' code has it."""
    return -F.log_softmax(fake, dim=1)[:, -1].mean()


def label_smoothing(real: Tensor, amount: float) -> Tensor:
    """What the cross-entropy gains when real images' target is 1 - amount, the rest shared among the generators.

    real: (B, K+1) logits. The normaliser of the softmax cancels, which leaves amount * (real's logit - the mean of the
    others). With K = 1 it is Salimans 2016, section 3.4; the share for K > 1 is ours.
    """
    return amount * (real[:, -1] - real[:, :-1].mean(1)).mean()


def identity(fake: Tensor, made_by: Tensor) -> Tensor:
    """-E log C_k(G_k(z)): each generator wants its images to be known as its own, which drives generators apart.

    fake: (B, K+1) logits; made_by: int64 (B,). The classifier C is the softmax over the first K logits, which the
    discriminator trains already. Source: Hoang 2018 (MGAN), the classifier's term of their objective; their C is a head
    of its own on D's layers.
    """
    return F.cross_entropy(fake[:, :-1], made_by)


def real_score(logits: Tensor) -> Tensor:
    """Log odds of "real" against all generators together: (B, K+1) -> (B,)."""
    return logits[:, -1] - torch.logsumexp(logits[:, :-1], dim=1)
