"""TrivialAugment (Mueller 2021), torchvision's, on whole batches."""

import torch
from torch import Tensor

GROUP = 16  # images that share an operation and its strength


def trivial_augment(images: Tensor, rng: torch.Generator) -> Tensor:
    """One random operation of random strength: uint8 (B, C, H, W) -> uint8 (B, C, H, W), a new tensor.

    Operations and their strengths are those of `torchvision.transforms.v2.TrivialAugmentWide`. Departure: groups of 16
    images share an operation, since one call for each image would take longer than the training; the images of a group
    are drawn at random, so that each image's own operation is as random as ever.
    """
    from torchvision.transforms import v2

    augment = v2.TrivialAugmentWide()
    order = torch.randperm(len(images), generator=rng)
    result = torch.empty_like(images, memory_format=torch.contiguous_format)
    with torch.random.fork_rng(devices=[]):  # torchvision draws from torch's global stream
        torch.manual_seed(int(torch.randint(2**62, (), generator=rng)))
        for rows in torch.split(order.to(images.device), GROUP):
            result[rows] = augment(images[rows].contiguous())
    return result
