"""Checkpoints on disk: `step-00001000.pt`, which torch.load reads, with its hash at the end (`hashed_file.py`)."""

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import torch

from gangda.errors import DataError
from gangda.runtime.files import FORMAT_VERSION, check_version
from gangda.runtime.hashed_file import read_hashed, write_hashed

_NAME = re.compile(r"step-(\d+)\.pt")


def checkpoint_path(folder: Path, step: int) -> Path:
    """The file of a step's checkpoint."""
    return folder / f"step-{step:08d}.pt"


def checkpoint_paths(folder: Path) -> list[Path]:
    """The checkpoints of a folder, oldest first; whole or not."""
    return sorted((path for path in folder.glob("step-*.pt") if _NAME.fullmatch(path.name)), key=step_of)


def step_of(path: Path) -> int:
    """The step of a checkpoint, by its name."""
    return int(path.stem.removeprefix("step-"))


def is_whole(path: Path) -> bool:
    """Whether a checkpoint is as it was written."""
    with contextlib.suppress(DataError):
        return bool(read_hashed(path))
    return False


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a dict of tensors and plain values, atomically; raises RunError as `write_hashed`."""
    buffer = io.BytesIO()
    torch.save({"format_version": FORMAT_VERSION, **state}, buffer)
    write_hashed(path, buffer.getvalue())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The dict that `write_checkpoint` was given, on the CPU. Nothing in the file is ever executed.

    Raises DataError where it is missing or damaged, FormatVersionError where another version of gangda wrote it.
    """
    data = read_hashed(path, cure="put a good copy back")
    try:
        state = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    except MemoryError:
        raise
    except Exception as error:  # whatever a forged file may provoke
        raise DataError(f"{path}: holds something other than numbers: {type(error).__name__}") from None
    if not isinstance(state, dict):
        raise DataError(f"{path}: holds no state of a run")
    check_version(state.pop("format_version", None), path)
    return state
