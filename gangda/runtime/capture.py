"""Steps as CUDA graphs: recorded once, then replayed, so that no kernel waits for Python.

A step that can be recorded is a function of tensors. Whatever else changes from step to step (a learning rate, a
decay, a probability) has to be a tensor that is filled before the step; what changes rarely (a lazy penalty is due)
belongs to the step's `kind`, and each kind is recorded for itself.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from gangda.errors import UsageError

# Steps of a kind that run before it is recorded: they choose kernels and make the optimizer's state.
WARM_UP = 3

Losses = dict[str, Tensor]
Inputs = Sequence[Tensor | None]
Step = Callable[..., Losses]  # of inputs; scalars by name
Replay = Callable[[], object]
# Records what a function does; nothing counts as done before what it gives is called.
Recorder = Callable[[Callable[[], None]], Replay]


@dataclass(eq=False)
class RecordedStep:
    """A recorded step, its inputs in fixed places, and the gradients that it leaves."""

    inputs: list[Tensor]
    names: tuple[str, ...]
    values: Tensor  # float32, the scalars by `names`
    gradients: list[Tensor | None]
    replay: Replay

    def __call__(self, inputs: Inputs) -> Losses:
        """The step on these inputs, which have the shapes of the first ones."""
        torch._foreach_copy_(
            self.inputs, [tensor for tensor in inputs if tensor is not None], non_blocking=True
        )
        self.replay()
        return dict(zip(self.names, self.values.clone().unbind(), strict=True))


@dataclass(eq=False)
class Capture:
    """Runs steps: where there is a recorder, each kind of step is recorded after `WARM_UP` ordinary runs.

    Attributes:
        record: of the device; None runs every step as it is.
        parameters: whose gradients a caller may read after a step.
    """

    record: Recorder | None
    parameters: Sequence[Tensor] = ()
    runs: dict[Hashable, int] = field(default_factory=dict)
    recorded: dict[Hashable, RecordedStep] = field(default_factory=dict)
    last: RecordedStep | None = None

    def __call__(self, kind: Hashable, step: Step, inputs: Inputs) -> Losses:
        """`step(*inputs)`: its scalars by name. Steps of a kind have inputs of the same shapes, or None in their place.

        Raises:
            UsageError: the step cannot be recorded.
        """
        if self.record is None:
            return step(*inputs)
        if kind not in self.recorded:
            self.runs[kind] = self.runs.get(kind, 0) + 1
            if self.runs[kind] <= WARM_UP:
                self.last = None  # it leaves gradients of its own
                return step(*inputs)
            self.recorded[kind] = self._recorded(step, inputs)
        chosen = self.recorded[kind]
        if chosen is not self.last:
            for parameter, gradient in zip(self.parameters, chosen.gradients, strict=True):
                parameter.grad = gradient
        self.last = chosen
        return chosen(inputs)

    def _recorded(self, step: Step, inputs: Inputs) -> RecordedStep:
        assert self.record is not None
        given = [None if tensor is None else tensor.clone() for tensor in inputs]
        own, found = [tensor for tensor in given if tensor is not None], Losses()
        values: list[Tensor] = []

        def run() -> None:
            found.update(step(*given))
            scalars = [value.detach().float() for value in found.values()]
            values.append(torch.stack(scalars) if scalars else own[0].new_zeros(0))

        try:
            replay = self.record(run)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            raise UsageError(
                f"this step cannot be recorded as a CUDA graph ({reason}); give --no-capture"
            ) from error
        gradients = [parameter.grad for parameter in self.parameters]
        return RecordedStep(own, tuple(found), values[-1], gradients, replay)


def cuda_graph(run: Callable[[], None]) -> Replay:
    """Record a function that launches work on the current CUDA device; nothing is computed yet."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def set_learning_rate(group: dict[str, Any], rate: float) -> None:
    """Give an optimizer's parameter group its rate: a tensor, which recorded steps read, is filled."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate
