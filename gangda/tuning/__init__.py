"""`gangda tune`: a search over options of training, judged on validation images, in a folder that processes share."""

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gangda.classifying.fit import check_classifier
from gangda.comparing.plan import digest
from gangda.comparing.plan_file import locked_plan, refuse_change
from gangda.config import resolve
from gangda.config.files import Sections
from gangda.config.resolve import Settings
from gangda.config.schema import TrainConfig
from gangda.data.loading import load_splits
from gangda.data.paths import identified, located
from gangda.data.splits import DataSplits
from gangda.errors import UsageError
from gangda.runtime.device import prepare
from gangda.runtime.files import write_json
from gangda.runtime.locks import lock_folder
from gangda.runtime.plan_status import PLAN
from gangda.runtime.progress import SILENT, Reporter
from gangda.search_spaces import Choice, SearchSpace, belongs
from gangda.training import check
from gangda.training.estimate import estimates
from gangda.training.leaks import refuse_synthetic
from gangda.training.result import Estimate
from gangda.tuning.objectives import OBJECTIVES, Judge, refuse_unusable
from gangda.tuning.result import TuneResult, collect
from gangda.tuning.study import Study, load_optuna, trial_count
from gangda.tuning.trial import Trainer

__all__ = ["tune"]

OWNER = "a study"
Configure = Callable[[Sections], Settings]  # the sections of a file, below what the user typed


@dataclass(frozen=True, eq=False)
class Task:
    """What is searched, checked."""

    space: SearchSpace
    settings: Settings  # without the values that vary
    configure: Callable[[Mapping[str, Any]], TrainConfig]
    splits: DataSplits


def tune(
    space: SearchSpace,
    configure: Configure,
    out: Path | None = None,
    *,
    dry_run: bool = False,
    reporter: Reporter = SILENT,
) -> TuneResult:
    """Try configurations until as many as asked for are finished, by all processes on the folder together.

    Args:
        configure: resolves the options from the sections of a file, which those that the user typed override.
        out: its folder, which is continued; by default `studies/<space>-<hash>`. Adding trials does not change it.

    Raises GangdaError: what cannot be searched; every value is checked before any work. StoppedError,
    InterruptedByUserError: a signal came; the trial's training is saved, and the next process goes on with it.
    """
    load_optuna()
    task = _task(space, configure)
    for note in task.splits.notes:
        reporter.line(note)
    fixed = _fixed(task)
    out = Path("studies") / f"{space.name}-{digest(fixed)[:8]}" if out is None else out
    settings, trials = task.settings, trial_count(task.settings.tune, space)
    objective, context = OBJECTIVES[settings.tune.objective], prepare(settings.runtime)
    how = (settings.classifier, settings.transforms, settings.sampler)
    judge = Judge(task.splits, settings.runtime.seed, context, *how, reporter)
    trainer = Trainer(out, settings.tune, task.configure, objective, task.splits, judge, reporter)
    chance = objective.chance(task.splits.validation)
    study = Study(out, space, settings.tune, objective.direction, settings.runtime.seed, chance)
    with locked_plan(out, OWNER, dry_run=dry_run) as there:
        if there is not None:
            refuse_change(there["fixed"], fixed, out)
        elif not dry_run:
            write_json(out / PLAN, {"kind": f"plan of {OWNER}", "hash": digest(fixed), "fixed": fixed})
    if dry_run:
        return _rehearsed(task, trainer, trials)
    while True:
        with study.take() as trial:
            if trial is None:
                break
            trainer.run(study, trial)
        reporter.step("trials", len(study.trials("COMPLETE", "PRUNED")), trials)
    with lock_folder(out, wait=True):
        result = collect(study, trainer, trials)
        result.write(None if result.best is None else _best(task, result))
    return result


def _rehearsed(task: Task, trainer: Trainer, trials: int) -> TuneResult:
    """What a dry run reports: each trial is taken to last as long as that of all smallest or of all largest values."""
    space, splits = task.space, task.splits
    rungs: list[tuple[int, ...]] = []
    timed: list[Estimate] = []
    for values in (space.first(), space.last()):
        # The largest values of all options may not go together.
        with contextlib.suppress(UsageError):
            config = check(task.configure(values), splits.train, splits.labelled)
            rungs.append(trainer.rungs(config))
            timed.extend(itertools.islice(estimates(config, splits.train, trainer.judge.context), 1))
    return TuneResult(
        trainer.out,
        space,
        trainer.objective,
        trials,
        rungs[0],
        unpruned=trials * max(each[-1] for each in rungs),
        dry_run=True,
        estimate=max(timed, key=lambda one: one.seconds, default=None),
    )


def _best(task: Task, result: TuneResult) -> str:
    """`best.yaml`: the best configuration, for `train --config`."""
    assert result.best is not None
    return resolve.dump(task.configure(task.space.values_of(result.best.params)))


def _task(space: SearchSpace, configure: Configure) -> Task:
    settings = configure({})
    arch = settings.arch

    def configured(values: Mapping[str, Any]) -> TrainConfig:
        config = configure(space.sections(values, arch)).pick(TrainConfig)
        return dataclasses.replace(config, data=located(config.data))

    if settings.budget.minutes is not None:
        raise UsageError("--minutes: a trial is scored after steps; give --steps or --epochs")
    settings.transforms.ranges()
    splits = load_splits(settings.data, settings.runtime.seed)
    refuse_synthetic(splits)
    check_classifier(settings.classifier.classifier, splits.train.num_classes, splits.train.image_shape)
    task = Task(space, settings, configured, splits)
    _check_space(task)
    return task


def _check_space(task: Task) -> None:
    """Every value of every option alone, beside the first ones of the others; a UsageError, DataError names it."""
    splits, space = task.splits, task.space
    first = space.first()
    archs = next((one.ends() for one in space.dimensions if one.key == "arch.name"), (task.settings.arch,))
    idle = [one.key for one in space.dimensions if not any(belongs(one.key, arch) for arch in archs)]
    if idle:
        raise UsageError(f"{space.source}: space: {idle[0]} is no option of {', '.join(archs)}")
    for arch, one in itertools.product(archs, space.dimensions):
        for value in one.ends():
            values = {**first, one.key: value}
            if "arch.name" in first and one.key != "arch.name":
                values["arch.name"] = arch
            try:
                config = task.configure(values)
                check(config, splits.train, splits.labelled)
            except UsageError as error:
                raise UsageError(f"{space.source}: space: {one.key}: {error}") from None
            refuse_unusable(task.settings.tune.objective, config, splits)


def _fixed(task: Task) -> dict[str, Any]:
    """What may not change once the folder exists; trials may be added."""
    settings, splits = task.settings, task.splits
    named = identified(settings.data, splits.fingerprint, splits.unlabelled_folder)
    sections = resolve.as_mapping(dataclasses.replace(settings.pick(TrainConfig), data=named))
    del sections["data"]["download"]
    tuned = {name: value for name, value in vars(settings.tune).items() if name != "trials"}
    space = {
        one.key: list(one.values) if isinstance(one, Choice) else dataclasses.asdict(one)
        for one in task.space.dimensions
    }
    how = {name: dict(vars(getattr(settings, name))) for name in ("classifier", "transforms", "sampler")}
    return {**sections, "tune": tuned, "space": space, **how, "fingerprint": splits.fingerprint}
