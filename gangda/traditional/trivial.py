"""TrivialAugment (Mueller 2021) and RandAugment (Cubuk 2020), torchvision's, on whole batches."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

GROUP = 16  # images that share an operation and its strength
LARGEST_SHIFT = 32  # pixels, of TrivialAugment; smaller images shift by up to their side
OPERATIONS, MAGNITUDE = 2, 9  # of RandAugment, of 31 strengths: torchvision's defaults

Augment = Callable[[Tensor], Tensor]


def trivial_augment(images: Tensor, rng: torch.Generator) -> Tensor:
    """One random operation of random strength: uint8 (B, C, H, W) -> uint8 (B, C, H, W), a new tensor.

    Operations and their strengths are those of `torchvision.transforms.v2.TrivialAugmentWide`. Departures: images
    smaller than the paper's shift by at most their side, which is what 32 pixels are of its smallest ones (32 pixels
    blank most shifted images of 8); and images share operations, see `in_groups`.
    """
    from torchvision.transforms import v2

    augment: Any = v2.TrivialAugmentWide()
    ways = {"TranslateX": images.shape[3], "TranslateY": images.shape[2]}
    augment._AUGMENTATION_SPACE = augment._AUGMENTATION_SPACE | {
        name: (lambda bins, *_, side=side: torch.linspace(0, min(side, LARGEST_SHIFT), bins), True)
        for name, side in ways.items()
    }
    return in_groups(augment, images, rng)


def rand_augment(images: Tensor, rng: torch.Generator) -> Tensor:
    """Two random operations of one moderate strength: uint8 (B, C, H, W) -> uint8 (B, C, H, W), a new tensor.

    Those of `torchvision.transforms.v2.RandAugment`, whose shifts are shares of the side. Source: Cubuk 2020, N = 2 and
    M = 9 of 30. Departure: images share operations, see `in_groups`.
    """
    from torchvision.transforms import v2

    return in_groups(v2.RandAugment(OPERATIONS, MAGNITUDE), images, rng)


def in_groups(augment: Augment, images: Tensor, rng: torch.Generator) -> Tensor:
    """`augment` on groups of 16 images each, which share its draws; uint8 (B, C, H, W), a new tensor.

    One call for each image would take longer than the training. The images of a group are drawn at random, so that each
    image's own operation is as random as ever.
    """
    order = torch.randperm(len(images), generator=rng)
    result = torch.empty_like(images, memory_format=torch.contiguous_format)
    with torch.random.fork_rng(devices=[]):  # torchvision draws from torch's global stream
        torch.manual_seed(int(torch.randint(2**62, (), generator=rng)))
        for rows in torch.split(order.to(images.device), GROUP):
            result[rows] = augment(images[rows].contiguous())
    return result
