"""What a study has found: `study.json`, `best.yaml` and `report.html` in its folder."""

import contextlib
import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gangda.errors import DataError, UsageError
from gangda.runtime.files import without_nan, write_bytes, write_json
from gangda.runtime.plain import to_plain
from gangda.runtime.runs import RunFolder
from gangda.search_spaces import SearchSpace
from gangda.training.result import Estimate
from gangda.tuning.objectives import Objective
from gangda.tuning.page import render
from gangda.tuning.study import REASON, Study
from gangda.tuning.trial import RUNS, Trainer

NOT_BEST = "not in the better half at this step"
BEST, FOUND, REPORT = "best.yaml", "study.json", "report.html"


@dataclass(frozen=True)
class TrialRow:
    """A trial that has ended, or rests."""

    number: int
    params: Mapping[str, Any]  # values by dotted key
    value: float | None  # its last score
    finished: bool  # trained to the end; otherwise `reason` says why not
    reason: str
    steps: int  # at its last score
    run: str  # its run folder, inside the study's


@dataclass(frozen=True)
class TuneResult:
    """What `gangda tune` reports."""

    out: Path
    space: SearchSpace
    objective: Objective
    planned: int  # trials wanted
    rungs: tuple[int, ...]  # steps at which a trial is scored; of the space's first configuration
    rows: tuple[TrialRow, ...] = ()
    best: TrialRow | None = None
    importance: Mapping[str, float] = field(default_factory=dict)
    steps: int = 0  # of training, by all configurations together
    unpruned: int = 0  # those that the same configurations take without pruning; of a dry run, up to about
    running: int = 0  # trials that other processes are working on
    dry_run: bool = False
    estimate: Estimate | None = None  # of a dry run: a long trial that is not pruned; None for a closed form

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        written = None if self.best is None else str(self.out / BEST)
        whole = None if self.estimate is None else self.planned * self.estimate.seconds
        found = {
            "out": str(self.out),
            "space": self.space.name,
            "objective": self.objective.words,
            "direction": self.objective.direction,
            "share": self.objective.share,
            "dry_run": self.dry_run,
            "planned": self.planned,
            "finished": len(self.rows),
            "running": self.running,
            "rungs": list(self.rungs),
            "steps": self.steps,
            "unpruned_steps": self.unpruned,
            "seconds": whole,
            "trials": to_plain(self.rows),
            "best": to_plain(self.best),
            "best_config": written,
            "importance": dict(self.importance),
            "report": None if self.dry_run else str(self.out / REPORT),
        }
        return without_nan(found)  # type: ignore[no-any-return]

    def write(self, best: str | None) -> None:
        """Write the files; `best` is the best configuration as YAML, if a trial has finished."""
        if best is not None:
            write_bytes(self.out / BEST, best.encode())
        values = self.as_dict()
        write_json(self.out / FOUND, {"kind": "study", **values})
        write_bytes(self.out / REPORT, render(self.space, values).encode())


def collect(study: Study, trainer: Trainer, planned: int) -> TuneResult:
    """What the trials have found so far."""
    rows, spent, unpruned = [], {}, {}
    resting = [one.number for one in study.resting()]
    for trial in study.trials("COMPLETE", "PRUNED", "RUNNING"):
        rests, finished = trial.number in resting, trial.state.name == "COMPLETE"
        if trial.state.name == "RUNNING" and not rests:
            continue
        config = trainer.configure(study.space.values_of(trial.params))
        name = trainer.identity(config)
        rungs: tuple[int, ...] = ()
        with contextlib.suppress(UsageError):
            rungs = trainer.rungs(config)
            unpruned[name] = rungs[-1]
        with contextlib.suppress(DataError):  # a run that was refused, or has diverged at once
            spent[name] = RunFolder(trainer.out / RUNS / name).state().get("steps", 0)
        scores = list(trial.intermediate_values.values())
        last = trial.value if finished else scores[-1] if scores else None
        rows.append(
            TrialRow(
                number=trial.number,
                params=dict(trial.params),
                value=None if last is None or math.isnan(last) else last,
                finished=finished,
                reason=NOT_BEST if rests else trial.user_attrs.get(REASON, ""),
                steps=rungs[-1] if finished else rungs[len(scores) - 1] if scores else 0,
                run=f"{RUNS}/{name}",
            )
        )
    result = TuneResult(
        trainer.out,
        study.space,
        trainer.objective,
        planned,
        rungs=trainer.rungs(trainer.configure(study.space.first())),
        rows=tuple(rows),
        importance=study.importance(),
        steps=sum(spent.values()),
        unpruned=sum(unpruned.values()),
        running=len(study.trials("RUNNING")) - len(resting),
    )
    return dataclasses.replace(result, best=best_of(rows, trainer.objective.direction))


def best_of(rows: list[TrialRow], direction: str) -> TrialRow | None:
    """The best of the trials that were trained to the end, of equal ones the first; None where there is none."""
    sign = 1 if direction == "minimize" else -1
    finished = [(sign * row.value, row.number, row) for row in rows if row.finished and row.value is not None]
    return min(finished)[2] if finished else None
