"""Training with few images: the same kind of differentiable random change to real and fake (DiffAugment, Zhao 2020)."""

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from gangda.config import catalog
from gangda.training.draws import Draws

CUTOUT_STEPS = 2000  # discriminator steps over which cutout comes in
CUTOUT_MOST = 0.5  # largest probability of a hole


def augment(images: Tensor, policies: tuple[str, ...], draws: Draws) -> Tensor:
    """Apply the policies in order to images (B, C, H, W) in [-1, 1]. Source: Zhao 2020, section 3.

    Flips are no policy here: a mirrored digit is another thing.
    """
    for name in policies:
        images = catalog.builder("DiffAugment policy", catalog.POLICIES, name)(images, draws)
    return images


def translate(images: Tensor, draws: Draws, ratio: float = 0.125) -> Tensor:
    """Shift (B, C, H, W) in [-1, 1] by whole pixels, up to `ratio` of the side either way; what comes in is black (-1).

    Source: Zhao 2020, section 3 (the "translation" policy; their fill is 0).
    """
    batch, _, height, width = images.shape
    dy, dx = max(1, round(height * ratio)), max(1, round(width * ratio))
    padded = F.pad(images, (dx, dx, dy, dy), value=-1.0)
    top = draws.take(partial(torch.randint, 0, 2 * dy + 1), (batch, 1))
    left = draws.take(partial(torch.randint, 0, 2 * dx + 1), (batch, 1))
    rows = top + torch.arange(height, device=images.device)
    columns = left + torch.arange(width, device=images.device)
    index = torch.arange(batch, device=images.device).view(-1, 1, 1)
    return padded.permute(0, 2, 3, 1)[index, rows.unsqueeze(2), columns.unsqueeze(1)].permute(0, 3, 1, 2)


def colour(images: Tensor, draws: Draws) -> Tensor:
    """Random brightness (shift in [-0.5, 0.5]), saturation (factor in [0, 2], RGB only) and contrast ([0.5, 1.5]).

    Values may leave [-1, 1]. Source: Zhao 2020, the authors' `rand_brightness`, `rand_saturation`, `rand_contrast`.
    """
    amount = draws.take(torch.rand, (3, len(images), 1, 1, 1), images=1)
    images = images + (amount[0] - 0.5)
    if images.shape[1] > 1:
        grey = images.mean(1, keepdim=True)
        images = grey + (images - grey) * (2 * amount[1])
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * (amount[2] + 0.5)


def cutout(
    images: Tensor, draws: Draws, probability: float | Tensor | None = None, ratio: float = 0.5
) -> Tensor:
    """Blacken (-1) a square of `ratio` of the side, anywhere (it may hang over the edge), in a share of the images.

    `probability` of a hole: by default that of this discriminator step. Source: Zhao 2020, the authors' `rand_cutout`
    (which fills with 0, mid-grey, and holes every image).
    """
    probability = draws.scheduled(cutout_probability) if probability is None else probability
    batch, _, height, width = images.shape
    place = draws.take(torch.rand, (3, batch, 1, 1, 1), images=1)
    rows = torch.arange(height, device=images.device).view(1, 1, -1, 1)
    columns = torch.arange(width, device=images.device).view(1, 1, 1, -1)
    inside = ((rows - place[0] * height).abs() < ratio * height / 2) & (
        (columns - place[1] * width).abs() < ratio * width / 2
    )
    return torch.where(inside & (place[2] < probability), -1.0, images)


def cutout_probability(number: int) -> float:
    """Probability of a hole: from 0 at the start, linearly, to a half; the ramp is ours.

    Holes in every image would leak into the samples; a change with p well below 1 does not (Karras 2020, section 2.2).
    """
    return CUTOUT_MOST * min(1.0, number / CUTOUT_STEPS)
