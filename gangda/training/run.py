"""`TrainingRun`: one process's session of training; it leaves a folder that can always be continued."""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gangda.config.fields import recorded
from gangda.config.schema import TrainConfig
from gangda.data.images import NO_LABEL, PSEUDO_LABELLED, LabelledImages
from gangda.data.paths import located
from gangda.errors import OutcomeError, RunError
from gangda.runtime.device import DeviceContext
from gangda.runtime.distributed import LOAD_STATE
from gangda.runtime.plain import to_plain
from gangda.runtime.progress import Reporter
from gangda.runtime.runs import RunFolder
from gangda.runtime.seeding import seed_for
from gangda.runtime.signals import StopRequest
from gangda.training import preview
from gangda.training.budget import Stopwatch, step_budget
from gangda.training.initial_weights import InitialWeights, Started
from gangda.training.loop import StepRecord
from gangda.training.memory import check_memory
from gangda.training.method import make_method
from gangda.training.metrics_logger import MetricsLogger, NotFiniteError, is_logged, refuse_lost_weights
from gangda.training.monitor.sample_monitor import SampleMonitor
from gangda.training.result import TrainResult, count_parameters
from gangda.training.saved_model import ModelCard, model_is_whole, save_model
from gangda.training.semi_supervised import with_labels
from gangda.training.state import Stateful, TrainState, new_state, restore
from gangda.training.worker_ranks import training_steps


