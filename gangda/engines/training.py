"""`gangda train`: a generator from labelled images, in a run folder that can always be continued."""

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from gangda import catalog, settings
from gangda.configs import TrainConfig
from gangda.data.images import LabelledImages
from gangda.data.loading import load_splits
from gangda.errors import DataError, RunError, UsageError
from gangda.moves import watch
from gangda.moves.loop import ResidentImages, StepRecord, TrainState, make_game, new_state, steps
from gangda.moves.model import Model, ModelCard, build_networks, load_model, save_model
from gangda.runtime.device import Machine, prepare
from gangda.runtime.files import write_bytes
from gangda.runtime.progress import SILENT, Reporter
from gangda.runtime.runs import MetricsLog, RunFolder, config_hash
from gangda.runtime.seeding import seed_device
from gangda.runtime.signals import StopRequest, stop_request

LOG_EVERY = 50  # steps between lines of metrics.jsonl
GRIDS = 40  # at most so many frames in the GIF


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


def train(
    config: TrainConfig,
    out: Path | None = None,
    *,
    resume: bool = False,
    dry_run: bool = False,
    reporter: Reporter = SILENT,
) -> TrainResult:
    """Train the generator that `config` describes, or go on where it stopped.

    The default folder is `runs/<data>-<arch>-<hash of the configuration>`. With `resume` the folder must hold a run
    already, and its budget may be raised.

    Raises:
        GangdaError: data, options or folder cannot be used; StoppedError after a signal, with all work saved.
    """
    splits = load_splits(config.data, config.runtime.seed)
    config = check(config, splits.train, splits.labelled)
    run = out or default_folder(config, splits.name)
    if resume and not (run / "config.yaml").is_file():
        raise RunError(
            f"{run}: no run there to resume; start it without --resume, or name its folder with --out"
        )
    if dry_run:
        return _planned(config, splits.train, run)
    return fit_run(
        config, splits.train, run, fingerprint=splits.fingerprint, resume=resume, reporter=reporter
    )


def fit_generator(
    config: TrainConfig, images: LabelledImages, run: Path, *, fingerprint: str, reporter: Reporter = SILENT
) -> Model:
    """Train on exactly these images in the folder `run` (going on if it is partly there) and load the result."""
    config = check(config, images, images.num_classes > 1)
    fit_run(config, images, run, fingerprint=fingerprint, resume=False, reporter=reporter)
    return load_model(run)


def check(config: TrainConfig, images: LabelledImages, labelled: bool) -> TrainConfig:
    """Refuse what cannot work before any work is done; resolve what depends on the data.

    Raises:
        DataError: too few classes or images.
        UsageError: options that do not fit together.
    """
    conditional = config.spec.conditional
    if conditional and (not labelled or images.num_classes < 2):
        raise DataError(
            f"--data {config.data.source}: one class only, but --arch {config.arch} is class-conditional; "
            "give labelled classes, or use --arch dcgan"
        )
    smallest = int(images.counts().min())
    if conditional and smallest == 0:
        name = images.class_names[int(images.counts().argmin())]
        raise DataError(
            f"--data {config.data.source}: class '{name}' has no training image; remove it or add some"
        )
    if config.spec.game == "madgan" and config.recipe.loss not in ("nonsaturating", "minimax"):
        raise UsageError(
            f"--loss {config.recipe.loss}: madgan's cross-entropy comes as nonsaturating or minimax"
        )
    generators = getattr(config.spec, "generators", 1)
    if generators > config.recipe.batch_size:
        raise UsageError(
            f"--generators {generators}: more than --batch-size {config.recipe.batch_size}; raise it"
        )
    return config


def default_folder(config: TrainConfig, name: str) -> Path:
    """`runs/<data>-<arch>-<hash8>`, relative to the current folder."""
    return Path("runs") / f"{name}-{config.arch}-{config_hash(settings.dump(config))}"


def fit_run(
    config: TrainConfig,
    images: LabelledImages,
    run: Path,
    *,
    fingerprint: str,
    resume: bool,
    reporter: Reporter,
) -> TrainResult:
    """Fill the run folder; what is finished already is only reported."""
    folder = RunFolder(run)
    machine = prepare(config.runtime)
    folder.refuse_foreign()
    with folder.lock(), stop_request() as stop:
        folder.claim(settings.dump(config), ignoring=BUDGET if resume else ())
        sitting = Sitting(config, images, folder, machine, fingerprint, reporter, stop)
        return sitting.fit() if config.spec.game else sitting.fit_closed_form()


