"""The log of a run: `metrics.jsonl`, a line every few steps and one for each look at the samples."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gangda.runtime.files import without_nan
from gangda.runtime.metrics_log import MetricsLog
from gangda.training.loop import StepRecord
from gangda.training.monitor.dynamics import Course
from gangda.zoo.base import Networks

LOG_EVERY = 50  # steps between lines


class NotFiniteError(Exception):
    """A figure that is no number any more: training is lost from here on."""

    def __init__(self, name: str, step: int) -> None:
        super().__init__(f"{name} is not a number at step {step}")


@dataclass(eq=False)
class MetricsLogger:
    """Writes the log, and keeps what the next line needs of the last ones.

    Attributes:
        path: of the log.
        epoch_images: images of an epoch.
        latest: the last value of each figure of a step, lazy ones (such as R1) included.
        course: the first and the last of the steps logged.
        mark: epochs and training seconds at the last line that told the time of an epoch.
        saved_lines: lines there were when the state that was loaded was saved; None where that is not known.
    """

    path: Path
    epoch_images: int
    latest: dict[str, Any] = field(default_factory=dict)
    course: Course = field(default_factory=Course)
    mark: tuple[float, float] = (0.0, 0.0)
    log: MetricsLog | None = None
    saved_lines: int | None = None

    def open(self, step: int, turn: int = 0) -> None:
        """Begin to write after `step` (0: after `turn` of pre-training); later lines, of a lost attempt, go."""
        self.log = MetricsLog(self.path, step, turn, self.saved_lines)

    def close(self) -> None:
        """Close the file, if it is open."""
        if self.log is not None:
            self.saved_lines = self.log.lines
            self.log.close()
            self.log = None

    def note(self, record: StepRecord) -> None:
        """Take note of a step; nothing waits for the device."""
        self.latest.update(record.terms)

    def write(self, record: StepRecord, networks: Networks, seconds: float) -> None:
        """A line about a step: its figures, both gradient norms, epochs so far, and the time of the last ones.

        Raises:
            NotFiniteError: one of the figures is no number.
        """
        self.latest["d_gradient"] = gradient_norm(networks.discriminator)
        self.latest["g_gradient"] = gradient_norm(networks.generator)
        figures = self.figures(record.step)
        regular = record.step % LOG_EVERY == 0  # what is kept must not depend on where a run stopped
        if regular:
            self.course.add(figures)
        line: dict[str, Any] = {"step": record.step, **{k: round(v, 6) for k, v in figures.items()}}
        epochs = record.images / self.epoch_images
        line["epoch"] = round(epochs, 3)
        if regular and int(epochs) > int(self.mark[0]):
            line["epoch_seconds"] = round((seconds - self.mark[1]) / (epochs - self.mark[0]), 3)
            self.mark = (epochs, seconds)
        self._write({**line, "seconds": round(seconds, 2)})

    def write_turn(self, turn: int, seconds: float) -> None:
        """A line about a turn of the discriminator's pre-training, which is step 0: the figures.

        Raises:
            NotFiniteError: one of the figures is no number.
        """
        rounded = {name: round(value, 6) for name, value in self.figures(0).items()}
        self._write({"step": 0, "turn": turn, **rounded, "seconds": round(seconds, 2)})

    def tell(self, step: int, what: Mapping[str, Any]) -> None:
        """A line about something else: a look at the samples, a step back."""
        self._write(without_nan({"step": step, **what}))

    def _write(self, line: dict[str, Any]) -> None:
        if self.log is None:
            raise ValueError("the log is not open")
        self.log.write(line)

    def figures(self, step: int) -> dict[str, float]:
        """The last value of every figure (waits for the device).

        Raises:
            NotFiniteError: one of them is no number.
        """
        numbers = {name: float(value) for name, value in self.latest.items()}
        for name, value in numbers.items():
            if not math.isfinite(value):
                raise NotFiniteError(name, step)
        return numbers

    def dump(self, step: int) -> dict[str, Any]:
        """Plain values for a checkpoint; `lines`, of the log, are counted when it is written.

        Raises:
            NotFiniteError: a figure is no number.
        """
        return {"latest": self.figures(step), "course": self.course.dump(), "mark": list(self.mark)}

    def load(self, values: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        self.latest = dict(values["latest"])
        self.course.load(values["course"])
        self.mark = (float(values["mark"][0]), float(values["mark"][1]))
        saved = values.get("lines")  # older checkpoints have none
        self.saved_lines = None if saved is None else max(0, int(saved))

    @property
    def lines(self) -> int | None:
        """Lines of the log so far."""
        return self.saved_lines if self.log is None else self.log.lines


def gradient_norm(module: nn.Module) -> Tensor:
    """Euclidean norm of the gradients left by the last step, over all parameters: a scalar."""
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    if not gradients:
        return torch.zeros(())
    return torch.stack(list(torch._foreach_norm(gradients))).square().sum().sqrt()


def refuse_lost_weights(modules: Mapping[str, nn.Module], step: int) -> None:
    """See that weights and running statistics are numbers, before they are taken for good ones.

    Raises:
        NotFiniteError: naming the network.
    """
    for name, module in modules.items():
        tensors = [tensor for tensor in module.state_dict().values() if tensor.is_floating_point()]
        if tensors and not bool(torch.stack(torch._foreach_norm(tensors)).isfinite().all()):
            raise NotFiniteError(f"the {name}", step)
