"""The randomness of a training step, as tensors from a named stream."""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from gangda.runtime.device import DeviceContext
from gangda.runtime.seeding import draw, seed_device, shared_stream, torch_stream
from gangda.training.rank_batches import Share

Make = Callable[..., Tensor]  # make(shape, generator=stream) -> Tensor
Order = list[tuple[Make, tuple[int, ...], int]]


@dataclass(eq=False)
class Draws:
    """Random tensors of one step (or one discriminator step), taken in a fixed order."""

    number: int  # of the batch that they go with, counted from 0 over the whole run
    stream: torch.Generator  # is drawn from while `drawn` is None; each draw is then noted in `order`
    order: Order  # the draws of a step of this kind
    drawn: Iterator[Tensor] | None  # the tensors, ready-made
    dropout: tuple[int | str, ...]  # key of the device's own stream, from which dropout draws
    context: DeviceContext

    def take(self, make: Make, shape: tuple[int, ...], images: int = 0) -> Tensor:
        """The next tensor, on the device: `make(shape, generator=...)`, whose dimension `images` counts images.

        A rank of several gets the rows of its own images.
        """
        if self.drawn is not None:
            return next(self.drawn)
        self.order.append((make, shape, images))
        return self.context.put(draw(self.stream, make, shape, images))

    def seed_dropout(self) -> None:
        """Seed the device's own stream; each rank's with another key."""
        seed_device(self.context.device, *self.dropout, *self.context.ranks.key)


@dataclass(eq=False)
class DrawStreams:
    """Makes the draws of each step. The first step of a kind draws as it goes and notes the order; later steps of the
    same kind get all their tensors before they begin, so that a step is a function of its batch and its draws.

    Dropout is the exception: its noise comes from the device's own stream, which the step seeds. `share` is a rank's
    part of each batch, where several ranks train.
    """

    seed: int
    context: DeviceContext
    share: Share | None = None
    orders: dict[Hashable, Order] = field(default_factory=dict)

    def draws(self, kind: Hashable, number: int, name: str, dropout: str, step: int) -> Draws:
        """The draws of batch `number`, from the streams (seed, name, step) and (seed, dropout, step).

        `kind`: steps of a kind take tensors of the same shapes in the same order.
        """
        stream = (
            torch_stream(self.seed, name, step)
            if self.share is None
            else shared_stream(self.share.deals, self.seed, name, step)
        )
        known, drawn = kind in self.orders, None
        order = self.orders.setdefault(kind, [])
        if known:
            drawn = iter([self.context.put(draw(stream, *one)) for one in order])
        return Draws(number, stream, order, drawn, (self.seed, dropout, step), self.context)


def detached(losses: dict[str, Any]) -> dict[str, Any]:
    """Losses without the graphs behind them, which would last until the next step."""
    return {name: value.detach() for name, value in losses.items()}