BUDGET = ("steps", "epochs", "minutes", "checkpoint_every")


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
        state.load(saved)
        return float(saved["seconds"])

    def _steps_wanted(self) -> int | None:
        """Steps of the budget; None where the clock decides."""
        budget, batch = self.config.budget, self.config.recipe.batch_size
        if budget.minutes is not None:
            return None
        if budget.epochs is not None:
            return max(1, round(budget.epochs * len(self.images) / batch))
        return budget.steps or self.config.spec.steps

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
        game = make_game(self.config.spec, state.networks, recipe, len(self.images))
        resident = ResidentImages(self.images, self.config.runtime.seed, self.machine)
        log = MetricsLog(self.folder.path / "metrics.jsonl", state.step)
        started = time.monotonic() - seconds
        try:
            if self._done(state.step, seconds):
                return seconds
            for record in steps(state, game, resident, recipe, self.machine):
                seconds = time.monotonic() - started
                done = self._done(record.step, seconds)
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
        terms = record.numbers()
        bad = watch.diverged(terms)
        if bad:
            raise RunError(
                f"{self.folder.path}: {bad} is not a number at step {record.step}; lower --lr or raise --r1 "
                "(the last checkpoint is kept)"
            )
        rate = record.images / max(seconds, 1e-9)
        log.write(
            {"step": record.step, **{k: round(v, 6) for k, v in terms.items()}, "seconds": round(seconds, 2)}
        )
        wanted = self._steps_wanted()
        minutes = self.config.budget.minutes
        done, total = (record.step, float(wanted)) if wanted else (seconds, 60 * (minutes or 0))
        self.reporter.step(f"training {self.config.arch}", done, total, f"{rate:,.0f} images/s")

    def _checkpoint(self, state: TrainState, seconds: float) -> None:
        self.folder.save_checkpoint(state.step, {**state.dump(), "seconds": seconds})
        self._save_grid(state.ema, state.step)

    def _save_grid(self, generator: Any, step: int) -> None:
        grid = watch.sample_grid(generator, seed=self.config.runtime.seed, machine=self.machine)
        write_bytes(self.folder.path / "samples" / f"grid-{step:08d}.png", encode_png(grid))

    def _save_model(self, generator: Any, step: int) -> None:
        config = self.config
        card = ModelCard(
            arch=config.arch,
            spec=dataclasses.asdict(config.spec),
            image_shape=self.images.image_shape,
            class_names=self.images.class_names,
            data=dataclasses.asdict(config.data),
            fingerprint=self.fingerprint,
            seed=config.runtime.seed,
            steps=step,
            precision=self.machine.precision,
            run=self.folder.path.name,
        )
        save_model(self.folder.path, generator, card, self.images.row_id)

    def _finish(self, state: TrainState, seconds: float) -> TrainResult:
        """Model, GIF, and a last look for collapse."""
        self._save_model(state.ema, state.step)
        write_bytes(self.folder.path / "samples" / "training.gif", _gif(self.folder.path / "samples"))
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
            "generator": _count(state.networks.generator),
            "discriminator": _count(state.networks.discriminator),
        }
        rate = state.step * self.config.recipe.batch_size / max(seconds, 1e-9)
        path, arch = self.folder.path, self.config.arch
        return TrainResult(path, arch, state.step, seconds, rate, True, parameters, alarms)


def _planned(config: TrainConfig, images: LabelledImages, run: Path) -> TrainResult:
    counts = {"generator": 0}
    if config.spec.game:
        networks = build_networks(config.arch, config.spec, images.image_shape, images.num_classes)
        counts = {"generator": _count(networks.generator), "discriminator": _count(networks.discriminator)}
    return TrainResult(run, config.arch, 0, 0.0, 0.0, False, counts)


def _count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def encode_png(image: np.ndarray) -> bytes:
    """PNG bytes of a uint8 (H, W, C) picture."""
    import io

    buffer = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(buffer, "PNG")
    return buffer.getvalue()


def _gif(folder: Path) -> bytes:
    """The fixed-noise grids as an animation; at most `GRIDS` of them, the last one held for two seconds."""
    import io

    paths = sorted(folder.glob("grid-*.png"))
    paths = paths[:: max(1, -(-len(paths) // GRIDS))] + ([paths[-1]] if paths else [])
    frames = [Image.open(path).convert("P") for path in paths]
    buffer = io.BytesIO()
    durations = [200] * (len(frames) - 1) + [2000]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)
    return buffer.getvalue()
