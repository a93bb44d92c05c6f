"""The log of a run: `metrics.jsonl`, a line every few steps and one for each evaluation of samples."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gangda.errors import UsageError
from gangda.runtime.files import without_nan
from gangda.runtime.metrics_log import MetricsLog
from gangda.training.loop import StepRecord
from gangda.training.monitor.alarms import BESIDE_LOSS, TrainingCurve

LOG_EVERY = 50  # steps between lines


class NotFiniteError(Exception):
    """A loss, metric or weight is NaN or infinite: training cannot go on from here."""

    def __init__(self, name: str, step: int) -> None:
        super().__init__(f"{name} is NaN or infinite at step {step}")


@dataclass(eq=False)
class MetricsLogger:
    """Writes the log, and keeps what its next lines need."""

    path: Path
    epoch_images: int
    # the last value of each loss term and metric, also of those that are not computed at every step (R1)
    latest: dict[str, Any] = field(default_factory=dict)
    curve: TrainingCurve = field(default_factory=TrainingCurve)  # of the steps logged
    # Epochs and seconds at the last line with the time of an epoch.
    last_epoch: tuple[float, float] = (0.0, 0.0)
    log: MetricsLog | None = None
    tensorboard: Path | None = None  # folder of TensorBoard's files; None: none are written
    board: Any = None
    # (name, values) of a loss term, the generator's if there is one, at the logged steps of this session: to look at
    seen: tuple[str, list[float]] = ("", [])
    # Of the log when the loaded state was saved; None before anything was saved.
    saved_lines: int | None = None

    def open(self, step: int, pretraining_step: int = 0) -> None:
        """Begin to write after this step; later lines, of steps that were lost, are deleted."""
        self.log = MetricsLog(self.path, step, pretraining_step, self.saved_lines)
        if self.tensorboard is not None:
            self.board = _summary_writer(self.tensorboard, step)

    def close(self) -> None:
        """Close the file, if it is open."""
        if self.log is not None:
            self.saved_lines = self.log.lines
            self.log.close()
            self.log = None
        if self.board is not None:
            self.board.close()
            self.board = None

    def add(self, record: StepRecord) -> None:
        """Keep the values of a step; nothing waits for the device."""
        self.latest.update(record.losses)

    def write(
        self, record: StepRecord, pretraining_step: int, modules: Mapping[str, nn.Module], seconds: float
    ) -> None:
        """A line about a step, of the pre-training (`record.step` is 0) the values alone; may raise NotFiniteError."""
        line: dict[str, Any] = {"step": record.step}
        if not record.step:
            line["pretraining_step"] = pretraining_step
        else:
            self.latest |= {f"{name}_gradient": gradient_norm(module) for name, module in modules.items()}
        values = self.values(record.step)
        line |= {name: round(value, 6) for name, value in values.items()}
        if record.step and (terms := [name for name in values if not name.endswith(BESIDE_LOSS)]):
            name = next((term for term in terms if term.startswith("g_")), terms[0])
            self.seen = (name, [*self.seen[1], values[name]])
        if record.step:
            epochs, (last_epochs, last_seconds) = record.images / self.epoch_images, self.last_epoch
            line["epoch"] = round(epochs, 3)
            if record.step % LOG_EVERY == 0:  # what is kept must not depend on where a run stopped
                self.curve.add(values)
                if int(epochs) > int(last_epochs):
                    line["epoch_seconds"] = round((seconds - last_seconds) / (epochs - last_epochs), 3)
                    self.last_epoch = (epochs, seconds)
        self._write({**line, "seconds": round(seconds, 2)})

    def event(self, step: int, what: Mapping[str, Any]) -> None:
        """A line about something else: an evaluation of samples, a rollback."""
        self._write(without_nan({"step": step, **what}))

    def _write(self, line: dict[str, Any]) -> None:
        if self.log is None:
            raise ValueError("the log is not open")
        self.log.write(line)
        if self.board is not None and line["step"]:
            numbers = {name: value for name, value in line.items() if isinstance(value, int | float)}
            for name in numbers.keys() - {"step"}:
                self.board.add_scalar(name, numbers[name], line["step"])

    def values(self, step: int) -> dict[str, float]:
        """The last value of each loss term and metric (waits for the device); a NotFiniteError if one is not finite."""
        values = {name: float(value) for name, value in self.latest.items()}
        for name, value in values.items():
            if not math.isfinite(value):
                raise NotFiniteError(name, step)
        return values

    def dump(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {
            "latest": {name: float(value) for name, value in self.latest.items()},
            "curve": self.curve.dump(),
            "last_epoch": list(self.last_epoch),
            "lines": self.saved_lines if self.log is None else self.log.lines,
        }

    def load(self, values: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        self.latest = dict(values["latest"])
        self.curve.load(values["curve"])
        epochs, seconds = values["last_epoch"]
        self.last_epoch = (float(epochs), float(seconds))
        self.saved_lines = None if values["lines"] is None else max(0, int(values["lines"]))


def _summary_writer(folder: Path, step: int) -> Any:
    """TensorBoard's writer, which hides what an earlier session wrote of later steps."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UsageError("--log tensorboard: needs tensorboard; pip install 'gangda[tensorboard]'") from None
    return SummaryWriter(str(folder), purge_step=step + 1)


def is_logged(step: int) -> bool:
    """Whether every run has a line about this step."""
    return step % LOG_EVERY == 0 or step == 1


def gradient_norm(module: nn.Module) -> Tensor:
    """Euclidean norm of the gradients left by the last step, over all parameters: a scalar."""
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    if not gradients:
        return torch.zeros(())
    return torch.stack(list(torch._foreach_norm(gradients))).square().sum().sqrt()


def refuse_lost_weights(modules: Mapping[str, nn.Module], step: int) -> None:
    """A NotFiniteError, naming the network, where weights or running statistics are NaN or infinite."""
    for name, module in modules.items():
        tensors = [tensor for tensor in module.state_dict().values() if tensor.is_floating_point()]
        if tensors and not bool(torch.stack(torch._foreach_norm(tensors)).isfinite().all()):
            raise NotFiniteError(f"the {name}", step)
