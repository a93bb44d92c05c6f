"""The randomness of a training step, as tensors from a named stream."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from gangda.runtime.device import DeviceContext
from gangda.runtime.seeding import draw, seed_device, seed_for, shared_stream, torch_stream
from gangda.training.rank_batches import Share

Kind = tuple[Hashable, ...]
Make = Callable[..., Tensor]  # make(shape, generator=stream) -> Tensor


@dataclass(eq=False)
class Draws:
    """Random tensors of one step (or one discriminator step), taken in a fixed order.

    Attributes:
        kind: steps of a kind do the same, and take tensors of the same shapes in the same order.
        number: of the batch that they go with, counted from 0 over the whole run.
        key: of the stream (a rank's share of it: `share`), and of the device's own one, from which dropout draws.
        order: the draws of a step of this kind; noted while `tensors` is None.
        tensors: ready-made.
    """

    kind: Kind
    number: int
    key: tuple[int | str, ...]
    dropout: tuple[int | str, ...]
    context: DeviceContext
    order: "list[Callable[[Draws], Tensor]]"
    share: Share | None = None
    tensors: list[Tensor] | None = None
    taken: int = 0

    @cached_property
    def stream(self) -> torch.Generator:
        """The stream on the CPU."""
        return torch_stream(*self.key) if self.share is None else shared_stream(self.share.deals, *self.key)

    def take(self, make: Make, shape: tuple[int, ...], images: int = 0) -> Tensor:
        """The next tensor, on the device: `make(shape, generator=...)`, whose dimension `images` counts images.

        A rank of several gets the rows of its own images.
        """
        return self._next(lambda draws: draws.context.put(draw(draws.stream, make, shape, images)))

    def noise(self, shape: tuple[int, ...]) -> Tensor:
        """The next tensor: standard normal, as large as a batch of images (B, C, H, W).

        A GPU draws it from a stream of its own with the same key, as its copy would take longer than the step.
        """

        def make(draws: Draws) -> Tensor:
            device = draws.context.device
            if device.type != "cuda" or draws.share is not None:
                return draws.context.put(draw(draws.stream, torch.randn, shape))
            rng = torch.Generator(device).manual_seed(seed_for(*draws.key, "noise"))
            return torch.randn(shape, generator=rng, device=device)

        return self._next(make)

    def scheduled(self, value: Callable[[int], float]) -> Tensor:
        """A number that depends on `number`, as a float32 scalar on the device."""
        return self._next(lambda draws: draws.context.put(torch.tensor(value(draws.number))))

    def _next(self, make: "Callable[[Draws], Tensor]") -> Tensor:
        if self.tensors is None:
            self.order.append(make)
            return make(self)
        self.taken += 1
        return self.tensors[self.taken - 1]

    def seed_dropout(self) -> None:
        """Seed the device's own stream; each rank's with another key."""
        seed_device(self.context.device, *self.dropout, *self.context.ranks.key)


@dataclass(eq=False)
class DrawStreams:
    """Makes the draws of each step. The first step of a kind draws as it goes and notes the order; later steps of the
    same kind get all their tensors before they begin, so that a step is a function of its batch and its draws.

    Dropout is the exception: its noise comes from the device's own stream, which is seeded before the step. `share` is
    a rank's part of each batch, where several ranks train.
    """

    seed: int
    context: DeviceContext
    share: Share | None = None
    orders: dict[Kind, list[Callable[[Draws], Tensor]]] = field(default_factory=dict)

    def draws(self, kind: Kind, number: int, name: str, dropout: str, step: int) -> Draws:
        """The draws of batch `number`, from the streams (seed, name, step) and (seed, dropout, step)."""
        order = self.orders.get(kind)
        key, own = (self.seed, name, step), (self.seed, dropout, step)
        made = Draws(kind, number, key, own, self.context, [], self.share)
        if order:
            made.tensors = [make(made) for make in order]
        else:  # several of a new kind may be made before the first of them has run
            self.orders[kind] = made.order
        return made


def detached(losses: dict[str, Any]) -> dict[str, Any]:
    """Losses without the graphs behind them, which would last until the next step."""
    return {name: value.detach() for name, value in losses.items()}
