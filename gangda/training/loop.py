"""The training loop: a function over `TrainState` that yields a record per step. The caller logs, saves and stops.

All randomness of step s comes from streams named (seed, purpose, s), and an epoch's order from (seed, "order", epoch).
A resumed run is therefore the uninterrupted run, bit for bit, with no generator state to save.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from gangda.runtime.capture import Losses
from gangda.runtime.device import DeviceContext
from gangda.training.method import Batch, Method
from gangda.training.rank_batches import average_over_ranks, running_statistics
from gangda.training.schedules import ema_decay, set_learning_rates
from gangda.training.state import TrainState, float_tensors


@dataclass(frozen=True)
class StepRecord:
    """What one step did: its number, its losses and metrics by name, and real images seen so far.

    Steps are numbered from 1; each step of a pre-training is a record of step 0.
    """

    step: int
    losses: Losses
    images: int

    def numbers(self) -> dict[str, float]:
        """The figures as plain numbers (waits for the device)."""
        return {name: float(value) for name, value in self.losses.items()}


def training_loop(
    state: TrainState, method: Method, batch: Callable[[int], Batch], total_steps: int | None = None
) -> Iterator[StepRecord]:
    """Train without end, a record for each step: first the pre-training, if any, then the steps.

    Args:
        state: of the run; changed in place.
        method: what a step is.
        batch: batch number 0, 1, ... of real images.
        total_steps: steps of the run, where they are known; only the cosine schedule needs them.
    """
    config, context = method.config, method.context
    for module in state.modules.values():
        module.train()
    averaged, live = float_tensors(state.ema), float_tensors(state.generator)
    statistics = running_statistics(*state.modules.values()) if context.ranks.many else []
    for name, optimizer in state.optimizers.items() if context.recorder is not None else ():
        if not all(isinstance(group["lr"], Tensor) for group in optimizer.param_groups):
            raise ValueError(f"optimizer {name}: recorded steps need its rate from `context.learning_rate`")
    recipe, pretraining = config.recipe, config.method.pretraining_steps
    while True:
        set_learning_rates(state.optimizers.values(), recipe, state.step, total_steps)
        method.set_schedules(state.step, state.ema)
        before, after = config.batches_before(state.step), config.batches_before(state.step + 1)
        step = state.step
        if state.pretrained < pretraining:  # steps -P, ..., -1, of one batch each
            before, after = state.pretrained, state.pretrained + 1
            step = before - pretraining
            state.pretrained += 1
        losses = method.step([batch(n) for n in range(before, after)], method.draws(step))
        state.step = max(0, step + 1)
        if statistics:  # batch norm's running statistics, which take no part in training
            context.ranks.average(statistics)
        if recipe.ema and config.method.averaged and step >= 0:
            method.move_average(averaged, live, 1 - ema_decay(recipe, state.step))
        yield StepRecord(state.step, losses, after * recipe.batch_size)


class Optimizer(Protocol):
    """What a step needs of an optimizer, or of several that train one network together."""

    @property
    def param_groups(self) -> Any:
        """Dicts, each with `params`."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""

    def step(self) -> Any:
        """Change the parameters by their gradients."""


def optimizer_step(
    networks: Sequence[tuple[Optimizer, Losses]],
    context: DeviceContext,
    metrics: Losses | None = None,
    clip: float = 0.0,
) -> None:
    """A step of each optimizer down the sum of its losses; all gradients are taken before any update.

    Each sum is differentiated in its own optimizer's parameters only, through a graph that all may share. Of several
    ranks, gradients, losses and `metrics` become their means. `clip`: largest norm of the gradients; 0 for any.
    """
    for optimizer, losses in networks:
        optimizer.zero_grad(set_to_none=True)
        total, shared = torch.stack(list(losses.values())).sum(), losses is not networks[-1][1]
        total.backward(inputs=parameters_of(optimizer), retain_graph=shared)
    if context.ranks.many:
        gradients = [
            p.grad for optimizer, _ in networks for p in parameters_of(optimizer) if p.grad is not None
        ]
        average_over_ranks(context.ranks, gradients, [losses for _, losses in networks] + [metrics or {}])
    for optimizer, _ in networks:
        if clip:
            torch.nn.utils.clip_grad_norm_(parameters_of(optimizer), clip)
        optimizer.step()


def parameters_of(optimizer: Optimizer) -> list[Tensor]:
    """All parameters that an optimizer changes."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
