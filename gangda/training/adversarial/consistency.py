"""Terms that ask the discriminator to give like scores to like images."""

import torch
from torch import Tensor
from torch.nn import functional as F

from gangda.training.adversarial.diffaugment import translate
from gangda.training.draws import Draws

FEATURE_SHARE = 0.1  # of the distance between features in the CT term (Wei 2018, equation 4)


def change(images: Tensor, draws: Draws, flip: bool = False) -> Tensor:
    """A random change that keeps what an image shows: a shift by up to 1/8 of the side and, if asked, a flip.

    images: (B, C, H, W) in [-1, 1]. Source: Zhang 2020, section 3.1 (shift by up to 4 of 32 pixels, horizontal flip).
    """
    if flip:
        mirrored = draws.take(torch.rand, (len(images), 1, 1, 1)) < 0.5
        images = torch.where(mirrored, images.flip(3), images)
    return translate(images, draws)


def consistency(score: Tensor, score_changed: Tensor) -> Tensor:
    """E (D(x) - D(T(x)))^2 of scores (B,). Multiply by lambda (10).

    Source: Zhang 2020 (CR), equation 6 with the final layer only, as their experiments have it; on real images. bCR
    (Zhao 2021, algorithm 1) has the term on fakes as well.
    """
    return F.mse_loss(score_changed, score)


def consistency_term(
    score: Tensor, score_again: Tensor, features: Tensor, features_again: Tensor, margin: float = 0.0
) -> Tensor:
    """E max(0, d(D(x'), D(x'')) + 0.1 d(features', features'') - margin), over two passes with different dropout.

    score: (B,); features: (B, F), of the last layer but one; d is the squared difference (mean over features), as in
    the authors' code. Multiply by lambda (2). Source: Wei 2018 (CT-GAN), equation 4; its margin is 0 to 0.2.
    """
    apart = (score - score_again).square()
    apart = apart + FEATURE_SHARE * (features.float() - features_again.float()).square().mean(1)
    return F.relu(apart - margin).mean()
