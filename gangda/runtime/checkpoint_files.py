"""One checkpoint on disk: step-00001000.pt, with its SHA-256 beside it in step-00001000.sha256."""

import contextlib
import hashlib
import io
import re
from pathlib import Path
from typing import Any

import torch

_STEP = re.compile(r"step-(\d+)\.pt")


def checkpoint_path(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return folder / f"step-{step:08d}.pt"


def checkpoint_paths(folder: Path) -> list[Path]:
    """The checkpoints of a folder, oldest first; whole or not."""
    found = [path for path in folder.glob("step-*.pt") if _STEP.fullmatch(path.name)]
    return sorted(found, key=step_of)


def hash_path(path: Path) -> Path:
    """The file that holds a checkpoint's hash (and, while it is being replaced, that of the one before)."""
    return path.with_suffix(".sha256")


def step_of(path: Path) -> int:
    """The step of a checkpoint, by its name."""
    return int(path.stem.removeprefix("step-"))


def remove_checkpoint(path: Path) -> None:
    """Delete a checkpoint; its hash goes last, as one without would be taken for a damaged one."""
    path.unlink(missing_ok=True)
    hash_path(path).unlink(missing_ok=True)


def known_hash(path: Path) -> list[str]:
    """The hash of a checkpoint on disk, if it is whole."""
    with contextlib.suppress(OSError, ValueError):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return [digest] if digest in hash_path(path).read_text().split() else []
    return []


def read_checkpoint(path: Path) -> dict[str, Any] | str:
    """What a checkpoint holds, or what is wrong with it and would mend it. Nothing in it is ever executed."""
    try:
        hashes = hash_path(path).read_text().split()
        data = path.read_bytes()
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing, without which it may be anything; put that file back"
    except (OSError, ValueError) as error:
        return f"it or its hash cannot be read: {str(error)[:80]}"
    if hashlib.sha256(data).hexdigest() not in hashes:
        return "its hash does not match; put a good copy back"
    try:
        state = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    except MemoryError:
        raise
    except Exception as error:  # whatever a forged file may provoke
        return f"it holds something other than numbers: {type(error).__name__}"
    return state if isinstance(state, dict) else "it holds no state of a run"
