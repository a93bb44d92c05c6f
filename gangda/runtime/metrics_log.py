"""`metrics.jsonl`: one JSON object a line, with no line missing or repeated after a run was stopped and continued."""

import json
from pathlib import Path
from typing import Any

from gangda.errors import RunError
from gangda.runtime.files import clear_disk_errors, write_bytes


class MetricsLog:
    """`metrics.jsonl`: one JSON object a line; cut back to the step that a run resumes from.

    Lines of step 0 are of the pre-training and have a "pretraining_step", which `turn` cuts back likewise. Of one step
    there may be several: `most` is how many lines there were in all when that step was saved, where it is known.
    `lines` counts those in the file.
    """

    def __init__(self, path: Path, step: int, turn: int = 0, most: int | None = None) -> None:
        until = (step, 0 if step else turn)
        lines = enumerate(_complete_lines(path), start=1)
        kept = [line for number, line in lines if _place_of(path, number, line) <= until][:most]
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


def _place_of(path: Path, number: int, line: str) -> tuple[int, int]:
    """Step and turn of a line.

    Raises:
        RunError: it is damaged; it is named.
    """
    try:
        record = json.loads(line)
        return int(record["step"]), int(record.get("pretraining_step", 0))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise RunError(
            f"{path}: line {number} is damaged; delete that line (or the file) and run the same command again"
        ) from None


def _complete_lines(path: Path) -> list[str]:
    if not path.is_file():
        return []
    return [
        line
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        if line.endswith("\n")
    ]
