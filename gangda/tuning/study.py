"""The trials of a study, in Optuna's journal file, which any number of processes share.

A trial is trained and scored from rung to rung (numbers of steps), and rests between two of them: it counts as running
for Optuna, as nobody can go on with one that has ended. Whoever works on one holds the lock of its folder, which the
system releases when the process ends. So a trial that runs and whose lock is free rests, or was lost with its process;
either way it keeps its number.
"""

import contextlib
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gangda.config.schema import TuneConfig
from gangda.errors import UsageError
from gangda.runtime.locks import is_locked, lock_folder
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
    chance: float | None = None  # a score that something that has learned nothing may reach

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
        )

    def trials(self, *states: str) -> list["optuna.trial.FrozenTrial"]:
        """Those in one of these states, by Optuna's names of them."""
        return [one for one in self.optuna_study.get_trials(deepcopy=False) if one.state.name in states]

    @contextlib.contextmanager
    def take(self) -> Iterator["optuna.Trial | None"]:
        """The trial to work on next, held while the block lasts; None where there is nothing to do for this process.

        What was lost with its process comes first, then what may go on to its next rung, then what is left of a grid,
        or what the sampler proposes.
        """
        with ExitStack() as held:
            with lock_folder(self.out, wait=True):
                trial = self._next()
                if trial is not None:
                    held.enter_context(lock_folder(self._folder(trial.number)))
            yield trial

    def _folder(self, number: int) -> Path:
        return self.out / TRIALS / f"{number:05d}"

    def resting(self) -> list["optuna.trial.FrozenTrial"]:
        """Trials that have not ended, and nobody is working on."""
        return [one for one in self.trials("RUNNING") if not is_locked(self._folder(one.number))]

    def rung(self, trial: "optuna.Trial") -> int:
        """How often a trial has been scored."""
        return len(self.optuna_study.get_trials(deepcopy=False)[trial.number].intermediate_values)

    def _next(self) -> "optuna.Trial | None":
        study, optuna, resting = self.optuna_study, load_optuna(), self.resting()
        keys = {one.key for one in self.space.dimensions}
        for lost in [one for one in resting if one.params.keys() != keys]:  # while it was being asked for
            study.tell(lost.number, state=optuna.trial.TrialState.FAIL)
            resting.remove(lost)
        known = self.trials("COMPLETE", "PRUNED", "RUNNING")
        is_last = len(known) >= trial_count(self.config, self.space)
        ready = [one for one in resting if not one.intermediate_values]
        if ready := ready or self._promoted(known, resting, is_last):
            return optuna.Trial(study, ready[0]._trial_id)  # type: ignore[no-any-return]
        if is_last:
            return None
        distributions = {one.key: distribution(one) for one in self.space.dimensions}
        if not self.trials("WAITING"):  # enqueued by a process that ended before it asked
            study.enqueue_trial(self._proposed(known, resting, distributions))
        return study.ask(distributions)

    def _promoted(
        self,
        known: Sequence["optuna.trial.FrozenTrial"],
        resting: Sequence["optuna.trial.FrozenTrial"],
        is_last: bool,
    ) -> list["optuna.trial.FrozenTrial"]:
        """Resting trials that go on, the best first: in the better half of those scored at their rung.

        Rounded up where no more will be scored there; all of them where the best is no better than chance. Where no
        sampler learns from it, nothing goes on before all trials have begun (`is_last`).
        """
        if not is_last and self.config.search != "tpe":
            return []
        sign, here = 1 if self.direction == "minimize" else -1, {one.number for one in resting}
        rungs = range(self.config.rungs - 1)
        for rung in rungs if is_last else reversed(rungs):
            # A collapse takes nobody's place.
            open_ones = [one for one in known if one.state.name != "PRUNED"]
            scored = [one for one in open_ones if rung in one.intermediate_values]
            ranked = sorted((_worst_last(sign * one.intermediate_values[rung]), one.number) for one in scored)
            coming = any(
                one.state.name == "RUNNING" and one.number not in here and rung not in one.intermediate_values
                for one in known
            )
            count = -(-len(ranked) // 2) if is_last and not coming else len(ranked) // 2
            if ranked and self.chance is not None and ranked[0][0] >= sign * self.chance:
                count = len(ranked)
            order = [number for _, number in ranked[:count]]
            ready = [one for one in resting if one.number in order and max(one.intermediate_values) == rung]
            if ready:
                return sorted(ready, key=lambda one: order.index(one.number))
        return []

    def _proposed(
        self,
        known: Sequence["optuna.trial.FrozenTrial"],
        resting: Sequence["optuna.trial.FrozenTrial"],
        distributions: Mapping[str, Any],
    ) -> dict[str, Any]:
        """The values of a new trial: the next of a grid, or the sampler's, for which a resting trial was pruned."""
        tried = [one.params for one in known]
        if left := [one for one in self._grid() if one not in tried]:
            return left[0]
        # The seed depends on the number of trials: processes that start at once do not all try the same.
        number, optuna = len(self.optuna_study.get_trials(deepcopy=False)), load_optuna()
        sampler = self._sampler(seed_for(self.seed, "tune", number) % SEED32)
        view = optuna.create_study(direction=self.direction, sampler=sampler)
        here = [one.number for one in resting]
        for one in known:
            view.add_trial(
                optuna.trial.create_trial(
                    state=optuna.trial.TrialState.PRUNED if one.number in here else one.state,
                    value=one.value,
                    params=one.params,
                    distributions=one.distributions,
                    intermediate_values=one.intermediate_values,
                )
            )
        return view.ask(distributions).params  # type: ignore[no-any-return]

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


def _worst_last(value: float) -> float:
    return math.inf if math.isnan(value) else value


def distribution(one: Dimension) -> Any:
    """Optuna's object for an option's values."""
    distributions = load_optuna().distributions
    if isinstance(one, Choice):
        return distributions.CategoricalDistribution(list(one.values))
    if one.whole:
        return distributions.IntDistribution(int(one.low), int(one.high), one.log, int(one.step or 1))
    return distributions.FloatDistribution(one.low, one.high, one.log, one.step)
