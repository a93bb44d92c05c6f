"""One process's work on a run: train, log, look, save, stop, and leave a folder that can always be continued."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gangda.config import catalog
from gangda.config.schema import TrainConfig
from gangda.data.images import LabelledImages
from gangda.errors import OutcomeError, RunError
from gangda.runtime.device import DeviceContext
from gangda.runtime.progress import Reporter
from gangda.runtime.runs import RunFolder
from gangda.runtime.signals import StopRequest
from gangda.training.artifacts import ArtifactWriter
from gangda.training.budget import Stopwatch, make_schedule
from gangda.training.checkpoints import Checkpoints, fresh_state
from gangda.training.image_batches import ResidentImages
from gangda.training.loop import StepRecord, TrainState, make_game, steps
from gangda.training.metrics_logger import LOG_EVERY, NotFiniteError, refuse_lost_weights
from gangda.training.monitor.sample_monitor import due
from gangda.training.result import TrainResult, count_parameters
from gangda.training.saved_model import model_is_whole
from gangda.training.worker_ranks import hand_over


@dataclass(eq=False)
class TrainingRun:
    """One process's work on a run: everything between taking the folder and leaving it."""

    config: TrainConfig
    images: LabelledImages
    validation: LabelledImages
    folder: RunFolder
    context: DeviceContext
    fingerprint: str
    reporter: Reporter
    stop: StopRequest

    def __post_init__(self) -> None:
        self.keeper = ArtifactWriter(self.config, self.images, self.folder, self.context, self.fingerprint)
        self.schedule = make_schedule(self.config, len(self.images))
        self.kept = Checkpoints(
            self.config,
            self.images,
            self.validation,
            self.folder,
            self.context,
            self.fingerprint,
            self.reporter,
            self.schedule,
        )

    def fit(self) -> TrainResult:
        """Train to the budget's end, saving on the way; on a signal, save and raise."""
        recorded = self.folder.state()
        whole = recorded["finished"] and model_is_whole(self.folder.path, recorded.get("steps", 0))
        if whole and not self.folder.checkpoints():
            return self._without_checkpoints(recorded)
        state = self.kept.restore()
        if recorded["finished"] and self.schedule.done(state.step, self.kept.clock.seconds):
            self._refuse_collapse(state.step, recorded.get("collapsed", False))
            if whole:
                return self._result(state, tuple(recorded.get("alarms", ())), recorded.get("best_step"))
            self.reporter.line(f"{self.folder.path}: its model is missing or damaged; it is written again")
        self._refuse_collapse(state.step, self.kept.lookout.collapsed)
        self.kept.write_state(state, finished=False)
        if state.step or state.pretrained:
            self.reporter.line(f"{self.folder.path}: going on from {_place(state)}")
        while True:
            try:
                self._run_steps(state)
                return self._finish(state)
            except NotFiniteError as error:
                state = self.kept.step_back(error)
            finally:
                self.kept.journal.close()

    def _without_checkpoints(self, recorded: Mapping[str, Any]) -> TrainResult:
        """Of a finished run whose checkpoints somebody has removed: it is not trained again for nothing.

        Raises:
            RunError: it is asked to go on.
        """
        steps, seconds = recorded.get("steps", 0), recorded.get("seconds", 0.0)
        if not self.schedule.done(steps, seconds):
            raise RunError(
                f"{self.folder.path}: is finished and cannot go on, as its checkpoints are gone; put them back, or "
                "choose another --out"
            )
        self._refuse_collapse(steps, recorded.get("collapsed", False))
        state = fresh_state(self.config, self.images, self.context)
        state.step, self.kept.clock = steps, Stopwatch(seconds)
        return self._result(state, tuple(recorded.get("alarms", ())), recorded.get("best_step"))

    def fit_closed_form(self) -> TrainResult:
        """Architectures that are fitted, not trained."""
        with self.stop.at_once(
            f"{self.folder.path}: stopped before the fit was done; run the same command again"
        ):
            generator = catalog.builder("architecture", catalog.ARCHITECTURES, self.config.arch)(
                self.config.spec, self.images
            ).to(self.context.device)
            self.keeper.save_model(generator, 0)
            self.keeper.save_grid(generator, 0)
        seconds = self.kept.clock.seconds
        self.folder.write_state(finished=True, steps=0, seconds=seconds, fingerprint=self.fingerprint)
        return TrainResult(self.folder.path, self.config.arch, 0, seconds, 0.0, True, {"generator": 0})

    def _run_steps(self, state: TrainState) -> None:
        """The loop itself: log, look, save and stop at the right steps."""
        self.kept.journal.open(state.step, state.pretrained)
        if self.schedule.done(state.step, self.kept.clock.seconds):
            return
        game = make_game(self.config.spec, state.networks, self.config.recipe)
        resident = ResidentImages(self.images, self.kept.stream_seed, self.context)
        hand_over(state, self.kept.stream_seed, self.context)
        for record in steps(state, game, resident, self.config.recipe, self.context, self.schedule.wanted):
            done = self.schedule.done(record.step, self.kept.clock.seconds)
            self.kept.journal.note(record)
            write, save = (
                (self._log, self._checkpoint) if record.step else (self._log_turn, self._checkpoint_turn)
            )
            number = record.step or state.pretrained
            if number % LOG_EVERY == 0 or number == 1 or done:
                write(record, state)
            stopping = bool(self.stop)  # asked once: what is said to be saved must be saved
            if self.schedule.regular(number) or done or stopping:
                save(state)
            if stopping:
                raise self.stop.error(
                    f"{self.folder.path}: stopped at {_place(state)}, all saved; run the same command to go on"
                )
            if done:
                return
            self.stop.hear(self.context.ranks.sync_signal(signal=self.stop.signal or 0)[0])

    def _log(self, record: StepRecord, state: TrainState) -> None:
        """A line in the log, and where the run is."""
        seconds = self.kept.clock.seconds
        self.kept.journal.write(record, state.networks, seconds)
        done, total = self.schedule.progress(record.step, seconds)
        rate = record.images / max(seconds, 1e-9)
        self.reporter.step(f"training {self.config.arch}", done, total, f"{rate:,.0f} images/s")

    def _log_turn(self, record: StepRecord, state: TrainState) -> None:
        """The same in the discriminator's pre-training."""
        turn = state.pretrained
        self.kept.journal.write_turn(turn, self.kept.clock.seconds)
        self.reporter.step(f"pre-training {self.config.arch}", turn, self.config.recipe.d_pretrain)

    def _checkpoint_turn(self, state: TrainState) -> None:
        """Save within the pre-training; there is nothing to draw or to look at yet."""
        refuse_lost_weights({"discriminator": state.networks.discriminator}, state.step)
        self.kept.save(state, self.kept.journal.dump(state.step))

    def _checkpoint(self, state: TrainState) -> None:
        """See that all is well, draw, look if it is time, save; stop here if the samples have collapsed."""
        networks = {"generator": state.ema, "discriminator": state.networks.discriminator}
        refuse_lost_weights(networks, state.step)
        figures = self.kept.journal.dump(state.step)
        # Grid first: a checkpoint without its grid could not be told from a finished save.
        self.keeper.save_grid(state.ema, state.step)
        looks = due(state.step, self.schedule.every)
        if looks:
            with self.kept.clock.paused():
                self.kept.lookout.look(state.ema, state.step, self.kept.journal.course)
        self.kept.save(state, figures)
        if looks and self.config.budget.stop_when_collapsed and self.kept.lookout.collapsed:
            self._save_model(state)
            self.kept.write_state(state, finished=False)
            self._refuse_collapse(state.step, collapsed=True)

    def _finish(self, state: TrainState) -> TrainResult:
        """Model, GIF, and a last look; the checkpoint knows nothing of it, so that a longer run is the same run."""
        with self.kept.clock.paused():
            self.kept.lookout.finish(state.ema, state.step, self.kept.journal.course)
        self._save_model(state)
        self.keeper.save_grid(state.ema, state.step)
        self.keeper.save_animation(lambda step: self.schedule.regular(step) or step == state.step)
        self.kept.write_state(state, finished=True)
        self._refuse_collapse(state.step, self.kept.lookout.collapsed)
        alarms = tuple(str(alarm) for alarm in self.kept.lookout.alarms)
        return self._result(state, alarms, self.kept.lookout.best_step)

    def _save_model(self, state: TrainState) -> None:
        best = self.kept.lookout.best or None
        self.keeper.save_model(
            state.ema, state.step, state.networks.discriminator, best, self.kept.lookout.best_step
        )

    def _refuse_collapse(self, step: int, collapsed: bool) -> None:
        """Stop where the user wants to.

        Raises:
            OutcomeError: the samples have collapsed, and --stop-when-collapsed is on.
        """
        if collapsed and self.config.budget.stop_when_collapsed:
            raise OutcomeError(
                f"{self.folder.path}: stopped at step {step}: mode collapse, see metrics.jsonl; all is saved. "
                "Change the recipe in another --out, or go on with --resume --no-stop-when-collapsed"
            )

    def _result(self, state: TrainState, alarms: tuple[str, ...], best_step: int | None) -> TrainResult:
        parameters = {
            "generator": count_parameters(state.networks.generator),
            "discriminator": count_parameters(state.networks.discriminator),
        }
        seconds = self.kept.clock.seconds
        return TrainResult(
            run=self.folder.path,
            arch=self.config.arch,
            steps=state.step,
            seconds=seconds,
            images_per_second=state.step * self.config.recipe.images_per_step / max(seconds, 1e-9),
            finished=True,
            parameters=parameters,
            alarms=alarms,
            looking_seconds=self.kept.lookout.seconds,
            best_step=best_step,
        )


def _place(state: TrainState) -> str:
    """How far a run is, in words."""
    return f"step {state.step}" if state.step else f"turn {state.pretrained} of pre-training"
