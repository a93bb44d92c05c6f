"""Random Erasing (Zhong 2020) of whole batches: a rectangle of an image is set to 0."""

import math

import torch
from torch import Tensor

from gangda.config.schema import TransformConfig
from gangda.traditional.transforms import Part

AREA = (0.02, 0.33)  # of the image
ASPECT = (0.3, 3.3)  # height over width


def erasing(config: TransformConfig) -> Part | None:
    """Blank a rectangle of an image with probability `config.erasing`; None where that is 0.

    Source: Zhong 2020, algorithm 1; torchvision.transforms.v2.RandomErasing has the same ranges, fills with 0 too and
    draws the aspect ratio's logarithm evenly, as here. Departure: a rectangle that is too long for the image is cut to
    its side in place of drawing anew.
    """

    def apply(images: Tensor, rng: torch.Generator) -> Tensor:
        return images.masked_fill(_rectangles(images, config.erasing, rng).to(images.device), 0)

    return Part(filter=apply) if config.erasing > 0 else None


def _rectangles(images: Tensor, probability: float, rng: torch.Generator) -> Tensor:
    """The pixels to erase: bool (B, 1, H, W)."""
    sides = torch.tensor(images.shape[2:])
    hit, area, aspect, *place = torch.rand(5, len(images), generator=rng)
    area = (AREA[0] + (AREA[1] - AREA[0]) * area) * sides.prod()
    low, high = (math.log(value) for value in ASPECT)
    aspect = torch.exp(low + (high - low) * aspect)
    long = torch.stack([(area * aspect).sqrt(), (area / aspect).sqrt()]).round().minimum(sides.view(2, 1))
    start = (torch.stack(place) * (sides.view(2, 1) - long + 1)).floor()
    rows, columns = (_between(start[axis], long[axis], int(sides[axis])) for axis in (0, 1))
    inside: Tensor = rows[:, :, None] & columns[:, None, :] & (hit < probability).view(-1, 1, 1)
    return inside.unsqueeze(1)


def _between(start: Tensor, length: Tensor, side: int) -> Tensor:
    """bool (B, side): whether a place is among `length` from `start` on."""
    places = torch.arange(side)
    return (places >= start[:, None]) & (places < (start + length)[:, None])
