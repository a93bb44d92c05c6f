"""A run folder: its lock, configuration, log, checkpoints and state.

config.yaml      fully resolved, with the source of each value; valid as --config
run.json         state: steps, seconds, finished, data fingerprint
metrics.jsonl    a line every few steps
curves.png       its loss terms and accuracies, once `gangda train` has ended
README.md        model card, likewise
checkpoints/     step-00001000.pt, with its SHA-256 inside
samples/         fixed-noise grids and a GIF of them
monitor/         the classifier that samples are evaluated with
model/           the generator (see training/saved_model.py)
"""

import contextlib
import hashlib
import os
import reprlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from gangda.config.files import SOURCES
from gangda.errors import DataError, RunError
from gangda.runtime import checkpoint_files, files, locks
from gangda.runtime.arrays import IntArray
from gangda.runtime.checkpoint_files import step_of
from gangda.runtime.files import FormatVersionError, read_json, write_bytes, write_json
from gangda.runtime.staging import remove_temporaries

KEEP_CHECKPOINTS = 3
_STATE: Mapping[str, type] = {
    "finished": bool,
    "steps": int,
    "seconds": float,
    "alarms": list,
    "fingerprint": str,
    "collapsed": bool,
}
PARTS = ("checkpoints", "samples", "monitor", "model")


def config_hash(text: str) -> str:
    """First 8 hex digits of the SHA-256 of a canonical text; the end of default folder names."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class RunFolder:
    """Paths and files of one run."""

    path: Path

    def check(self, config_yaml: str, ignoring: Collection[str] = (), fingerprint: str = "") -> bool:
        """Whether the folder is a run of this configuration already. Keys in `ignoring` may have changed.

        RunError where it holds something else, or a run of another configuration or of images of another `fingerprint`.
        """
        if not self._is_run():
            self.refuse_foreign()
            return False
        if (self.path / "run.json").is_file():
            self.state()  # a run of another version of gangda is refused as that
        before = self._fingerprint() or fingerprint
        same = bool(fingerprint) and self._fingerprint() == fingerprint
        moved = ("source", "labels", "unlabelled") if same else ()  # the same images under another path
        _refuse_difference(self.path, self.path / "config.yaml", config_yaml, ignoring, moved)
        if fingerprint and before != fingerprint:
            raise RunError(
                f"{self.path}: its images have changed since it began, or the weights it starts from (content "
                f"{before[:16]}, now {fingerprint}); use the same, or choose another --out"
            )
        return True

    def claim(self, config_yaml: str, ignoring: Collection[str] = (), fingerprint: str = "") -> bool:
        """Use the folder for this configuration; True if it already was. Raises as `check`."""
        recorded, known = self.path / "config.yaml", self.check(config_yaml, ignoring, fingerprint)
        if not known or _flat(recorded.read_text(encoding="utf-8")) != _flat(config_yaml):
            write_bytes(recorded, config_yaml.encode())
        if not (self.path / "run.json").is_file():
            begun = {"finished": False, "steps": 0, "seconds": 0.0}
            write_json(
                self.path / "run.json", {**begun, **({"fingerprint": fingerprint} if fingerprint else {})}
            )
        return known

    def _fingerprint(self) -> str:
        """Of the images, as far as the run tells."""
        return str(self.state().get("fingerprint", "")) if (self.path / "run.json").is_file() else ""

    def _is_run(self) -> bool:
        """Whether a run has begun here; `run.json` may be missing, as a damaged one is to be deleted."""
        begun = any((self.path / name).exists() for name in ("run.json", "checkpoints"))
        return begun and (self.path / "config.yaml").is_file()

    def refuse_foreign(self) -> None:
        """Raise RunError unless the folder is empty or a run."""
        if not self._is_run() and files.foreign_names(
            self.path, (locks.LOCK, locks.LOCK_FILE, "config.yaml"), ("config.yaml", "run.json")
        ):
            raise RunError(f"{self.path}: exists and is not a gangda run; choose another --out")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder (raises as `lock_folder`), and remove temporary files of killed processes."""
        with locks.lock_folder(self.path):
            with files.clear_disk_errors(self.path):
                for place in ("", *PARTS):
                    remove_temporaries(self.path / place)
            yield

    def state(self) -> dict[str, Any]:
        """`run.json`; DataError where it is damaged."""
        path = self.path / "run.json"
        state = read_json(path)
        if not all(isinstance(state.get(name, kind()), kind) for name, kind in _STATE.items()):
            raise DataError(f"{path}: damaged; delete it and run the same command again")
        return {"finished": False, **state}

    def write_state(self, **values: Any) -> None:
        """Replace `run.json`."""
        write_json(self.path / "run.json", values)

    def save_checkpoint(
        self, step: int, state: dict[str, Any], lasting: Callable[[int], bool] = lambda step: True
    ) -> None:
        """Write a checkpoint, then delete all older ones but the last few at `lasting` steps.

        There is a whole checkpoint at every moment, also where one of the same step is replaced.
        """
        log = self.path / "metrics.jsonl"
        if log.is_file():  # after a power cut it holds the lines of all steps of the checkpoint
            with log.open("r+b") as file:
                os.fsync(file.fileno())
        path = checkpoint_files.checkpoint_path(self.path / "checkpoints", step)
        checkpoint_files.write_checkpoint(path, state)
        older = [old for old in self.checkpoints() if old != path]
        kept = [old for old in older if lasting(step_of(old))][-(KEEP_CHECKPOINTS - 1) :]
        for old in older:
            if old not in kept:
                old.unlink(missing_ok=True)

    def checkpoints(self) -> list[Path]:
        """Checkpoints, oldest first."""
        return checkpoint_files.checkpoint_paths(self.path / "checkpoints")

    def drop_checkpoints(self, after: int) -> None:
        """Delete those of later steps."""
        for path in self.checkpoints():
            if step_of(path) > after:
                path.unlink(missing_ok=True)

    def load_checkpoint(
        self, wanted: Callable[[int], bool] | None = None
    ) -> tuple[dict[str, Any] | None, list[str]]:
        """The newest whole checkpoint of the `wanted` steps, and why newer ones are not used. None: there are none.

        RunError where none of them is whole; FormatVersionError where the newest is of another version of gangda.
        """
        damaged: list[str] = []
        for path in reversed(self.checkpoints()):
            if wanted is not None and not wanted(step_of(path)):
                continue
            try:
                return checkpoint_files.read_checkpoint(path), [
                    f"{reason}; using the one before it" for reason in damaged
                ]
            except FormatVersionError:
                raise
            except DataError as error:
                damaged.append(str(error))
        if damaged:
            raise RunError(
                f"{self.path / 'checkpoints'}: none of {len(damaged)} checkpoints is whole (the newest: {damaged[0]}); "
                "put a good one back, delete that folder to begin again, or choose another --out"
            )
        return None, []


