"""The training images on the device, and which of them each batch holds."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from gangda.config.schema import Recipe, TrainConfig
from gangda.data.images import LabelledImages, to_float
from gangda.data.memmap import as_tensor
from gangda.runtime.device import DeviceContext
from gangda.runtime.seeding import torch_stream
from gangda.training.curriculum import Curriculum
from gangda.training.rank_batches import Share


class ResidentImages:
    """The whole uint8 set on the device, handed out in shuffled batches; the order depends on (seed, epoch) only.

    On the CPU, a set that is mapped from a file stays there.
    """

    def __init__(self, images: LabelledImages, seed: int, context: DeviceContext) -> None:
        self.pixels = as_tensor(images.pixels).permute(0, 3, 1, 2).to(context.device)
        self.labels = torch.tensor(images.labels).to(context.device)
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
    """Batch number 0, 1, ... of real images (`share`: a rank's part of it)."""
    rows = _row_numbers(images, config)
    own = slice(None) if share is None else share.real.to(images.labels.device)
    return lambda number: images.take(rows(number)[own])


def _row_numbers(images: ResidentImages, config: TrainConfig) -> Callable[[int], Tensor]:
    """Rows of batch 0, 1, ...: epoch by epoch or drawn by class, or by the curriculum while it lasts."""
    recipe = config.recipe
    usual = _drawn_by_class(images, recipe) or partial(images.rows, size=recipe.batch_size)
    if not recipe.curriculum:
        return usual
    count = config.batches_before(recipe.curriculum)
    # Ranked on the CPU: its doubles and decompositions are not to be had on every device.
    easy = Curriculum(images.pixels.cpu(), images.labels.cpu(), images.seed, count)

    def rows(number: int) -> Tensor:
        if number < count:
            return easy.rows(number, recipe.batch_size).to(images.labels.device)
        return usual(number)

    return rows


# Weight of a class of so many images; None: images come epoch by epoch.
CLASS_WEIGHTS: dict[str, Callable[[Tensor], Tensor] | None] = {
    "natural": None,
    "sqrt": torch.sqrt,
    "balanced": lambda counts: (counts > 0).to(counts.dtype),
}


def _drawn_by_class(images: ResidentImages, recipe: Recipe) -> Callable[[int], Tensor] | None:
    """Rows of batch 0, 1, ...: each image's class drawn by weight, then one of its images, both with replacement.

    Source: Mahajan 2018, section 3.1, for the square root.
    """
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
