"""One trial: a configuration trained from rung to rung, scored at each, and ended where it has failed."""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gangda.config import resolve
from gangda.config.schema import TrainConfig, TuneConfig
from gangda.data.paths import identified
from gangda.data.splits import DataSplits
from gangda.errors import OutcomeError, UsageError
from gangda.runtime.files import read_json, write_json
from gangda.runtime.locks import lock_folder
from gangda.runtime.progress import Reporter
from gangda.runtime.runs import RunFolder
from gangda.training import check, fit_generator
from gangda.training.budget import step_budget
from gangda.training.monitor.alarms import FROM_STEP
from gangda.tuning.objectives import Judge, Objective
from gangda.tuning.study import TRIALS, Study

if TYPE_CHECKING:
    import optuna

RUNS, SCORES = "runs", "scores"
COLLAPSED = "mode collapse"


@dataclass(frozen=True)
class Score:
    """A configuration after some steps."""

    steps: int
    value: float | None  # None: nothing can be scored, and `ended` says why
    ended: str = ""  # why the run itself is not worth going on


@dataclass(eq=False)
class Trainer:
    """Trains and scores configurations in the folder of a study, each once, whichever trial asks."""

    out: Path
    config: TuneConfig
    configure: Callable[[Mapping[str, Any]], TrainConfig]  # from values by dotted key
    objective: Objective
    splits: DataSplits
    judge: Judge
    reporter: Reporter

    def run(self, study: Study, trial: "optuna.Trial") -> None:
        """Train and score the trial's configuration at its next rung; it ends at the last one."""
        config = self.configure(study.space.values_of(trial.params))
        try:
            rungs = self.rungs(config)
        except UsageError as error:  # a combination that no check of single values has shown
            study.end(trial, None, f"refused: {error}")
            return
        rung = study.rung(trial)
        if not rung:
            self.reporter.line(f"trial {trial.number}: {words(trial.params)}")
        score = self.score(config, rungs[rung])
        if score.value is None:
            study.end(trial, None, score.ended)
            return
        self.reporter.line(
            f"trial {trial.number}: {self.objective.words} {score.value:.4f} at step {rungs[rung]:,}"
        )
        if rung + 1 == len(rungs):
            study.end(trial, score.value)
            return
        trial.report(score.value, rung)
        if score.ended:
            study.end(trial, None, score.ended)

    def rungs(self, config: TrainConfig) -> tuple[int, ...]:
        """The steps after which it is scored; the last are those of its budget. Raises UsageError: not valid."""
        checked = check(config, self.splits.train, self.splits.labelled)
        total = step_budget(checked, len(self.splits.train)).total_steps
        if total is None:
            raise UsageError("--minutes: a trial is scored after steps; give --steps or --epochs")
        rungs = self.config.rungs if self.config.prune else 1
        shares = (self.config.reduction**power for power in reversed(range(rungs)))
        return tuple(sorted({max(1, round(total / share)) for share in shares}))

    def identity(self, config: TrainConfig) -> str:
        """Name of a configuration's run folder: the same where its images lie elsewhere."""
        named = identified(config.data, self.splits.fingerprint, self.splits.unlabelled_folder)
        text = resolve.dump(dataclasses.replace(config, data=named))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def score(self, config: TrainConfig, steps: int) -> Score:
        """Train up to a step and score, or read what another trial has found of the same configuration.

        Where another process is at it, wait: several trials may have the same values.
        """
        name = self.identity(config)
        place = self.out / SCORES / f"{name}.json"
        with lock_folder(self.out / TRIALS / name, wait=True):
            known = read_json(place)["scores"] if place.is_file() else {}
            if str(steps) not in known:
                found = self._train_and_score(config, steps)
                known[str(steps)] = vars(found)
                write_json(place, {"kind": "scores of a trial", "scores": known})
        return Score(**known[str(steps)])

    def _train_and_score(self, config: TrainConfig, steps: int) -> Score:
        run = self.out / RUNS / self.identity(config)
        try:
            model = fit_generator(
                config,
                self.splits.train,
                run,
                fingerprint=self.splits.fingerprint,
                validation=self.splits.validation,
                until=steps,
                reporter=self.reporter,
            )
            value = self.objective.score(self.judge, model, config)
        except OutcomeError as error:
            return Score(steps, None, str(error).removeprefix(f"{run}: "))
        # Before that step healthy generators look collapsed too.
        collapsed = steps >= FROM_STEP and RunFolder(run).state().get("collapsed", False)
        return Score(steps, value, f"{COLLAPSED} at step {steps:,}" if collapsed else "")


def words(params: Mapping[str, Any]) -> str:
    """A trial's values, as they are typed."""
    shown = (f"{value:.4g}" if isinstance(value, float) else str(value) for value in params.values())
    return ", ".join(f"{key.partition('.')[2]}={value}" for key, value in zip(params, shown, strict=True))
