"""Which images of a step's batch are a rank's own, where several ranks train together."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gangda.config.schema import TrainConfig
from gangda.runtime.distributed import Ranks
from gangda.zoo.layers.blocks import MinibatchStdDev


@dataclass(frozen=True, eq=False)
class Share:
    """A rank's rows of the batch of B real images, and of the F <= B fakes that K generators share evenly."""

    real: Tensor  # int64 (B / W,) for W ranks; the rows that fakes are made for come first
    fake: Tensor  # int64 (F / W,), of which the first F / (W K) are generator 0's, and so on
    batch: int  # B
    fakes: int  # F

    @property
    def deals(self) -> Mapping[int, tuple[int, Tensor]]:
        """By the images a rank scores at once (real, fakes, both): how many all ranks score, and which are its own."""
        both = torch.cat([self.real, self.batch + self.fake])
        return {
            len(self.real): (self.batch, self.real),
            len(self.fake): (self.fakes, self.fake),
            len(both): (self.batch + self.fakes, both),
        }


def deal(batch: int, generators: int, groups: int, rank: int, world: int) -> Share:
    """The share of one rank: an equal part of every generator's images, and of every group of `groups` rows.

    Generator k's images stay block k, and rows i, i + B/4, ..., which `MinibatchStdDev` takes together, on one rank.
    """
    fakes = batch // generators * generators
    own = torch.arange(fakes).view(math.lcm(generators, groups), world, -1)[:, rank].flatten()
    rest = torch.arange(fakes, batch).view(world, (batch - fakes) // world)[rank]
    return Share(torch.cat([own, rest]), own, batch, fakes)


def share_of_batches(config: TrainConfig, modules: Mapping[str, nn.Module], ranks: Ranks) -> Share | None:
    """This rank's share of each batch; None where there is one rank only, or no batch."""
    if not ranks.many or not config.images_per_step:
        return None
    generators = int(getattr(modules["generator"], "num_generators", 1))
    groups = max(map(groups_of, modules.values()))
    return deal(config.recipe.batch_size, generators, groups, ranks.env.rank, ranks.env.world)


def fits(batch: int, generators: int, groups: int, world: int) -> bool:
    """Whether such a batch can be dealt in equal shares. Losses are means: unequal shares would need weights."""
    fakes = batch // generators * generators
    if groups > 1 and fakes < batch:  # real images would form other groups
        return False
    return fakes % (math.lcm(generators, groups) * world) == 0 and batch % world == 0


def nearest(batch: int, generators: int, groups: int, world: int) -> int:
    """The batch next to `batch` that fits."""
    unit = math.lcm(generators, groups) * world
    return max(1, round(batch / unit)) * unit


def groups_of(discriminator: nn.Module) -> int:
    """How many rows of a batch a discriminator judges together: 1 unless it has `MinibatchStdDev`."""
    groups = [layer.group for layer in discriminator.modules() if isinstance(layer, MinibatchStdDev)]
    return max(groups, default=1)


def average_over_ranks(
    ranks: Ranks, gradients: Sequence[Tensor], figures: Sequence[dict[str, Tensor]]
) -> None:
    """Put the means over the ranks in place of gradients and of figures by name, in one message.

    DistributedDataParallel expects one backward pass for each forward pass, where penalties differentiate twice.
    """
    numbers = torch.stack([value.detach() for several in figures for value in several.values()])
    ranks.average([*gradients, numbers])
    means = iter(numbers)
    for several in figures:
        several.update({name: next(means) for name in several})


def running_statistics(*networks: nn.Module) -> list[Tensor]:
    """Running means and variances of batch norm, the only tensors that ranks change apart."""
    buffers = [named for network in networks for named in network.named_buffers()]
    return [tensor for name, tensor in buffers if name.endswith(("running_mean", "running_var"))]
