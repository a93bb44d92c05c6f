"""One process's work on a run: train, log, save, stop, and leave a folder that can always be continued."""

import dataclasses
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from gangda import catalog
from gangda.configs import TrainConfig
from gangda.data.images import LabelledImages
from gangda.data.places import located
from gangda.errors import RunError
from gangda.moves import watch
from gangda.moves.loop import ResidentImages, StepRecord, TrainState, make_game, new_state, steps
from gangda.moves.model import ModelCard, build_networks, save_model
from gangda.report import grids
from gangda.runtime.device import Machine
from gangda.runtime.files import write_bytes
from gangda.runtime.progress import Reporter
from gangda.runtime.runs import MetricsLog, RunFolder
from gangda.runtime.seeding import seed_device
from gangda.runtime.signals import StopRequest
from gangda.zoo.base import Generator

LOG_EVERY = 50  # steps between lines of metrics.jsonl


@dataclass(frozen=True)
class TrainResult:
    """What `gangda train` reports. `seconds` is training time over all sittings; `alarms` are those of the end."""

    run: Path
    arch: str
    steps: int
    seconds: float
    images_per_second: float
    finished: bool
    parameters: dict[str, int]
    alarms: tuple[str, ...] = ()

    @property
    def out(self) -> Path:
        """The run folder."""
        return self.run

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**dataclasses.asdict(self), "run": str(self.run), "alarms": list(self.alarms)}


