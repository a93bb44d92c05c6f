"""A run folder: its lock, configuration, log, checkpoints and state. Whatever is read back is checked first.

config.yaml      fully resolved; valid as --config
run.json         state: steps, seconds, finished, data fingerprint
metrics.jsonl    a line every few steps
checkpoints/     step-00001000.pt with its SHA-256 beside it
samples/         fixed-noise grids and a GIF of them
lookout/         the classifier that looks at samples on the way
model/           the generator (see moves/model.py)
"""

import contextlib
import fcntl
import hashlib
import io
import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from gangda.data.images import IntArray
from gangda.errors import DataError, RunError
from gangda.runtime.files import (
    FORMAT_VERSION,
    check_version,
    clear_disk_errors,
    foreign_names,
    read_json,
    write_bytes,
    write_json,
)

KEEP_CHECKPOINTS = 3


def config_hash(text: str) -> str:
    """First 8 hex digits of the SHA-256 of a canonical text; ends the names of default folders."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class RunFolder:
    """Paths and files of one run."""

    path: Path

    def claim(self, config_yaml: str, ignoring: Collection[str] = ()) -> bool:
        """Take the folder for this configuration; True if it was ours already. Keys in `ignoring` may have changed.

        Raises:
            RunError: it holds something else, or a run of another configuration (the difference is named).
        """
        recorded = self.path / "config.yaml"
        if recorded.is_file() and (self.path / "run.json").is_file():
            _refuse_difference(self.path, recorded.read_text(encoding="utf-8"), config_yaml, ignoring)
            write_bytes(recorded, config_yaml.encode())
            return True
        self.refuse_foreign()
        write_bytes(recorded, config_yaml.encode())
        write_json(self.path / "run.json", {"finished": False, "steps": 0, "seconds": 0.0})
        return False

    def refuse_foreign(self) -> None:
        """Leave alone what is not ours.

        Raises:
            RunError: the folder holds something that no run put there.
        """
        if (self.path / "config.yaml").is_file() and (self.path / "run.json").is_file():
            return
        if foreign_names(self.path, (".lock", "config.yaml"), ("config.yaml", "run.json")):
            raise RunError(f"{self.path}: exists and is not a gangda run; choose another --out")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder; the system lets go when the process ends, however it ends.

        Raises:
            RunError: another process holds it.
        """
        with clear_disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            file = (self.path / ".lock").open("w")
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RunError(
                    f"{self.path}: another process is working in this folder; wait for it"
                ) from None
            yield

    def state(self) -> dict[str, Any]:
        """`run.json`."""
        return read_json(self.path / "run.json")

    def write_state(self, **values: Any) -> None:
        """Replace `run.json`."""
        write_json(self.path / "run.json", values)

    def save_checkpoint(
        self, step: int, state: dict[str, Any], lasting: Callable[[int], bool] = lambda step: True
    ) -> None:
        """Write a checkpoint and its hash; then drop all older ones but the last few at `lasting` steps."""
        buffer = io.BytesIO()
        torch.save({"format_version": FORMAT_VERSION, **state}, buffer)
        data = buffer.getvalue()
        path = self.path / "checkpoints" / f"step-{step:08d}.pt"
        write_bytes(path, data)
        write_bytes(path.with_suffix(".sha256"), hashlib.sha256(data).hexdigest().encode() + b"\n")
        older = [old for old in self.checkpoints() if old != path]
        kept = [old for old in older if lasting(_step_of(old))][-(KEEP_CHECKPOINTS - 1) :]
        self._drop(old for old in older if old not in kept)

    def checkpoints(self) -> list[Path]:
        """Checkpoints, oldest first."""
        return sorted((self.path / "checkpoints").glob("step-*.pt"))

    def drop_checkpoints(self, after: int) -> None:
        """Delete those of later steps."""
        self._drop(path for path in self.checkpoints() if _step_of(path) > after)

    def _drop(self, paths: Iterable[Path]) -> None:
        for path in paths:
            path.with_suffix(".sha256").unlink(missing_ok=True)
            path.unlink(missing_ok=True)

    def load_checkpoint(
        self, wanted: Callable[[int], bool] | None = None
    ) -> tuple[dict[str, Any] | None, list[str]]:
        """The newest checkpoint that is whole, of the steps `wanted`; and a line for each damaged one passed over."""
        complaints: list[str] = []
        for path in reversed(self.checkpoints()):
            if wanted is not None and not wanted(_step_of(path)):
                continue
            data = path.read_bytes()
            sidecar = path.with_suffix(".sha256")
            if sidecar.is_file() and sidecar.read_text().strip() == hashlib.sha256(data).hexdigest():
                state: dict[str, Any] = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
                check_version(state.pop("format_version", None), path)
                return state, complaints
            complaints.append(f"{path}: damaged (its hash does not match); using the one before it")
        return None, complaints