def find_run(fingerprint: str, allowed_rows: IntArray | None, root: Path = Path("runs")) -> Path:
    """The newest finished run on this data whose training images are all among `allowed_rows` (None: any).

    Raises RunError: there is none; the message says what to run.
    """
    found = []
    outside = 0
    for card in root.glob("*/model/model.json"):
        run = card.parent.parent
        with contextlib.suppress(DataError, KeyError, ValueError, TypeError, OverflowError, OSError):
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


def _refuse_difference(
    path: Path, recorded: Path, asked: str, ignoring: Collection[str], moved: Collection[str]
) -> None:
    try:
        before = _flat(recorded.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:80]
        raise RunError(f"{recorded}: damaged ({reason}); put it back, or choose another --out") from None
    now = _flat(asked)
    for key in [*before, *(key for key in now if key not in before)]:
        if before.get(key) == now.get(key) or key.split(".")[-1] in (*ignoring, *moved):
            continue
        budget = key.startswith("budget.") and "checkpoint_every" not in ignoring
        # with a cosine schedule the learning rate depends on the end, which --resume keeps
        budget &= key == "budget.checkpoint_every" or before.get("recipe.lr_schedule") != "cosine"
        resume = "--resume to continue with another budget, " if budget else ""
        pair = (before.get(key), now.get(key))
        old, new = (value[:60] if isinstance(value, str) else reprlib.repr(value) for value in pair)
        raise RunError(
            f"{path}: was made with {key} = {old}, not {new}; use the same options (--config takes the run's own "
            f"config.yaml), {resume}or another --out"
        )


def _flat(text: str) -> dict[str, Any]:
    """Dotted keys of a two-level YAML document, without where its values came from."""
    loaded = yaml.safe_load(text) or {}
    loaded.pop(SOURCES, None)
    sections = {name: value if isinstance(value, dict) else {"": value} for name, value in loaded.items()}
    return {f"{name}.{key}": value for name, values in sections.items() for key, value in values.items()}