@dataclass(eq=False)
class TrainingRun:
    """One process's session of training in a folder that it holds locked: train, log, evaluate, save, stop.

    `clock` has the training time, earlier sessions included. `rollbacks` counts returns to a checkpoint because a value
    was NaN or infinite; it changes the random streams. `until`: a step at which the session ends before the budget is
    spent, evaluated and with a model; a later session goes on as if it had not.
    """

    config: TrainConfig
    images: LabelledImages
    validation: LabelledImages
    folder: RunFolder
    context: DeviceContext
    fingerprint: str
    reporter: Reporter
    stop: StopRequest
    previews: bool = True  # grids of samples at log-spaced steps too, not at checkpoints alone
    until: int | None = None
    initial: InitialWeights | None = None

    def __post_init__(self) -> None:
        self.budget = step_budget(self.config, len(self.images))
        self.started: Started | None = None
        self._reset()

    def _reset(self) -> None:
        """Begin the log, the monitor and the clock anew."""
        path, self.clock, self.rollbacks = self.folder.path, Stopwatch(), 0
        board = path / "tensorboard" if self.config.budget.log == "tensorboard" else None
        self.logger = MetricsLogger(path / "metrics.jsonl", len(self.images), tensorboard=board)
        self.monitor = SampleMonitor(
            self.config,
            with_labels(self.images),
            self.validation,
            self.context,
            cache=path / "monitor",
            reporter=self.reporter,
            logger=self.logger,
        )

    def fit(self) -> TrainResult:
        """Train to the end of the budget; after a signal, save and raise. A finished run is only reported.

        Raises RunError: what the folder holds cannot be continued; OutcomeError: training failed; StoppedError,
        InterruptedByUserError: a signal came; everything is saved.
        """
        if (result := self._earlier_result()) is not None:
            return result
        if not self.context.ranks.many:
            check_memory(self.config, self.images, self.context)
        state = self._restore()
        self._refuse_collapse(state.step, self.monitor.collapsed)
        finished = self.folder.state()["finished"]
        if not finished:  # a finished run's last grid stays, however far it is continued
            preview.drop_grids(self.folder.path / "samples", state.step, self._has_grid)
        self._write_result(state, finished=False)
        if not (state.step or state.pretrained) and self._has_grid(0):
            self._save_grid(state)
        if state.step or state.pretrained:
            self.reporter.line(f"{self.folder.path}: going on from {_place(state)}")
        elif self.started is not None:
            self.reporter.line(self.started.sentence())
        while True:
            try:
                self.logger.open(state.step, state.pretrained)
                if not self._ends_at(state.step):
                    for record in self._start_steps(state):
                        if self._after_step(state, record):
                            break
                return self._finish(state)
            except NotFiniteError as error:
                state = self._roll_back(error)
            finally:
                self.logger.close()

    def _earlier_result(self) -> TrainResult | None:
        """The result in `run.json`, if the budget is spent and the model undamaged."""
        recorded, path = self.folder.state(), self.folder.path
        if not recorded["finished"]:
            return None
        steps, seconds = recorded.get("steps", 0), recorded.get("seconds", 0.0)
        is_whole = model_is_whole(path, steps)
        if self.budget.spent(steps, seconds):
            self._refuse_collapse(steps, recorded.get("collapsed", False))
            if is_whole:
                with contextlib.suppress(KeyError):  # not as it was written: it is written again
                    return TrainResult.from_recorded(path, recorded)
            self.reporter.line(f"{path}: its model is missing or damaged; it is written again")
        elif is_whole and not self.folder.checkpoints():
            gone = "is finished and cannot go on, as its checkpoints are gone"
            raise RunError(f"{path}: {gone}; put them back, or choose another --out")
        return None

    def _restore(self, *, regular: bool = False) -> TrainState:
        """The state of the newest checkpoint (`regular`: at a regular step), else that before the first step."""
        self._reset()
        with self.clock.paused():  # networks and optimizers take seconds to build and are no training
            self.method = make_method(self.config, self.images, self.context)
            if self.initial is not None:
                self.started = self.initial.load_into(self.method.modules)
            state = new_state(self.method)
        wanted = self.budget.is_regular if regular else None
        restore(self.folder, self._parts(state), self.reporter, wanted)
        return state

    def _parts(self, state: TrainState) -> dict[str, Stateful]:
        """What a checkpoint holds."""
        return {"state": state, "logger": self.logger, "monitor": self.monitor, "run": self}

    def _write_checkpoint(self, state: TrainState) -> None:
        """Of the older checkpoints, the last few at regular steps are kept."""
        values = {name: part.dump() for name, part in self._parts(state).items()}
        self.folder.save_checkpoint(state.step, values, lasting=self.budget.is_regular)

    def dump(self) -> dict[str, Any]:
        """Plain values for a checkpoint: what belongs to none of the other parts."""
        return {"rollbacks": self.rollbacks, "seconds": self.clock.seconds}

    def load(self, values: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        self.rollbacks, self.clock = int(values["rollbacks"]), Stopwatch(float(values["seconds"]))

    def _start_steps(self, state: TrainState) -> Iterator[StepRecord]:
        """The training loop from `state` on, in which the other ranks take part."""
        seed, ranks = self.config.runtime.seed, self.context.ranks
        stream_seed = seed_for(seed, "rollback", self.rollbacks) if self.rollbacks else seed
        loop = training_steps(self.method, state, stream_seed)
        if ranks.many:
            ranks.sync_signal(command=LOAD_STATE)
            ranks.broadcast({"state": state.dump(), "stream_seed": stream_seed})
        return loop

    def _ends_at(self, step: int) -> bool:
        """Whether the session ends after this step: the budget is spent, or `until` reached."""
        reached = self.until is not None and step >= self.until
        return reached or self.budget.spent(step, self.clock.seconds)

    def _after_step(self, state: TrainState, record: StepRecord) -> bool:
        """Log, evaluate and save where that is due; whether the session ends."""
        done = self._ends_at(record.step)
        self.logger.add(record)
        number = record.step or state.pretrained
        if done or is_logged(number):
            seconds, arch = self.clock.seconds, self.config.arch
            self.logger.write(record, state.pretrained, state.modules, seconds)
            if record.step:
                speed = f"{record.images / max(seconds, 1e-9):,.0f} images/s"
                self.reporter.step(f"training {arch}", *self.budget.progress(record.step, seconds), speed)
                self.reporter.curve(f"training {arch}", *self.logger.seen)
            else:
                pretraining = self.config.method.pretraining_steps
                self.reporter.step(f"pre-training {arch}", state.pretrained, pretraining)
        due = done or self.budget.is_regular(number)
        if record.step and not due and self._has_grid(record.step):
            self._save_grid(state)
        stopping = bool(self.stop)  # read once: what is reported as saved must be saved
        if due or stopping:
            self._save_checkpoint(state)
        if stopping:
            what = f"stopped at {_place(state)}, all saved"
            raise self.stop.error(f"{self.folder.path}: {what}; run the same command to go on")
        if not done:
            self.stop.set(self.context.ranks.sync_signal(signal=self.stop.signal or 0)[0])
        return done

    def _save_checkpoint(self, state: TrainState) -> None:
        """Check that all values are finite, save a grid, evaluate if that is due, save; stop here after a collapse."""
        refuse_lost_weights({**state.modules, "generator": state.ema}, state.step)
        self.logger.values(state.step)
        evaluating = self.monitor.is_due(state.step, self.budget.checkpoint_every)
        if state.step:  # grid first: a checkpoint without its grid could not be told from a finished save
            self._save_grid(state)
        if evaluating:
            with self.clock.paused():
                self.monitor.evaluate(state.ema, state.step, self.method.validation_loss)
        self._write_checkpoint(state)
        if evaluating and self.config.budget.stop_when_collapsed and self.monitor.collapsed:
            self._save_model(state)
            self._write_result(state, finished=False)
            self._refuse_collapse(state.step, collapsed=True)

    def _roll_back(self, error: NotFiniteError) -> TrainState:
        """Go back to the last good checkpoint (or the start), once, and on from there with other random streams."""
        if self.rollbacks:
            raise OutcomeError(
                f"{self.folder.path}: {error}, and the run went back to a good checkpoint before; "
                f"{self.config.method.against_divergence} in another --out (the last good checkpoint is kept)"
            ) from None
        seconds = self.clock.seconds  # the lost steps have taken time all the same
        self.logger.close()
        state = self._restore(regular=True)
        self.clock, self.rollbacks = Stopwatch(seconds), 1
        self.folder.drop_checkpoints(after=state.step)
        self.logger.open(state.step)
        self.logger.event(state.step, {"rollback": self.rollbacks, "reason": str(error)})
        self._write_checkpoint(state)
        self.logger.close()
        then = f"back to step {state.step}, and on with other random numbers"
        self.reporter.line(f"ALARM: {error}: {then}; lower --lr if it comes again")
        return state

    def _finish(self, state: TrainState) -> TrainResult:
        """Last evaluation, model and GIF. The checkpoint holds nothing of it, so that a longer run is the same run."""
        with self.clock.paused():
            self.monitor.finish(state.ema, state.step, self.method.validation_loss)
        self._save_model(state)
        preview.save_animation(self._save_grid(state))
        result = self._write_result(state, self.budget.spent(state.step, self.clock.seconds))
        self._refuse_collapse(state.step, self.monitor.collapsed)
        return result

    def _save_grid(self, state: TrainState) -> Path:
        folder, seed = self.folder.path / "samples", self.config.runtime.seed
        with self.clock.paused():
            names, context = self.images.class_names, self.context
            preview.save_grids(folder, state.ema, state.step, seed=seed, context=context, class_names=names)
        return folder

    def _has_grid(self, step: int) -> bool:
        """Whether every run of these options has a grid at this step, wherever it was stopped."""
        own = self.previews and self.config.images_per_step > 0 and preview.is_preview(step)
        return own or self.budget.is_regular(step)

    def _save_model(self, state: TrainState) -> None:
        """Write `model/`: the generator, the other networks, and the generator's best weights."""
        config = self.config
        others = {name: module for name, module in state.modules.items() if name != "generator"}
        card = ModelCard(
            arch=config.arch,
            spec=asdict(config.spec),
            image_shape=self.images.image_shape,
            class_names=self.images.class_names,
            data=recorded(located(config.data)),
            fingerprint=self.fingerprint,
            seed=config.runtime.seed,
            steps=state.step,
            precision=self.context.precision,
            run=self.folder.path.name,
            best_step=self.monitor.best_step,
            chosen_by=self.monitor.chosen_by,
        )
        save_model(self.folder.path, state.ema, card, self.images.row_id, others, self.monitor.best or None)

    def _refuse_collapse(self, step: int, collapsed: bool) -> None:
        """Stop where the user wants to."""
        if collapsed and self.config.budget.stop_when_collapsed:
            raise OutcomeError(
                f"{self.folder.path}: stopped at step {step}: mode collapse, see metrics.jsonl; all is saved. "
                "Change the recipe in another --out, or go on with --resume --no-stop-when-collapsed"
            )

    def _write_result(self, state: TrainState, finished: bool) -> TrainResult:
        """Replace `run.json`."""
        result = TrainResult(
            run=self.folder.path,
            arch=self.config.arch,
            finished=finished,
            steps=state.step,
            seconds=self.clock.seconds,
            images=state.step * self.config.images_per_step,
            evaluation_seconds=self.monitor.seconds,
            parameters=count_parameters(state.modules),
            alarms=tuple(str(alarm) for alarm in self.monitor.alarms),
            best_step=self.monitor.best_step,
            chosen_by=self.monitor.chosen_by,
            looks=self.monitor.looks,
        )
        collapsed = self.monitor.collapsed
        content = content_of(self.fingerprint, self.images, self.initial)
        own = {} if self.started is None else {"init_from": to_plain(self.started)}
        self.folder.write_state(**result.recorded(), fingerprint=content, collapsed=collapsed, **own)
        return result


def content_of(fingerprint: str, images: LabelledImages, initial: InitialWeights | None = None) -> str:
    """Identity of what a run reads: the hash of the images' source, and of what may change between two sessions.

    That is a folder of unlabelled images, what a classifier says of them, and the weights that the run starts with.
    """
    parts = [fingerprint]
    if np.isin(images.origin, (PSEUDO_LABELLED, NO_LABEL)).any():
        parts += [images.content_hash(), images.origin.tobytes().hex()]
    if initial is not None:
        parts.append(initial.digest)
    if len(parts) == 1:
        return fingerprint
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]


def _place(state: TrainState) -> str:
    """How far a run is, in words."""
    return f"step {state.step}" if state.step else f"step {state.pretrained} of pre-training"
