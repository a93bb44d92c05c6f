"""What `gangda train` reports."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class TrainResult:
    """What `gangda train` reports.

    Attributes:
        run, arch: the run folder and the architecture.
        steps, seconds: generator steps and training time, over all sittings.
        images_per_second: real images seen per second of training.
        finished: the budget is spent.
        parameters: `count_parameters` by network.
        alarms: those of the last step.
        looking_seconds: time spent looking at samples, which is not training time.
        best_step: the step of the best checkpoint; None where none was chosen.
    """

    run: Path
    arch: str
    steps: int
    seconds: float
    images_per_second: float
    finished: bool
    parameters: dict[str, int]
    alarms: tuple[str, ...] = ()
    looking_seconds: float = 0.0
    best_step: int | None = None

    @property
    def out(self) -> Path:
        """The run folder."""
        return self.run

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**dataclasses.asdict(self), "run": str(self.run), "alarms": list(self.alarms)}


def count_parameters(module: torch.nn.Module) -> int:
    """Numbers in all the parameters of a network, frozen or not; buffers (running statistics) are none."""
    return sum(parameter.numel() for parameter in module.parameters())
