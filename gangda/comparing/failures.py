"""Cells whose training gave nothing that can be used: recorded with the reason, left out, and named."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gangda.comparing.cells import FAILED, failure_of, read_cell
from gangda.comparing.plan import Cell, Plan
from gangda.errors import OutcomeError
from gangda.runtime.progress import Reporter


@dataclass(frozen=True)
class Failure:
    """A failed cell: its place in the plan, its seed, and what went wrong in a sentence."""

    index: int
    seed: int
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        return f"cell {self.index} (seed {self.seed}): {self.reason}"


def failures_of(cells: Iterable[Cell], out: Path, kind: str = "cells") -> tuple[Failure, ...]:
    """Those of the cells that have failed, in their order; one that came through at another attempt has not."""
    reasons = [(cell, failure_of(out, cell)) for cell in cells if read_cell(out, cell, kind) is None]
    return tuple(Failure(cell.index, cell.seed, reason) for cell, reason in reasons if reason is not None)


def missing_of(cells: Sequence[Cell], out: Path, kind: str = "cells") -> list[Cell]:
    """Cells that have neither a result nor a reason for having none."""
    failed = {failure.index for failure in failures_of(cells, out, kind)}
    return [one for one in cells if one.index not in failed and read_cell(out, one, kind) is None]


def tell_failures(cells: Sequence[Cell], out: Path, reporter: Reporter, kind: str = "cells") -> None:
    """Say which of the cells that have just run failed."""
    for failure in failures_of(cells, out, kind):
        reporter.line(f"FAILED, recorded and left out: {failure}")


def refuse_none_left(plan: Plan, out: Path, failures: Sequence[Failure]) -> None:
    """Refuse to judge where every cell has failed.

    Raises:
        OutcomeError: with the first one's reason.
    """
    if len(failures) == len(plan.cells):
        raise OutcomeError(
            f"{out}: all {len(failures)} cells failed, so that there is nothing to judge; {failures[0]} "
            f"(to try the same seeds again, remove {out / FAILED})"
        )


def failure_note(failures: Sequence[Failure], cells: int) -> str | None:
    """What a reader must know of the failed ones among `cells`; None where there are none.

    They are not missing by chance: what made them fail is what is being judged.
    """
    if not failures:
        return None
    return (
        f"FAILED: {len(failures)} of {cells} cells {_have(len(failures))} no result and {_are(len(failures))} left out "
        f"of every arm: {'; '.join(map(str, failures))}. The verdict is about the other seeds alone: "
        f"in use, this happens in about {len(failures) / cells:.0%} of trainings."
    )


def failure_words(failures: Sequence[Failure]) -> str:
    """The same for a verdict's end; empty where there are none."""
    if not failures:
        return ""
    plural = "s" if len(failures) > 1 else ""
    return f" Without cell{plural} {', '.join(str(one.index) for one in failures)}, which failed."


def _have(count: int) -> str:
    return "have" if count > 1 else "has"


def _are(count: int) -> str:
    return "are" if count > 1 else "is"
