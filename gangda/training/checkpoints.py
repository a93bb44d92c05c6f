"""Saving and restoring all that a run carries from one process to the next."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gangda.errors import RunError
from gangda.runtime.progress import Reporter
from gangda.runtime.runs import RunFolder


class Stateful(Protocol):
    """A part of a run that a checkpoint holds, as plain values and tensors."""

    def dump(self) -> dict[str, Any]:
        """What `load` needs."""

    def load(self, values: dict[str, Any], /) -> None:
        """Take over what `dump` gave."""


@dataclass(frozen=True)
class CheckpointManager:
    """Saves and restores the parts of a run under their names.

    Attributes:
        folder: the run's.
        is_regular: whether every run of the same options has a checkpoint at a step, wherever it was stopped.
        reporter: is told of damaged checkpoints.
    """

    folder: RunFolder
    is_regular: Callable[[int], bool]
    reporter: Reporter

    def save(self, step: int, parts: Mapping[str, Stateful]) -> None:
        """Write the checkpoint of a step; of the older ones, the last few at regular steps are kept."""
        values = {name: part.dump() for name, part in parts.items()}
        self.folder.save_checkpoint(step, values, lasting=self.is_regular)

    def restore(self, parts: Mapping[str, Stateful], *, regular: bool = False) -> None:
        """Load the newest undamaged checkpoint (`regular`: of those at regular steps); without any, change nothing.

        Raises:
            RunError: the checkpoints are all damaged, of another version of gangda, or of other networks.
        """
        saved, complaints = self.folder.load_checkpoint(self.is_regular if regular else None)
        for complaint in complaints:
            self.reporter.line(complaint)
        if saved is None:
            return
        try:
            for name, part in parts.items():
                part.load(saved[name])
        except KeyError as error:
            raise RunError(
                f"{self.folder.path}: its checkpoints were made by another version of gangda; start again in another "
                "--out"
            ) from error
        except (RuntimeError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise RunError(
                f"{self.folder.path}: its checkpoints are of other networks; start again in another --out"
            ) from error
