"""`metrics.jsonl`: one JSON object a line, with no line missing or repeated after a run was stopped and continued."""

import json
from pathlib import Path
from typing import Any

from gangda.errors import RunError
from gangda.runtime.files import clear_disk_errors, write_bytes


class MetricsLog:
    """A log that is first cut back to the step from which a run continues; `lines` counts those in the file.

    Lines of step 0 belong to pre-training and have a "pretraining_step", by which they are cut back likewise. A step
    may have several lines: `max_lines` is how many there were in all when the step was saved, if that is known.
    """

    def __init__(
        self, path: Path, step: int, pretraining_step: int = 0, max_lines: int | None = None
    ) -> None:
        last = (step, 0 if step else pretraining_step)
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        complete = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
        kept = [line for number, line in enumerate(complete, 1) if _step_of(path, number, line) <= last]
        kept = kept[:max_lines]
        write_bytes(path, "".join(kept).encode())
        self.path, self.lines = path, len(kept)
        with clear_disk_errors(path):
            self.file = path.open("a", encoding="utf-8")

    def write(self, record: dict[str, Any]) -> None:
        """Append a line."""
        with clear_disk_errors(self.path):
            self.file.write(json.dumps(record) + "\n")
            self.file.flush()
        self.lines += 1

    def close(self) -> None:
        """Close the file."""
        with clear_disk_errors(self.path):
            self.file.close()


def _step_of(path: Path, number: int, line: str) -> tuple[int, int]:
    """Step and pre-training step of a line."""
    try:
        record = json.loads(line)
        return int(record["step"]), int(record.get("pretraining_step", 0))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise RunError(f"{path}: line {number} is damaged; delete it (or the file) and run again") from None
