"""Messages about a missing or damaged model: what is wrong, and which command writes it again."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from gangda.errors import DataError, RunError, UsageError
from gangda.runtime.checkpoint_files import checkpoint_paths, is_whole
from gangda.runtime.files import FormatVersionError, read_json


def no_model(run: Path) -> str:
    """Why there is no model, and what to do."""
    if (run / "run.json").is_file() and (run / "config.yaml").is_file():
        missing = "its model is missing" if _is_finished(run) else "its training is not finished"
        return f"{run}: {missing}; {again(run)}"
    return f"{run}: holds no trained generator; give the folder that `gangda train` printed"


def _is_finished(run: Path) -> bool:
    """Whether `run.json` says so."""
    with contextlib.suppress(DataError):
        return read_json(run / "run.json").get("finished") is True
    return False


def again(run: Path) -> str:
    """How to write the model of a run again, in words."""
    config = run / "config.yaml"
    if not config.is_file():
        return "train again"
    saved = any(map(is_whole, checkpoint_paths(run / "checkpoints")))
    gives = "goes on from its last whole checkpoint" if saved else "trains it from the start"
    return f"the command that made it (or: gangda train --config {config} --out {run}) {gives} and writes it anew"


@contextlib.contextmanager
def refusing_damage(run: Path) -> Iterator[None]:
    """Turn any error that a forged or damaged file causes into one line.

    Raises:
        RunError: the model cannot be read.
    """
    try:
        yield
    except (UsageError, FormatVersionError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).removeprefix(f"{run / 'model'}/").split())[:100]
        raise RunError(f"{run / 'model'}: damaged model ({reason}); {again(run)}") from error
