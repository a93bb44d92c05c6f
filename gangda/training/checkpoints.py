"""What lasts of a run beyond one process: its state, its log, its looks and its clock, saved and restored."""

from dataclasses import dataclass, field
from typing import Any

import torch

from gangda.config.schema import TrainConfig
from gangda.data.images import LabelledImages
from gangda.errors import OutcomeError, RunError
from gangda.runtime.device import DeviceContext
from gangda.runtime.progress import Reporter
from gangda.runtime.runs import RunFolder
from gangda.runtime.seeding import seed_device, seed_for
from gangda.training.budget import Schedule, Stopwatch
from gangda.training.loop import TrainState, new_state
from gangda.training.metrics_logger import MetricsLogger, NotFiniteError
from gangda.training.monitor.sample_monitor import SampleMonitor
from gangda.training.saved_model import build_networks


def fresh_state(config: TrainConfig, images: LabelledImages, context: DeviceContext) -> TrainState:
    """The state before the first step; the same configuration and images give the same weights."""
    seed_device(torch.device("cpu"), config.runtime.seed, "networks")
    networks = build_networks(config.arch, config.spec, images.image_shape, images.num_classes)
    return new_state(networks, config.recipe, context)


@dataclass(eq=False)
class Checkpoints:
    """Saves a run and restores it: the networks' state with all else that the next process must know.

    Attributes:
        config, images, validation, folder, machine, fingerprint, reporter, schedule: of the run.
        journal, lookout: the log, and what looking at samples has found.
        rollbacks: how often the run went back to a checkpoint because a figure was no number; it changes the random
            streams, so that the same does not happen again.
        clock: training time so far.
    """

    config: TrainConfig
    images: LabelledImages
    validation: LabelledImages
    folder: RunFolder
    context: DeviceContext
    fingerprint: str
    reporter: Reporter
    schedule: Schedule
    rollbacks: int = 0
    clock: Stopwatch = field(default_factory=Stopwatch)

    def __post_init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        """Begin the log and the looks afresh."""
        path = self.folder.path
        self.journal = MetricsLogger(path / "metrics.jsonl", len(self.images))
        self.lookout = SampleMonitor(
            self.images,
            self.validation,
            seed=self.config.runtime.seed,
            context=self.context,
            cache=path / "lookout",
            reporter=self.reporter,
            tell=self.journal.tell,
            conditioning_warmup=self.config.recipe.conditioning_warmup,
        )

    @property
    def stream_seed(self) -> int:
        """Seed of the streams that training draws from."""
        seed = self.config.runtime.seed
        return seed_for(seed, "rollback", self.rollbacks) if self.rollbacks else seed

    def restore(self, regular: bool = False) -> TrainState:
        """The state of the newest whole checkpoint (`regular`: of those at regular steps); a fresh one without any.

        Raises:
            RunError: the checkpoints are of another version of gangda, or of other networks.
        """
        state = fresh_state(self.config, self.images, self.context)
        saved, complaints = self.folder.load_checkpoint(self.schedule.regular if regular else None)
        for complaint in complaints:
            self.reporter.line(complaint)
        if saved is None:
            self.clock = Stopwatch()
            return state
        try:
            self._take_over(state, saved)
        except KeyError as error:  # what is saved has grown
            raise RunError(
                f"{self.folder.path}: its checkpoints were made by an older gangda; start again in another --out"
            ) from error
        except (RuntimeError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise RunError(
                f"{self.folder.path}: its checkpoints are of other networks; start again in another --out"
            ) from error
        return state

    def _take_over(self, state: TrainState, saved: dict[str, Any]) -> None:
        state.load(saved)
        self.journal.load(saved["journal"])
        self.lookout.load(saved["lookout"])
        self.rollbacks = int(saved["rollbacks"])
        self.clock = Stopwatch(float(saved["seconds"]))

    def save(self, state: TrainState, journal: dict[str, Any]) -> None:
        """Write a checkpoint; `journal` is what the log keeps of this step."""
        own = {
            "journal": {**journal, "lines": self.journal.lines},
            "lookout": self.lookout.dump(),
            "rollbacks": self.rollbacks,
        }
        self.folder.save_checkpoint(
            state.step, {**state.dump(), **own, "seconds": self.clock.seconds}, lasting=self.schedule.regular
        )

    def step_back(self, error: NotFiniteError) -> TrainState:
        """Go back to the last good checkpoint (or the start), once, with other random streams from there on.

        Raises:
            OutcomeError: it was done before.
        """
        if self.rollbacks:
            raise OutcomeError(
                f"{self.folder.path}: {error}, and the run went back to a good checkpoint before; "
                "lower --lr or raise --r1 in another --out (the last good checkpoint is kept)"
            ) from None
        seconds = self.clock.seconds
        self.journal.close()
        self._forget()
        state = self.restore(regular=True)
        self.clock = Stopwatch(seconds)  # the lost steps have taken time all the same
        self.rollbacks = 1
        self.folder.drop_checkpoints(after=state.step)
        self.journal.open(state.step)
        self.journal.tell(state.step, {"rollback": self.rollbacks, "reason": str(error)})
        self.save(state, self.journal.dump(state.step))
        self.journal.close()
        self.reporter.line(
            f"ALARM: {error}: back to step {state.step}, and on with other random numbers; lower --lr if it comes again"
        )
        return state

    def write_state(self, state: TrainState, finished: bool) -> None:
        """Replace `run.json`."""
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
