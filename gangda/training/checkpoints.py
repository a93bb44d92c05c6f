"""Restoring all that a run carries from one process to the next."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from gangda.errors import RunError
from gangda.runtime.progress import Reporter
from gangda.runtime.runs import RunFolder


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
    """Load the newest undamaged checkpoint (of the `wanted` steps); without any, change nothing.

    Raises:
        RunError: the checkpoints are all damaged, of another version of gangda, or of other networks.
    """
    saved, complaints = folder.load_checkpoint(wanted)
    for complaint in complaints:
        reporter.line(complaint)
    if saved is None:
        return
    try:
        for name, part in parts.items():
            part.load(saved[name])
    except (KeyError, RuntimeError, ValueError, TypeError, AttributeError, IndexError) as error:
        made = (
            "were made by another version of gangda"
            if isinstance(error, KeyError)
            else "are of other networks"
        )
        raise RunError(f"{folder.path}: its checkpoints {made}; start again in another --out") from error
