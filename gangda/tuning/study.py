"""The trials of a study, in Optuna's journal file, which any number of processes share.

Whoever takes a trial holds the lock of its folder, which the system releases when the process ends: a trial that counts
as running and whose lock is free was lost, and its configuration is tried again.
"""

import contextlib
import functools
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gangda.config.schema import TuneConfig
from gangda.errors import RunError, UsageError
from gangda.runtime.locks import lock_folder
from gangda.runtime.seeding import numpy_stream, seed_for
from gangda.search_spaces import Choice, Dimension, SearchSpace

if TYPE_CHECKING:
    import optuna

JOURNAL, TRIALS = "journal.log", "trials"
TRIES = 20  # configurations where neither --trials nor a grid says how many
REASON, SEED32 = "reason", 2**32


def load_optuna() -> Any:
    """The package; a UsageError where it is not installed."""
    try:
        import optuna
    except ModuleNotFoundError:
        raise UsageError("gangda tune needs Optuna: pip install 'gangda[tune]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def trial_count(config: TuneConfig, space: SearchSpace) -> int:
    """Configurations to try; of a grid not more than there are. Raises UsageError: a grid of a range."""
    if config.search != "grid":
        return config.trials or TRIES
    count = sum(1 for _ in space.grid())
    return min(config.trials or count, count)


@dataclass(eq=False)
class Study:
    """The trials of one search, as they are on disk."""

    out: Path
    space: SearchSpace
    config: TuneConfig
    direction: str
    seed: int
    _held: ExitStack = field(default_factory=ExitStack)

    @functools.cached_property
    def optuna_study(self) -> "optuna.Study":
        """Optuna's view of the journal."""
        optuna = load_optuna()
        backend = optuna.storages.journal.JournalFileBackend(str(self.out / JOURNAL))
        return optuna.create_study(  # type: ignore[no-any-return]
            study_name="gangda",
            storage=optuna.storages.JournalStorage(backend),
            direction=self.direction,
            load_if_exists=True,
            pruner=optuna.pruners.SuccessiveHalvingPruner(1, self.config.reduction),
        )

    def trials(self, *states: str) -> list["optuna.trial.FrozenTrial"]:
        """Those in one of these states, by Optuna's names of them."""
        return [one for one in self.optuna_study.get_trials(deepcopy=False) if one.state.name in states]

    @contextlib.contextmanager
    def take(self) -> Iterator["optuna.Trial | None"]:
        """The next trial, held while the block lasts; None where as many as wanted are finished or being worked on.

        What was lost with its process comes first, then what is left of a grid, then what the sampler proposes.
        """
        with ExitStack() as held:
            with lock_folder(self.out, wait=True):
                self._free_lost()
                taken = len(self.trials("COMPLETE", "PRUNED", "RUNNING"))
                trial = None
                if taken < trial_count(self.config, self.space):
                    trial = self._next()
                    held.enter_context(lock_folder(self._folder(trial.number)))
            yield trial

    def _folder(self, number: int) -> Path:
        return self.out / TRIALS / f"{number:05d}"

    def _free_lost(self) -> None:
        """Mark trials as failed whose process has ended; only these ever fail."""
        for trial in self.trials("RUNNING"):
            with contextlib.suppress(RunError), lock_folder(self._folder(trial.number)):
                self.optuna_study.tell(trial.number, state=load_optuna().trial.TrialState.FAIL)

    def _next(self) -> "optuna.Trial":
        study, params = (
            self.optuna_study,
            [one.params for one in self.trials("COMPLETE", "PRUNED", "RUNNING")],
        )
        asked = [one.system_attrs.get("fixed_params") for one in self.trials("WAITING")]
        lost = [one.params for one in self.trials("FAIL") if one.params not in [*params, *asked]]
        wanted = [*lost, *(one for one in self._grid() if one not in params)]
        if wanted and not asked:
            study.enqueue_trial(wanted[0])
        # The seed depends on the number of trials: processes that start at once do not all try the same.
        number = len(study.get_trials(deepcopy=False))
        study.sampler = self._sampler(seed_for(self.seed, "tune", number) % SEED32)
        return study.ask({one.key: distribution(one) for one in self.space.dimensions})

    def _grid(self) -> list[dict[str, Any]]:
        """All combinations in an order drawn by seed; none where another way to search is asked for."""
        if self.config.search != "grid":
            return []
        cells = list(self.space.grid())
        return [cells[at] for at in numpy_stream(self.seed, "tune", "grid").permutation(len(cells))]

    def _sampler(self, seed: int) -> Any:
        samplers = load_optuna().samplers
        if self.config.search == "tpe":
            return samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)
        return samplers.RandomSampler(seed=seed)

    def report(self, trial: "optuna.Trial", rung: int, value: float) -> bool:
        """Record a trial's score at a rung, from 0; whether it is among the best there, or pruning is off."""
        trial.report(value, self.config.reduction**rung)
        return not (self.config.prune and trial.should_prune())

    def end(self, trial: "optuna.Trial", value: float | None, reason: str = "") -> None:
        """Record the result of a trial; without a value it was pruned, for this reason."""
        states = load_optuna().trial.TrialState
        if value is not None:
            self.optuna_study.tell(trial, value)
            return
        trial.set_user_attr(REASON, reason)
        self.optuna_study.tell(trial, state=states.PRUNED)

    def importance(self) -> Mapping[str, float]:
        """The share of each option in how finished trials differ (fANOVA, Hutter 2014); none of too few trials."""
        finished = self.trials("COMPLETE")
        varied = [one for one in self.space.dimensions if len({str(t.params[one.key]) for t in finished}) > 1]
        if len(finished) < 4 or not varied or len({trial.value for trial in finished}) < 2:
            return {}
        evaluator = load_optuna().importance.FanovaImportanceEvaluator(
            seed=seed_for(self.seed, "tune", "importance") % SEED32
        )
        found: dict[str, float] = load_optuna().importance.get_param_importances(
            self.optuna_study, evaluator=evaluator, params=[one.key for one in varied]
        )
        return found


def distribution(one: Dimension) -> Any:
    """Optuna's object for an option's values."""
    distributions = load_optuna().distributions
    if isinstance(one, Choice):
        return distributions.CategoricalDistribution(list(one.values))
    if one.whole:
        return distributions.IntDistribution(int(one.low), int(one.high), one.log, int(one.step or 1))
    return distributions.FloatDistribution(one.low, one.high, one.log, one.step)