def _step_of(path: Path) -> int:
    return int(path.stem.removeprefix("step-"))


class MetricsLog:
    """`metrics.jsonl`: one JSON object a line; cut back to the step that a run resumes from.

    Lines of step 0 are of the discriminator's pre-training and have a "turn", which `turn` cuts back likewise.
    """

    def __init__(self, path: Path, step: int, turn: int = 0) -> None:
        kept = [line for line in _complete_lines(path) if _place_of(line) <= (step, 0 if step else turn)]
        write_bytes(path, "".join(kept).encode())
        self.path = path
        self.file = path.open("a", encoding="utf-8")

    def write(self, record: dict[str, Any]) -> None:
        """Append a line."""
        with clear_disk_errors(self.path):
            self.file.write(json.dumps(record) + "\n")
            self.file.flush()

    def close(self) -> None:
        """Close the file."""
        with clear_disk_errors(self.path):
            self.file.close()


def _place_of(line: str) -> tuple[int, int]:
    record = json.loads(line)
    return record["step"], record.get("turn", 0)


def _complete_lines(path: Path) -> list[str]:
    if not path.is_file():
        return []
    return [
        line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")
    ]


def find_run(fingerprint: str, allowed_rows: IntArray | None, root: Path = Path("runs")) -> Path:
    """The newest finished run on this data whose training images are all among `allowed_rows` (None: any).

    Raises:
        RunError: there is none; the message says what to run.
    """
    found = []
    outside = 0
    for card in root.glob("*/model/model.json"):
        run = card.parent.parent
        with contextlib.suppress(DataError, KeyError, ValueError, OSError):
            if read_json(card)["fingerprint"] != fingerprint or not read_json(run / "run.json")["finished"]:
                continue
            rows = np.array((card.parent / "rows.txt").read_text().split(), dtype=np.int64)
            if allowed_rows is not None and not np.isin(rows, allowed_rows).all():
                outside += 1
                continue
            found.append((card.stat().st_mtime_ns, run))
    if found:
        return max(found)[1]
    reason = " whose training images all belong to this subset" if outside else ""
    raise RunError(
        f"{root}: no finished run on this data{reason}; run `gangda train` with the same --data options "
        "and --seed first, or name one with --run"
    )


def _refuse_difference(path: Path, recorded: str, asked: str, ignoring: Collection[str]) -> None:
    before, now = _flat(recorded), _flat(asked)
    for key in [*before, *(key for key in now if key not in before)]:
        if before.get(key) != now.get(key) and key.split(".")[-1] not in ignoring:
            longer = "--resume to go on with another budget, " if key.startswith("budget.") and not ignoring else ""
            raise RunError(
                f"{path}: was made with {key} = {before.get(key)}, not {now.get(key)}; use the same options "
                f"(--config takes the run's own config.yaml), {longer}or another --out"
            )


def _flat(text: str) -> dict[str, Any]:
    """Dotted keys of a two-level YAML document."""
    loaded = yaml.safe_load(text) or {}
    sections = {name: value if isinstance(value, dict) else {"": value} for name, value in loaded.items()}
    return {f"{name}.{key}": value for name, values in sections.items() for key, value in values.items()}
