"""`TrainResult`: what `gangda train` reports, and what `run.json` keeps of it."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from gangda.errors import DataError
from gangda.runtime.files import read_json, write_json
from gangda.runtime.plain import to_plain

DATA_ALARMS = "data-alarms.json"  # in a run folder, where there are any


@dataclass(frozen=True)
class Estimate:
    """What training with some options takes, evaluation of samples not counted."""

    options: dict[str, Any]  # of the architecture, where they differ from those asked for
    parameters: int
    seconds_per_step: float
    steps: int  # of the budget
    seconds: float
    memory_bytes: int = 0  # about, of images, networks and a step
    disk_bytes: int = 0  # about, of the finished run


@dataclass(frozen=True)
class TrainResult:
    """What `gangda train` reports, of all processes that worked on the run."""

    run: Path
    arch: str
    finished: bool = False
    steps: int = 0
    seconds: float = 0.0  # without the evaluation of samples
    images: int = 0  # real ones shown, with repetition
    evaluation_seconds: float = 0.0
    parameters: Mapping[str, int] = field(default_factory=dict)
    alarms: tuple[str, ...] = ()  # those of the last evaluation
    best_step: int | None = None  # None where no best checkpoint was chosen
    chosen_by: str = ""  # what it was chosen by, in words, or why none was
    looks: int = 0  # evaluations of samples that saw validation images
    estimates: tuple[Estimate, ...] = ()  # of a dry run: as asked for, then other sizes
    data_alarms: tuple[str, ...] = ()  # about the images

    def __fspath__(self) -> str:
        """The run folder: a run can be given to whatever takes its path."""
        return str(self.run)

    @property
    def out(self) -> Path:
        """The run folder."""
        return self.run

    @property
    def images_per_second(self) -> float:
        """Real images shown per second of training."""
        return self.images / max(self.seconds, 1e-9)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**to_plain(self), "run": str(self.run), "images_per_second": self.images_per_second}

    def recorded(self) -> dict[str, Any]:
        """Plain values for `run.json`, in the folder that they are about."""
        return {name: to_plain(getattr(self, name)) for name in _RECORDED}

    @classmethod
    def from_recorded(cls, run: Path, values: Mapping[str, Any]) -> "TrainResult":
        """Read what `recorded` gave. Raises KeyError: something is missing."""
        values = {"looks": 0, **values, "alarms": tuple(values["alarms"])}
        return cls(run, **{name: values[name] for name in _RECORDED})


_RECORDED = tuple(
    field.name
    for field in dataclasses.fields(TrainResult)
    if field.name not in ("run", "estimates", "data_alarms")
)


def count_parameters(modules: Mapping[str, torch.nn.Module]) -> dict[str, int]:
    """Numbers in all the parameters of each network, frozen or not; buffers (running statistics) are none."""
    return {name: sum(p.numel() for p in module.parameters()) for name, module in modules.items()}


def write_data_alarms(run: Path, alarms: Sequence[str]) -> None:
    """Keep in a run folder what is wrong with the images, for commands that read the run without them."""
    if alarms:
        write_json(run / DATA_ALARMS, {"alarms": list(alarms)})


def read_data_alarms(run: Path) -> list[str]:
    """What `write_data_alarms` kept; nothing where the file is missing or damaged."""
    try:
        alarms = read_json(run / DATA_ALARMS).get("alarms")
    except DataError:
        return []
    return [str(alarm) for alarm in alarms] if isinstance(alarms, list) else []
