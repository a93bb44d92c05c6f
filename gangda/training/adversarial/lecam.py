"""LeCam regularisation (Tseng 2021): scores are drawn towards moving averages of the other side's scores."""

import torch
from torch import Tensor

DECAY = 0.99  # of the anchors, as in the paper


def mean_scores(real: Tensor, fake: Tensor) -> Tensor:
    """Mean of the scores (B,) of real and of fake images, float32 (2,), without a gradient."""
    return torch.stack([real.detach().mean(), fake.detach().mean()]).float()


def updated_anchors(anchors: Tensor | None, now: Tensor) -> Tensor:
    """Moving averages of `mean_scores`, float32 (2,); the first call takes them as they are.

    Source: Tseng 2021, section 3 (the authors' code starts from a constant and waits).
    """
    return now if anchors is None else torch.lerp(now, anchors.to(now.device), DECAY)


def lecam(real: Tensor, fake: Tensor, anchors: Tensor) -> Tensor:
    """E (D(x) - a_fake)^2 + E (D(G(z)) - a_real)^2 for anchors (a_real, a_fake). Multiply by lambda (0.3).

    Source: Tseng 2021, section 3 (R_LC). The authors' code cuts each difference off at 0; the paper does not.
    """
    return (real - anchors[1]).square().mean() + (fake - anchors[0]).square().mean()
