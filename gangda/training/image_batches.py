"""The training images on the device, and which of them each batch holds."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gangda.config.schema import Recipe, TrainConfig
from gangda.data.images import NO_LABEL, LabelledImages, to_float
from gangda.data.memmap import as_tensor
from gangda.runtime.device import DeviceContext
from gangda.runtime.seeding import torch_stream
from gangda.training.rank_batches import Share

EASY_SHARE = 0.25  # share of each class that is admitted from the beginning
COMPARED_SIDE = 16  # pixels of the side at which images are compared
COMPARED_COMPONENTS = 32  # principal components in which they are compared


class ResidentImages:
    """The whole uint8 set on the device, handed out in shuffled batches; the order depends on (seed, epoch) only.

    Images without a label are of class K, one more than there are: "none" to a generator that knows it.
    """

    def __init__(self, images: LabelledImages, seed: int, context: DeviceContext) -> None:
        self.pixels = as_tensor(images.pixels).permute(0, 3, 1, 2).to(context.device)
        labels = np.where(images.origin == NO_LABEL, images.num_classes, images.labels)
        self.labels = torch.tensor(labels).to(context.device)
        self.seed, self.epoch, self.order = seed, -1, torch.empty(0, dtype=torch.int64)

    def rows(self, step: int, size: int) -> Tensor:
        """The rows of batch 0, 1, ... of so many images, int64 (size,). Epochs run into each other."""
        start = step * size
        return torch.cat(list(self._rows(start, start + size)))

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """These rows as a batch: float32 (size, C, H, W) in [-1, 1] and int64 (size,)."""
        return to_float(self.pixels[rows]), self.labels[rows]

    def _rows(self, start: int, stop: int) -> Iterator[Tensor]:
        count = len(self.labels)
        while start < stop:
            epoch, offset = divmod(start, count)
            if epoch != self.epoch:
                rng = torch_stream(self.seed, "order", epoch)
                self.epoch, self.order = epoch, torch.randperm(count, generator=rng).to(self.labels.device)
            taken = min(stop - start, count - offset)
            yield self.order[offset : offset + taken]
            start += taken


def batches(
    images: ResidentImages, config: TrainConfig, share: Share | None = None
) -> Callable[[int], tuple[Tensor, Tensor]]:
    """Batch number 0, 1, ... of real images (`share`: a rank's part of it), by the curriculum while it lasts."""
    recipe, device = config.recipe, images.labels.device
    rows = _drawn_by_class(images, recipe) or partial(images.rows, size=recipe.batch_size)
    own = slice(None) if share is None else share.real.to(device)
    count = config.batches_before(recipe.curriculum) if recipe.curriculum else 0
    # Ranked on the CPU: its doubles and decompositions are not to be had on every device.
    easy = Curriculum(images.pixels.cpu(), images.labels.cpu(), images.seed, count) if count else None

    def batch(number: int) -> tuple[Tensor, Tensor]:
        if easy is not None and number < count:
            return images.take(easy.rows(number, recipe.batch_size).to(device)[own])
        return images.take(rows(number)[own])

    return batch


# Weight of a class of so many images; None: images come epoch by epoch.
CLASS_WEIGHTS: dict[str, Callable[[Tensor], Tensor] | None] = {
    "natural": None,
    "sqrt": torch.sqrt,
    "balanced": lambda counts: (counts > 0).to(counts.dtype),
}


def _drawn_by_class(images: ResidentImages, recipe: Recipe) -> Callable[[int], Tensor] | None:
    """Rows: a class by weight (square root: Mahajan 2018, section 3.1), then one of its images, with replacement."""
    weight_of = CLASS_WEIGHTS[recipe.class_sampling]
    if weight_of is None:
        return None
    labels = images.labels.cpu()
    order, counts = labels.argsort(stable=True), labels.bincount()
    weights, first = weight_of(counts.float()), counts.cumsum(0) - counts

    def rows(number: int) -> Tensor:
        rng = torch_stream(images.seed, "class draw", number)
        chosen = torch.multinomial(weights, recipe.batch_size, replacement=True, generator=rng)
        within = (torch.rand(recipe.batch_size, generator=rng) * counts[chosen]).long()
        within = within.minimum(counts[chosen] - 1)  # where rounding has reached the end
        return order[first[chosen] + within].to(images.labels.device)

    return rows


def difficulty(pixels: Tensor, labels: Tensor) -> Tensor:
    """How far each image lies from the mean of its class, float32 (N,): the further, the harder.

    pixels: uint8 (N, C, H, W), reduced to at most 16 pixels a side; labels: int64 (N,). The distance is taken in the
    leading principal components of the deviations from the class means, each scaled to variance 1.
    Source: Soviany 2020 rank images by difficulty for a GAN's curriculum; theirs comes from a trained predictor.
    """
    shape = (min(COMPARED_SIDE, pixels.shape[2]), min(COMPARED_SIDE, pixels.shape[3]))
    small = torch.cat([F.adaptive_avg_pool2d(part.float(), shape).flatten(1) for part in pixels.split(4096)])
    classes, members = labels.unique(return_inverse=True)
    sums = torch.zeros(len(classes), small.shape[1], device=small.device).index_add_(0, members, small)
    apart = small - (sums / members.bincount().unsqueeze(1))[members]
    variances, axes = torch.linalg.eigh(apart.T @ apart / len(apart))
    kept = variances[-COMPARED_COMPONENTS:] > 1e-6 * variances[-1]
    axes, variances = axes[:, -COMPARED_COMPONENTS:][:, kept], variances[-COMPARED_COMPONENTS:][kept]
    return (apart @ axes).square().div(variances).sum(1)  # type: ignore[no-any-return]


def difficulty_ranks(difficulties: Tensor, labels: Tensor) -> Tensor:
    """The share of its class that is easier than each image, in [0, 1): float64 (N,)."""
    places = torch.empty(len(labels), dtype=torch.float64, device=labels.device)
    for label in labels.unique():
        rows = (labels == label).nonzero().squeeze(1)
        order = difficulties[rows].argsort(stable=True)
        places[rows[order]] = torch.arange(len(rows), dtype=torch.float64, device=labels.device) / len(rows)
    return places


class Curriculum:
    """A pool that grows over `batches` batches from the easiest quarter of each class to all images.

    Ranks are shares of the class, so that the classes' shares of the pool stay what they are. All is on the CPU.
    """

    def __init__(self, pixels: Tensor, labels: Tensor, seed: int, batches: int) -> None:
        places = difficulty_ranks(difficulty(pixels, labels), labels)
        self.order = places.argsort(stable=True)
        self.places = places[self.order]
        self.seed, self.batches = seed, batches

    def pool(self, number: int) -> Tensor:
        """Row numbers admitted at batch 0, 1, ...: int64, at least one image of each class."""
        share = EASY_SHARE + (1 - EASY_SHARE) * min(1.0, number / self.batches)
        return self.order[: int(torch.searchsorted(self.places, share))]

    def rows(self, number: int, size: int) -> Tensor:
        """`size` rows drawn from the pool, with replacement; they depend on (seed, number) alone."""
        pool = self.pool(number)
        draw = torch.randint(len(pool), (size,), generator=torch_stream(self.seed, "curriculum", number))
        return pool[draw]
