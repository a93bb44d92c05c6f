"""Everything that changes while a generator is trained, and how it is restored from a checkpoint."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from gangda.errors import RunError
from gangda.runtime.progress import Reporter
from gangda.runtime.runs import RunFolder
from gangda.training.method import Method
from gangda.zoo.base import Generator


@dataclass(eq=False)
class TrainState:
    """Networks, optimizers, the generator's weight average and the place in the run."""

    modules: dict[str, nn.Module]  # by name; the generator is `generator`
    optimizers: dict[str, torch.optim.Optimizer]
    ema: Generator  # the weight average of the generator, in eval mode; what is sampled
    step: int = 0  # training steps done
    pretrained: int = 0  # steps of the pre-training done, which come before step 1
    buffers: dict[str, Tensor] = field(default_factory=dict)  # what the method carries from step to step

    @property
    def generator(self) -> Generator:
        """The network in training whose average is `ema`."""
        return cast(Generator, self.modules["generator"])

    def dump(self) -> dict[str, Any]:
        """All state by reference: plain dicts of tensors and numbers, which load with `weights_only=True`."""
        return {
            "step": self.step,
            "pretrained": self.pretrained,
            "modules": {name: module.state_dict() for name, module in self.modules.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "ema": self.ema.state_dict(),
            "buffers": dict(self.buffers),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave."""
        for name, module in self.modules.items():
            module.load_state_dict(state["modules"][name])
        for name, optimizer in self.optimizers.items():
            load_optimizer(optimizer, state["optimizers"][name])
        self.ema.load_state_dict(state["ema"])
        self.step, self.pretrained = int(state["step"]), int(state["pretrained"])
        self.buffers.clear()
        self.buffers.update(state["buffers"])


def new_state(method: Method) -> TrainState:
    """The state before the first step."""
    average: Generator = method.generator
    if method.config.method.averaged:
        average = weight_average(average, method.config.recipe.ema)
    return TrainState(method.modules, method.optimizers, average, buffers=method.buffers)


def weight_average(generator: Generator, ema: float) -> Generator:
    """A copy of the generator, in eval mode; without an average, one that shares its tensors."""
    average = copy.deepcopy(generator).requires_grad_(False).eval()
    if not ema:
        own, live = ([*net.parameters(), *net.buffers()] for net in (average, generator))
        for mine, theirs in zip(own, live, strict=True):
            if theirs.is_floating_point():
                mine.data = theirs.data
    return average


def float_tensors(module: nn.Module) -> list[Tensor]:
    """Weights and running statistics, sharing memory with the module: what the weight average covers."""
    return [tensor for tensor in module.state_dict().values() if tensor.is_floating_point()]


def load_optimizer(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Take over an optimizer's state, but not how its steps are computed, which belongs to the device."""
    how = ("lr", "fused", "capturable")
    own = [{name: group[name] for name in how if name in group} for group in optimizer.param_groups]
    groups = [{**theirs, **mine} for theirs, mine in zip(saved["param_groups"], own, strict=True)]
    optimizer.load_state_dict({**saved, "param_groups": groups})
    for group, mine in zip(optimizer.param_groups, own, strict=True):
        group.update(mine)  # the same tensor of the learning rate, not a copy


class Stateful(Protocol):
    """A part of a run that a checkpoint holds under a name, as plain values and tensors."""

    def dump(self) -> dict[str, Any]:
        """What `load` needs."""

    def load(self, values: dict[str, Any], /) -> None:
        """Take over what `dump` gave."""


def restore(
    folder: RunFolder,
    parts: Mapping[str, Stateful],
    reporter: Reporter,
    wanted: Callable[[int], bool] | None = None,
) -> None:
    """Load the newest whole checkpoint (of the `wanted` steps), if any; a RunError if they are damaged or foreign."""
    saved, complaints = folder.load_checkpoint(wanted)
    for complaint in complaints:
        reporter.line(complaint)
    if saved is None:
        return
    try:
        for name, part in parts.items():
            part.load(saved[name])
    except (KeyError, RuntimeError, ValueError, TypeError, AttributeError, IndexError) as error:
        made = "made by another version of gangda" if isinstance(error, KeyError) else "of other networks"
        raise RunError(f"{folder.path}: its checkpoints are {made}; start again in another --out") from error