@dataclass(eq=False)
class Sitting:
    """One process's work on a run: everything between taking the folder and leaving it."""

    config: TrainConfig
    images: LabelledImages
    folder: RunFolder
    machine: Machine
    fingerprint: str
    reporter: Reporter
    stop: StopRequest
    latest: dict[str, Any] = field(default_factory=dict)  # the last value of each loss term

    def fit(self) -> TrainResult:
        """Train to the budget's end, saving on the way; on a signal, save and raise."""
        recorded = self.folder.state()
        state = self._fresh_state()
        seconds = self._restore(state)
        if recorded["finished"] and self._done(state.step, seconds):
            return self._result(state, seconds, tuple(recorded.get("alarms", ())))
        self.folder.write_state(
            finished=False, steps=state.step, seconds=seconds, fingerprint=self.fingerprint
        )
        if state.step:
            self.reporter.line(f"{self.folder.path}: going on from step {state.step}")
        seconds = self._run_steps(state, seconds)
        return self._finish(state, seconds)

    def fit_closed_form(self) -> TrainResult:
        """Architectures that are fitted, not trained."""
        started = time.monotonic()
        generator = catalog.builder("architecture", catalog.ARCHITECTURES, self.config.arch)(
            self.config.spec, self.images
        )
        self._save_model(generator, 0)
        self._save_grid(generator, 0)
        seconds = time.monotonic() - started
        self.folder.write_state(finished=True, steps=0, seconds=seconds, fingerprint=self.fingerprint)
        return TrainResult(self.folder.path, self.config.arch, 0, seconds, 0.0, True, {"generator": 0})

    def _fresh_state(self) -> TrainState:
        seed_device(torch.device("cpu"), self.config.runtime.seed, "networks")
        shape, classes = self.images.image_shape, self.images.num_classes
        networks = build_networks(self.config.arch, self.config.spec, shape, classes)
        return new_state(networks, self.config.recipe, self.machine)

    def _restore(self, state: TrainState) -> float:
        """Take over the newest whole checkpoint; the seconds trained so far."""
        saved, complaints = self.folder.load_checkpoint()
        for complaint in complaints:
            self.reporter.line(complaint)
        if saved is None:
            return 0.0
        try:
            state.load(saved)
        except (KeyError, RuntimeError, ValueError) as error:
            raise RunError(
                f"{self.folder.path}: its checkpoints are of other networks; start again in another --out"
            ) from error
        self.latest = dict(saved["terms"])
        return float(saved["seconds"])

    def _steps_wanted(self) -> int | None:
        """Steps of the budget; None where the clock decides."""
        budget, batch = self.config.budget, self.config.recipe.batch_size
        if budget.minutes is not None:
            return None
        if budget.epochs is not None:
            return max(1, round(budget.epochs * len(self.images) / batch))
        return budget.steps

    def _done(self, step: int, seconds: float) -> bool:
        wanted = self._steps_wanted()
        if wanted is not None:
            return step >= wanted
        return seconds >= 60 * (self.config.budget.minutes or 0)

    def _checkpoint_steps(self) -> int:
        every = self.config.budget.checkpoint_every
        number = int(every.rstrip("se"))
        return (
            max(1, number * len(self.images) // self.config.recipe.batch_size) if every[-1] == "e" else number
        )

    def _run_steps(self, state: TrainState, seconds: float) -> float:
        """The loop itself: log, draw, save and stop at the right steps. Returns seconds trained."""
        recipe, every = self.config.recipe, self._checkpoint_steps()
        game = make_game(self.config.spec, state.networks, recipe)
        resident = ResidentImages(self.images, self.config.runtime.seed, self.machine)
        log = MetricsLog(self.folder.path / "metrics.jsonl", state.step)
        started = time.monotonic() - seconds
        try:
            if self._done(state.step, seconds):
                return seconds
            for record in steps(state, game, resident, recipe, self.machine):
                seconds = time.monotonic() - started
                done = self._done(record.step, seconds)
                self.latest.update(record.terms)
                if record.step % LOG_EVERY == 0 or done or record.step == 1:
                    self._log(log, record, seconds)
                if record.step % every == 0 or done or self.stop:
                    self._checkpoint(state, seconds)
                if self.stop:
                    raise self.stop.error(
                        f"{self.folder.path}: stopped at step {record.step}, all saved; run the same command to go on"
                    )
                if done:
                    return time.monotonic() - started
        finally:
            log.close()
        return seconds

    def _log(self, log: MetricsLog, record: StepRecord, seconds: float) -> None:
        terms = self._finite_terms(record.step)
        rate = record.images / max(seconds, 1e-9)
        log.write(
            {"step": record.step, **{k: round(v, 6) for k, v in terms.items()}, "seconds": round(seconds, 2)}
        )
        wanted = self._steps_wanted()
        minutes = self.config.budget.minutes
        done, total = (record.step, float(wanted)) if wanted else (seconds, 60 * (minutes or 0))
        self.reporter.step(f"training {self.config.arch}", done, total, f"{rate:,.0f} images/s")

    def _finite_terms(self, step: int) -> dict[str, float]:
        """The last value of every loss term, lazy ones included.

        Raises:
            RunError: one is not a number.
        """
        terms = {name: float(value) for name, value in self.latest.items()}
        bad = watch.diverged(terms)
        if bad:
            raise RunError(
                f"{self.folder.path}: {bad} is not a number at step {step}; lower --lr or raise --r1 "
                "(the last checkpoint is kept)"
            )
        return terms

    def _checkpoint(self, state: TrainState, seconds: float) -> None:
        """Grid first: a checkpoint without its grid could not be told from a finished save."""
        terms = self._finite_terms(state.step)
        self._save_grid(state.ema, state.step)
        self.folder.save_checkpoint(state.step, {**state.dump(), "seconds": seconds, "terms": terms})

    def _save_grid(self, generator: Generator, step: int) -> None:
        samples = watch.fixed_samples(generator, seed=self.config.runtime.seed, machine=self.machine)
        picture = grids.png(grids.tile(samples, watch.COLUMNS))
        write_bytes(self.folder.path / "samples" / f"grid-{step:08d}.png", picture)

    def _save_model(
        self, generator: Generator, step: int, discriminator: torch.nn.Module | None = None
    ) -> None:
        config = self.config
        card = ModelCard(
            arch=config.arch,
            spec=dataclasses.asdict(config.spec),
            image_shape=self.images.image_shape,
            class_names=self.images.class_names,
            data=dataclasses.asdict(located(config.data)),
            fingerprint=self.fingerprint,
            seed=config.runtime.seed,
            steps=step,
            precision=self.machine.precision,
            run=self.folder.path.name,
        )
        save_model(self.folder.path, generator, card, self.images.row_id, discriminator)

    def _finish(self, state: TrainState, seconds: float) -> TrainResult:
        """Model, GIF, and a last look for collapse."""
        self._save_model(state.ema, state.step, state.networks.discriminator)
        self._save_grid(state.ema, state.step)
        samples = self.folder.path / "samples"
        write_bytes(samples / "training.gif", grids.animation(sorted(samples.glob("grid-*.png"))))
        alarms = self._alarms(state)
        for alarm in alarms:
            self.reporter.line(alarm)
        self.folder.write_state(
            finished=True,
            steps=state.step,
            seconds=seconds,
            fingerprint=self.fingerprint,
            alarms=list(alarms),
        )
        return self._result(state, seconds, alarms)

    def _alarms(self, state: TrainState) -> tuple[str, ...]:
        conditional = state.ema.conditional
        real = watch.real_spread(self.images, conditional)
        ratios = watch.diversity_ratios(state.ema, real, seed=self.config.runtime.seed, machine=self.machine)
        alarm = watch.collapse_alarm(ratios, self.images.class_names, conditional)
        return (alarm,) if alarm else ()

    def _result(self, state: TrainState, seconds: float, alarms: tuple[str, ...]) -> TrainResult:
        parameters = {
            "generator": count_parameters(state.networks.generator),
            "discriminator": count_parameters(state.networks.discriminator),
        }
        rate = state.step * self.config.recipe.batch_size / max(seconds, 1e-9)
        path, arch = self.folder.path, self.config.arch
        return TrainResult(path, arch, state.step, seconds, rate, True, parameters, alarms)


def count_parameters(module: torch.nn.Module) -> int:
    """Trainable values of a network."""
    return sum(parameter.numel() for parameter in module.parameters())
