"""Training with few images: the same differentiable random change to real and fake (DiffAugment)."""

import torch
from torch import Tensor
from torch.nn import functional as F


def translate(images: Tensor, rng: torch.Generator, ratio: float = 0.125) -> Tensor:
    """Shift each image by whole pixels, up to `ratio` of its side either way; what comes in is black (-1).

    images: (B, C, H, W) in [-1, 1]; differentiable. Source: Zhao 2020, section 3 (the "translation" policy; their
    fill is 0, ours the darkest value, as the background of digits and clothes is).
    """
    batch, _, height, width = images.shape
    dy, dx = max(1, round(height * ratio)), max(1, round(width * ratio))
    padded = F.pad(images, (dx, dx, dy, dy), value=-1.0)
    top = torch.randint(0, 2 * dy + 1, (batch, 1), generator=rng).to(images.device)
    left = torch.randint(0, 2 * dx + 1, (batch, 1), generator=rng).to(images.device)
    rows = top + torch.arange(height, device=images.device)
    columns = left + torch.arange(width, device=images.device)
    index = torch.arange(batch, device=images.device).view(-1, 1, 1)
    return padded.permute(0, 2, 3, 1)[index, rows.unsqueeze(2), columns.unsqueeze(1)].permute(0, 3, 1, 2)
