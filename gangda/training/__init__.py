"""`gangda train`: a generator from labelled images, in a run folder that can always be continued."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gangda.classifying.self_training import self_train
from gangda.config import resolve
from gangda.config.files import read_config
from gangda.config.schema import ClassifierConfig, TrainConfig, TransformConfig
from gangda.data.images import REAL, LabelledImages
from gangda.data.loading import load_splits
from gangda.data.paths import identified, located
from gangda.data.splits import DataSplits
from gangda.errors import DataError, RunError, UsageError
from gangda.runtime.device import pick_device, prepare
from gangda.runtime.distributed import ALONE, Ranks, WorkerExitError, process_group
from gangda.runtime.launch import ONE_PROCESS, DistributedEnv
from gangda.runtime.progress import SILENT, Reporter, duration
from gangda.runtime.runs import RunFolder, config_hash
from gangda.runtime.signals import stop_request
from gangda.training.budget import step_budget
from gangda.training.card import save_card
from gangda.training.estimate import estimated, estimates, largest_within
from gangda.training.initial_weights import InitialWeights, load_initial
from gangda.training.memory import check_memory
from gangda.training.option_rules import check_options, refuse_uneven_shares
from gangda.training.preview import save_curves
from gangda.training.result import TrainResult, count_parameters, write_data_alarms
from gangda.training.run import TrainingRun, content_of
from gangda.training.saved_model import Model, load_model
from gangda.training.semi_supervised import needs_self_training, training_images
from gangda.training.worker_ranks import run_worker
from gangda.zoo.networks import build_networks

WORTH_TIMING = 100  # steps: fewer are hardly more than are timed
SCARCE = 20  # training images of a class below which generated images are expected to harm
# What may always change: how work is shared out, not what it is.
MACHINE = ("threads",)
# What --resume may change.
BUDGET = ("steps", "epochs", "minutes", "checkpoint_every", "stop_when_collapsed")


def train(
    config: TrainConfig,
    out: Path | None = None,
    *,
    resume: bool = False,
    dry_run: bool = False,
    reporter: Reporter = SILENT,
    launch: DistributedEnv = ONE_PROCESS,
) -> TrainResult:
    """Train the generator that `config` describes, or go on where it stopped.

    Args:
        out: the run folder; default `runs/<data>-<arch>-<hash of the configuration>`.
        resume: the budget of a run that is there may be raised; where there is none, it begins, and that is said.
        dry_run: check everything, count parameters and time some steps, but write nothing.
        launch: the processes that train together, each with the same command. Each takes a part of each batch; but for
            batch norm, which uses a process's own images, the run is that of one process.

    Raises GangdaError: data, options or folder cannot be used; StoppedError, InterruptedByUserError: a signal came;
    everything is saved; WorkerExitError: always, at the end of every process but the first.
    """
    with process_group(launch, partial(pick_device, config.runtime.device, launch)) as ranks:
        reporter = reporter if ranks.is_main else SILENT
        with ranks.all_or_none():
            splits = load_splits(config.data, config.runtime.seed)
            for note in (*splits.notes, *_warnings(config, splits.train)):
                reporter.line(note)
            config = _from_absolute(config)
            sizes = config.spec.open_sizes()
            check(config, splits.train, splits.labelled)
            images = _with_unlabelled(config, splits, launch, reporter)
            config = check(config, images, splits.labelled)
            if launch.world > 1 and needs_steps(config):
                raise UsageError("--minutes: several ranks need the end of the cosine schedule; give --steps")
            refuse_uneven_shares(config, images, launch.world)
            initial = load_initial(config, splits)
            config = dataclasses.replace(config, data=located(config.data))
            named = identified(config.data, splits.fingerprint, splits.unlabelled_folder)
            hashed = config_hash(resolve.dump(dataclasses.replace(config, data=named)))
            run = out or Path("runs") / f"{splits.name}-{config.arch}-{hashed}"
            if resume and not (run / "config.yaml").is_file():
                reporter.line(f"{run}: no run there to resume; it begins")
        config = in_steps(config, images, run, reporter, sizes)
        timing = reporter.shown and not ranks.many
        if dry_run or timing:
            _refuse_other_run(config, images, run, content_of(splits.fingerprint, images, initial), resume)
        if not dry_run:
            if timing:
                _say_how_long(config, images, run, reporter)
            about: dict[str, Any] = {
                "fingerprint": splits.fingerprint,
                "resume": resume,
                "reporter": reporter,
            }
            result = fit_run(config, images, splits.validation, run, ranks=ranks, initial=initial, **about)
            save_curves(run)
            write_data_alarms(run, splits.alarms)
            save_card(run, result)
            return dataclasses.replace(result, data_alarms=splits.alarms)
        if not ranks.is_main:
            raise WorkerExitError(0)
        return dataclasses.replace(_rehearsed(config, images, run), data_alarms=splits.alarms)


def _refuse_other_run(
    config: TrainConfig, images: LabelledImages, run: Path, content: str, resume: bool
) -> None:
    """Raise as training itself would where the folder holds something else."""
    folder, open_options = RunFolder(run), _open_to_change(config) if resume else ()
    _refuse_smaller_budget(config, len(images), folder)
    folder.check(resolve.dump(config), (*open_options, *MACHINE), content)


def _say_how_long(config: TrainConfig, images: LabelledImages, run: Path, reporter: Reporter) -> None:
    """The time of the steps that are left, where these are more than a few and no time was given."""
    state, total = run / "run.json", step_budget(config, len(images)).total_steps
    left = (total or 0) - (RunFolder(run).state().get("steps", 0) if state.is_file() else 0)
    if config.images_per_step and left >= WORTH_TIMING:
        context = prepare(config.runtime)
        check_memory(config, images, context)
        each = estimated(config, {}, images, context).seconds_per_step
        reporter.line(f"{left:,} steps, about {duration(each * left)} on this machine")


def _rehearsed(config: TrainConfig, images: LabelledImages, run: Path) -> TrainResult:
    """What a training would be: its parameters, and what it would take here."""
    context = prepare(config.runtime)
    check_memory(config, images, context)
    networks = build_networks(config.arch, config.spec, images.image_shape, images.num_classes)
    parameters = count_parameters(networks.modules())
    return TrainResult(
        run, config.arch, parameters=parameters, estimates=tuple(estimates(config, images, context))
    )


def _from_absolute(config: TrainConfig) -> TrainConfig:
    """The same with the path of `--init-from` made absolute, for records that are read elsewhere."""
    if config.recipe.init_from is None:
        return config
    path = str(Path(config.recipe.init_from).expanduser().resolve())
    return dataclasses.replace(config, recipe=dataclasses.replace(config.recipe, init_from=path))


def _with_unlabelled(
    config: TrainConfig, splits: DataSplits, launch: DistributedEnv, reporter: Reporter
) -> LabelledImages:
    """The training images with the unlabelled ones, if any: labelled by self-training where classes are needed."""
    if splits.unlabelled is None:
        return splits.train
    found, count = None, len(splits.unlabelled)
    if needs_self_training(config.spec):
        if launch.world > 1:
            what = "a classifier labels them, in one process"
            raise UsageError(f"--unlabelled: {what}; start it without torchrun, or use --arch dcgan")
        reporter.line(f"training the classifiers that label {count:,} images")
        found = self_train(
            splits.train,
            splits.unlabelled,
            ClassifierConfig(),
            seed=config.runtime.seed,
            context=prepare(config.runtime),
            transforms=TransformConfig(),
            reporter=reporter,
        )
        rest = 'are trained on as "no class"' if config.spec.null_class else "are left out"
        what = f"{len(found.certain):,} of {count:,} unlabelled images have a pseudo-label"
        reporter.line(f"{what}, the other {len(found.uncertain):,} {rest}")
    return training_images(config.spec, splits, found)


def fit_generator(
    config: TrainConfig,
    images: LabelledImages,
    run: Path,
    *,
    fingerprint: str,
    validation: LabelledImages | None = None,
    checkpoint: str = "best",
    until: int | None = None,
    reporter: Reporter = SILENT,
) -> Model:
    """Train on exactly these images in the folder `run` (going on if it is partly there) and load the result.

    `validation`: held-out images of the same subset, by which the best checkpoint is chosen. `until`: a step at which
    to end before the budget is spent; a run that is beyond it stays where it is.
    """
    if config.recipe.init_from is not None:
        raise UsageError("--init-from: only gangda train starts from another run; leave recipe.init_from out")
    config = check(config, images, images.num_classes > 1)
    held = images.take(np.zeros(0, dtype=np.int64)) if validation is None else validation
    config = in_steps(config, images, run, reporter)
    how: dict[str, Any] = {"fingerprint": fingerprint, "resume": False, "until": until, "reporter": reporter}
    fit_run(config, images, held, run, previews=False, **how)
    return load_model(run, checkpoint)


def check(config: TrainConfig, images: LabelledImages, labelled: bool) -> TrainConfig:
    """Resolve what depends on the data; a DataError for too few classes or images, a UsageError for other options."""
    where = f"--data {config.data.source}"
    if config.spec.conditional and (not labelled or images.num_classes < 2):
        what = f"one class only, but --arch {config.arch} is class-conditional"
        raise DataError(f"{where}: {what}; give labelled classes, or use --arch dcgan")
    if config.spec.conditional and (name := images.missing_class()) is not None:
        what = f"class '{name}' has no training image"
        if config.data.class_counts is not None:
            raise UsageError(f"--class-counts: {what}; give it 2 or more, or use --arch dcgan")
        raise DataError(f"{where}: {what}; remove it or add some")
    spec, budget = config.spec.resolved(max(images.image_shape[1:])), config.budget
    if (budget.steps, budget.epochs, budget.minutes) == (None, None, None):
        steps = config.method.total_steps or spec.steps_for(len(images))
        budget = dataclasses.replace(budget, steps=steps)
    config = dataclasses.replace(config, spec=spec, budget=budget)
    check_options(config, images)
    return config


def needs_steps(config: TrainConfig) -> bool:
    """Whether the budget is a time, and the learning rate must know the number of steps."""
    return config.budget.minutes is not None and config.recipe.lr_schedule == "cosine"


def in_steps(
    config: TrainConfig,
    images: LabelledImages,
    run: Path,
    reporter: Reporter,
    sizes: Sequence[dict[str, Any]] = (),
) -> TrainConfig:
    """The same with the time as steps, if need be: the run's own, or as many as this machine will make.

    `sizes`: values of the architecture's options that are open, smallest networks first; chosen likewise.
    """
    if not needs_steps(config):
        return config
    recorded = read_config(run / "config.yaml") if (run / "config.yaml").is_file() else {}
    steps = recorded.get("budget", {}).get("steps")
    if steps is None:
        size, steps = largest_within(config, images, prepare(config.runtime), sizes)
        named = "".join(f"--{name} {value}, " for name, value in size.items())
        reporter.line(f"--minutes {config.budget.minutes:g}: {named}{steps:,} steps")
    else:
        kept = recorded.get("arch", {})
        size = {name: kept[name] for names in sizes[:1] for name in names if name in kept}
        reporter.line(f"{run}: keeps its {steps:,} steps; --minutes counts for a new run only")
    budget = dataclasses.replace(config.budget, steps=steps, minutes=None)
    config = dataclasses.replace(config, spec=dataclasses.replace(config.spec, **size), budget=budget)
    check_options(config, images)
    return config


def _warnings(config: TrainConfig, images: LabelledImages) -> Iterator[str]:
    """What is unusual about the training images."""
    synthetic, counts = int((images.origin != REAL).sum()), images.counts()
    least, size = int(counts.min()), config.recipe.batch_size
    if synthetic:
        yield f"{synthetic:,} of the {len(images):,} training images are synthetic"
    if least < SCARCE:
        name = images.class_names[int(counts.argmin())]
        yield f"class '{name}' has only {least} training images: expect copies of them, and more harm than help"
    if "recipe" in config.method.sections and size > len(images):
        yield f"--batch-size {size:,} is more than the {len(images):,} training images: a batch repeats some"


def fit_run(
    config: TrainConfig,
    images: LabelledImages,
    validation: LabelledImages,
    run: Path,
    *,
    fingerprint: str,
    resume: bool,
    reporter: Reporter,
    ranks: Ranks = ALONE,
    previews: bool = True,
    until: int | None = None,
    initial: InitialWeights | None = None,
) -> TrainResult:
    """Train in the run folder; a finished run is only reported. Of several ranks only rank 0 returns.

    `until`: as for `fit_generator`; `initial`: the weights to start with, in place of random ones.
    """
    context = prepare(config.runtime, ranks=ranks)
    if not ranks.is_main:
        run_worker(config, images, context)
    folder = RunFolder(run)
    with ranks.ending_workers():
        folder.refuse_foreign()
        with folder.lock(), stop_request(patient=ranks.many) as stop:
            _refuse_smaller_budget(config, len(images), folder)
            open_options = _open_to_change(config) if resume else ()
            before, threads = threads_of(folder), config.runtime.threads
            if _is_done(config, len(images), folder):  # nothing will be trained: its record stays
                config = dataclasses.replace(
                    config, runtime=dataclasses.replace(config.runtime, threads=before)
                )
            elif before != threads and folder.checkpoints():
                what = f"was trained with --threads {before or 'unset'}, now {threads or 'unset'}"
                reporter.line(
                    f"{run}: {what}: the last bits of its numbers may be others; recorded in config.yaml"
                )
            content = content_of(fingerprint, images, initial)
            folder.claim(resolve.record(config, run / "config.yaml"), (*open_options, *MACHINE), content)
            about = (config, images, validation, folder, context, fingerprint)
            return TrainingRun(*about, reporter, stop, previews, until, initial).fit()


def threads_of(folder: RunFolder) -> int | None:
    """Threads that a run was last trained with, where they were asked for."""
    path = folder.path / "config.yaml"
    with contextlib.suppress(UsageError):  # a damaged one is refused by `claim`
        return read_config(path).get("runtime", {}).get("threads") if path.is_file() else None
    return None


def _is_done(config: TrainConfig, images: int, folder: RunFolder) -> bool:
    """Whether an earlier session has spent the budget."""
    state = folder.state() if (folder.path / "run.json").is_file() else {"finished": False}
    spent = step_budget(config, images).spent
    return bool(state["finished"]) and spent(state.get("steps", 0), state.get("seconds", 0.0))


def _refuse_smaller_budget(config: TrainConfig, images: int, folder: RunFolder) -> None:
    """A resumed run cannot end before the steps that it has done."""
    wanted = step_budget(config, images).total_steps
    done = folder.state().get("steps", 0) if (folder.path / "run.json").is_file() else 0
    if wanted is not None and wanted < done:
        what = f"has done {done:,} steps, more than the {wanted:,} asked for"
        more = " or more" if "steps" in _open_to_change(config) else ""
        raise RunError(f"{folder.path}: {what}; give --steps {done}{more}, or choose another --out")


def _open_to_change(config: TrainConfig) -> tuple[str, ...]:
    """Options that a resumed run may change: the budget, unless the learning rate depends on it."""
    fixed = ("steps", "epochs", "minutes") if config.recipe.lr_schedule == "cosine" else ()
    return tuple(name for name in BUDGET if name not in fixed)
