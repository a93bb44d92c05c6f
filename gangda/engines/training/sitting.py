"""One process's work on a run: train, log, look, save, stop, and leave a folder that can always be continued."""

from dataclasses import dataclass, field
from typing import Any

import torch

from gangda import catalog
from gangda.configs import TrainConfig
from gangda.data.images import LabelledImages
from gangda.engines.training.journal import LOG_EVERY, Journal, NotFiniteError, refuse_lost_weights
from gangda.engines.training.lookout import Lookout, due
from gangda.engines.training.outcome import TrainResult, count_parameters
from gangda.engines.training.saving import Keeper
from gangda.engines.training.schedule import Stopwatch, make_schedule
from gangda.errors import RunError
from gangda.moves.loop import ResidentImages, StepRecord, TrainState, make_game, new_state, steps
from gangda.moves.model import build_networks
from gangda.runtime.device import Machine
from gangda.runtime.progress import Reporter
from gangda.runtime.runs import RunFolder
from gangda.runtime.seeding import seed_device, seed_for
from gangda.runtime.signals import StopRequest


@dataclass(eq=False)
class Sitting:
    """One process's work on a run: everything between taking the folder and leaving it.

    `rollbacks` counts how often the run went back to a checkpoint because a figure was no number; it changes the
    random streams, so that the same does not happen again.
    """

    config: TrainConfig
    images: LabelledImages
    validation: LabelledImages
    folder: RunFolder
    machine: Machine
    fingerprint: str
    reporter: Reporter
    stop: StopRequest
    rollbacks: int = 0
    clock: Stopwatch = field(default_factory=Stopwatch)

    def __post_init__(self) -> None:
        self.keeper = Keeper(self.config, self.images, self.folder, self.machine, self.fingerprint)
        self.schedule = make_schedule(self.config, len(self.images))
        self._forget()

    def _forget(self) -> None:
        """Begin the log and the looks afresh."""
        path = self.folder.path
        self.journal = Journal(path / "metrics.jsonl", len(self.images))
        self.lookout = Lookout(
            self.images,
            self.validation,
            seed=self.config.runtime.seed,
            machine=self.machine,
            cache=path / "lookout",
            reporter=self.reporter,
            tell=self.journal.tell,
            transition=self.config.recipe.transition,
        )

    def fit(self) -> TrainResult:
        """Train to the budget's end, saving on the way; on a signal, save and raise."""
        recorded = self.folder.state()
        state = self._fresh_state()
        self._restore(state)
        if recorded["finished"] and self.schedule.done(state.step, self.clock.seconds):
            self._refuse_collapse(state.step, recorded.get("collapsed", False))
            return self._result(state, tuple(recorded.get("alarms", ())), recorded.get("best_step"))
        self._refuse_collapse(state.step, self.lookout.collapsed)
        self._write_state(state, finished=False)
        if state.step or state.pretrained:
            self.reporter.line(f"{self.folder.path}: going on from {_place(state)}")
        while True:
            try:
                self._run_steps(state)
                return self._finish(state)
            except NotFiniteError as error:
                state = self._step_back(error)
            finally:
                self.journal.close()

    def fit_closed_form(self) -> TrainResult:
        """Architectures that are fitted, not trained."""
        generator = catalog.builder("architecture", catalog.ARCHITECTURES, self.config.arch)(
            self.config.spec, self.images
        ).to(self.machine.device)
        self.keeper.save_model(generator, 0)
        self.keeper.save_grid(generator, 0)
        seconds = self.clock.seconds
        self.folder.write_state(finished=True, steps=0, seconds=seconds, fingerprint=self.fingerprint)
        return TrainResult(self.folder.path, self.config.arch, 0, seconds, 0.0, True, {"generator": 0})

    def _fresh_state(self) -> TrainState:
        seed_device(torch.device("cpu"), self.config.runtime.seed, "networks")
        shape, classes = self.images.image_shape, self.images.num_classes
        networks = build_networks(self.config.arch, self.config.spec, shape, classes)
        return new_state(networks, self.config.recipe, self.machine)

    def _restore(self, state: TrainState, regular: bool = False) -> None:
        """Take over the newest whole checkpoint (`regular`: of those at regular steps), if there is one."""
        saved, complaints = self.folder.load_checkpoint(self.schedule.regular if regular else None)
        for complaint in complaints:
            self.reporter.line(complaint)
        if saved is None:
            self.clock = Stopwatch()
            return
        try:
            state.load(saved)
            self.journal.load(saved["journal"])
            self.lookout.load(saved["lookout"])
            self.rollbacks = int(saved["rollbacks"])
        except KeyError as error:  # what is saved has grown
            raise RunError(
                f"{self.folder.path}: its checkpoints were made by an older gangda; start again in another --out"
            ) from error
        except (RuntimeError, ValueError) as error:
            raise RunError(
                f"{self.folder.path}: its checkpoints are of other networks; start again in another --out"
            ) from error
        self.clock = Stopwatch(float(saved["seconds"]))

    def _run_steps(self, state: TrainState) -> None:
        """The loop itself: log, look, save and stop at the right steps."""
        self.journal.open(state.step, state.pretrained)
        if self.schedule.done(state.step, self.clock.seconds):
            return
        game = make_game(self.config.spec, state.networks, self.config.recipe)
        resident = ResidentImages(self.images, self._stream_seed(), self.machine)
        for record in steps(state, game, resident, self.config.recipe, self.machine, self.schedule.wanted):
            done = self.schedule.done(record.step, self.clock.seconds)
            self.journal.note(record)
            if record.step:
                self._after_step(record, state, done)
            else:
                self._after_turn(state, done)
            if self.stop:
                raise self.stop.error(
                    f"{self.folder.path}: stopped at {_place(state)}, all saved; run the same command to go on"
                )
            if done:
                return

    def _after_step(self, record: StepRecord, state: TrainState, done: bool) -> None:
        """Log and save where it is time."""
        if record.step % LOG_EVERY == 0 or done or record.step == 1:
            self._log(record, state)
        if self.schedule.regular(record.step) or done or self.stop:
            self._checkpoint(state)

    def _after_turn(self, state: TrainState, done: bool) -> None:
        """The same in the discriminator's pre-training; there is nothing to draw or to look at yet."""
        turn, all_turns = state.pretrained, self.config.recipe.d_pretrain
        if turn % LOG_EVERY == 0 or done or turn == 1:
            self.journal.write_turn(turn, self.clock.seconds)
            self.reporter.step(f"pre-training {self.config.arch}", turn, all_turns)
        if self.schedule.regular(turn) or done or self.stop:
            refuse_lost_weights({"discriminator": state.networks.discriminator}, state.step)
            self._save(state, self.journal.dump(state.step))

    def _stream_seed(self) -> int:
        seed = self.config.runtime.seed
        return seed_for(seed, "rollback", self.rollbacks) if self.rollbacks else seed

    def _log(self, record: StepRecord, state: TrainState) -> None:
        seconds = self.clock.seconds
        self.journal.write(record, state.networks, seconds)
        done, total = self.schedule.progress(record.step, seconds)
        rate = record.images / max(seconds, 1e-9)
        self.reporter.step(f"training {self.config.arch}", done, total, f"{rate:,.0f} images/s")

    def _checkpoint(self, state: TrainState) -> None:
        """See that all is well, draw, look if it is time, save; stop here if the samples have collapsed."""
        networks = {"generator": state.ema, "discriminator": state.networks.discriminator}
        refuse_lost_weights(networks, state.step)
        figures = self.journal.dump(state.step)
        # Grid first: a checkpoint without its grid could not be told from a finished save.
        self.keeper.save_grid(state.ema, state.step)
        looks = due(state.step, self.schedule.every)
        if looks:
            with self.clock.paused():
                self.lookout.look(state.ema, state.step, self.journal.course)
        self._save(state, figures)
        if looks and self.config.budget.stop_when_collapsed and self.lookout.collapsed:
            self._save_model(state)
            self._write_state(state, finished=False)
            self._refuse_collapse(state.step, collapsed=True)

    def _save(self, state: TrainState, journal: dict[str, Any]) -> None:
        own = {"journal": journal, "lookout": self.lookout.dump(), "rollbacks": self.rollbacks}
        self.folder.save_checkpoint(
            state.step, {**state.dump(), **own, "seconds": self.clock.seconds}, lasting=self.schedule.regular
        )

    def _step_back(self, error: NotFiniteError) -> TrainState:
        """Go back to the last good checkpoint (or the start), once, with other random streams from there on.

        Raises:
            RunError: it was done before.
        """
        if self.rollbacks:
            raise RunError(
                f"{self.folder.path}: {error}, and the run went back to a good checkpoint before; "
                "lower --lr or raise --r1 in another --out (the last good checkpoint is kept)"
            ) from None
        seconds = self.clock.seconds
        self.journal.close()
        self._forget()
        state = self._fresh_state()
        self._restore(state, regular=True)
        self.clock = Stopwatch(seconds)  # the lost steps have taken time all the same
        self.rollbacks = 1
        self.folder.drop_checkpoints(after=state.step)
        self._save(state, self.journal.dump(state.step))
        self.journal.open(state.step)
        self.journal.tell(state.step, {"rollback": self.rollbacks, "reason": str(error)})
        self.journal.close()
        self.reporter.line(
            f"ALARM: {error}: back to step {state.step}, and on with other random numbers; lower --lr if it comes again"
        )
        return state

    def _finish(self, state: TrainState) -> TrainResult:
        """Model, GIF, and a last look; the checkpoint knows nothing of it, so that a longer run is the same run."""
        with self.clock.paused():
            self.lookout.finish(state.ema, state.step, self.journal.course)
        self._save_model(state)
        self.keeper.save_grid(state.ema, state.step)
        self.keeper.save_animation()
        self._write_state(state, finished=True)
        self._refuse_collapse(state.step, self.lookout.collapsed)
        alarms = tuple(str(alarm) for alarm in self.lookout.alarms)
        return self._result(state, alarms, self.lookout.best_step)

    def _save_model(self, state: TrainState) -> None:
        best = self.lookout.best or None
        self.keeper.save_model(
            state.ema, state.step, state.networks.discriminator, best, self.lookout.best_step
        )

    def _write_state(self, state: TrainState, finished: bool) -> None:
        self.folder.write_state(
            finished=finished,
            steps=state.step,
            seconds=self.clock.seconds,
            looking_seconds=self.lookout.seconds,
            fingerprint=self.fingerprint,
            best_step=self.lookout.best_step,
            collapsed=self.lookout.collapsed,
            alarms=[str(alarm) for alarm in self.lookout.alarms],
        )

    def _refuse_collapse(self, step: int, collapsed: bool) -> None:
        """Stop where the user wants to.

        Raises:
            RunError: the samples have collapsed, and --stop-when-collapsed is on.
        """
        if collapsed and self.config.budget.stop_when_collapsed:
            raise RunError(
                f"{self.folder.path}: stopped at step {step}: mode collapse, see metrics.jsonl; all is saved. "
                "Change the recipe in another --out, or go on with --resume --no-stop-when-collapsed"
            )

    def _result(self, state: TrainState, alarms: tuple[str, ...], best_step: int | None) -> TrainResult:
        parameters = {
            "generator": count_parameters(state.networks.generator),
            "discriminator": count_parameters(state.networks.discriminator),
        }
        seconds = self.clock.seconds
        return TrainResult(
            run=self.folder.path,
            arch=self.config.arch,
            steps=state.step,
            seconds=seconds,
            images_per_second=state.step * self.config.recipe.images_per_step / max(seconds, 1e-9),
            finished=True,
            parameters=parameters,
            alarms=alarms,
            looking_seconds=self.lookout.seconds,
            best_step=best_step,
        )


def _place(state: TrainState) -> str:
    """How far a run is, in words."""
    return f"step {state.step}" if state.step else f"turn {state.pretrained} of pre-training"
