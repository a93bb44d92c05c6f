"""A curriculum over image difficulty: training begins with each class's most typical images (Bengio 2009)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from gangda.runtime.seeding import torch_stream

START = 0.25  # share of each class that is admitted from the beginning
SIDE = 16  # pixels of the side at which images are compared
COMPONENTS = 32  # principal components in which they are compared


def difficulty(pixels: Tensor, labels: Tensor) -> Tensor:
    """How far each image lies from the mean of its class, float32 (N,): the further, the less typical, the harder.

    pixels: uint8 (N, C, H, W); labels: int64 (N,) (all alike where there are no classes). The distance is taken in
    the leading principal components of the deviations from the class means, each scaled to variance 1, so that what
    varies most in all images does not decide alone. Images are reduced to at most 16 pixels a side first.
    Source: Soviany 2020 rank images by difficulty for a GAN's curriculum; theirs comes from a trained predictor.
    """
    shape = (min(SIDE, pixels.shape[2]), min(SIDE, pixels.shape[3]))
    small = torch.cat([F.adaptive_avg_pool2d(part.float(), shape).flatten(1) for part in pixels.split(4096)])
    classes, members = labels.unique(return_inverse=True)
    sums = torch.zeros(len(classes), small.shape[1], device=small.device).index_add_(0, members, small)
    apart = small - (sums / members.bincount().unsqueeze(1))[members]
    variances, axes = torch.linalg.eigh(apart.T @ apart / len(apart))
    kept = variances[-COMPONENTS:] > 1e-6 * variances[-1]
    axes, variances = axes[:, -COMPONENTS:][:, kept], variances[-COMPONENTS:][kept]
    far: Tensor = (apart @ axes).square().div(variances).sum(1)
    return far


def ranks(difficulties: Tensor, labels: Tensor) -> Tensor:
    """The share of its class that is easier than each image, in [0, 1): float64 (N,)."""
    places = torch.empty(len(labels), dtype=torch.float64, device=labels.device)
    for label in labels.unique():
        rows = (labels == label).nonzero().squeeze(1)
        order = difficulties[rows].argsort(stable=True)
        places[rows[order]] = torch.arange(len(rows), dtype=torch.float64, device=labels.device) / len(rows)
    return places


class Curriculum:
    """A pool that grows over `batches` batches from the easiest quarter of each class to all images.

    Ranks are shares of the class, so that the classes' shares of the pool stay what they are. Images and row numbers
    are on the CPU.
    """

    def __init__(self, pixels: Tensor, labels: Tensor, seed: int, batches: int) -> None:
        places = ranks(difficulty(pixels, labels), labels)
        self.order = places.argsort(stable=True)
        self.places = places[self.order]
        self.seed, self.batches = seed, batches

    def pool(self, number: int) -> Tensor:
        """Row numbers admitted at batch 0, 1, ...: int64, at least one image of each class."""
        share = START + (1 - START) * min(1.0, number / self.batches)
        return self.order[: int(torch.searchsorted(self.places, share))]

    def rows(self, number: int, size: int) -> Tensor:
        """`size` rows drawn from the pool, with replacement; they depend on (seed, number) alone."""
        pool = self.pool(number)
        draw = torch.randint(len(pool), (size,), generator=torch_stream(self.seed, "curriculum", number))
        return pool[draw]
