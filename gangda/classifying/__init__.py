"""`gangda classify`: train a classifier on a set, once or with several seeds, and test it on real images.

Training images: a sample set or augmented set whole; of any other source the training split (subset by seed, validation
left out, as in every other command). No test image is among them.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gangda.classifying.fit import build_classifier, evaluate, fit_classifier, step_count
from gangda.classifying.held_out import SourceData, check_duplicates, load_test_images, source_of_set
from gangda.classifying.networks import custom
from gangda.config.schema import ClassifierConfig, DataConfig, Runtime, TransformConfig
from gangda.data.images import REAL, LabelledImages, aligned
from gangda.data.loading import load_source, load_splits
from gangda.data.sample_set import is_set
from gangda.data.sample_set.index import request_key
from gangda.errors import DataError, GangdaError, UsageError
from gangda.report import figures
from gangda.runtime.device import DeviceContext, prepare
from gangda.runtime.files import whole_folder, write_bytes
from gangda.runtime.hashed_file import write_hashed_json
from gangda.runtime.progress import SILENT, Reporter
from gangda.runtime.results import finished_values

PROTOCOL = 1  # raised when the same options would give other numbers
SUMMARISED = ("accuracy", "balanced_accuracy", "macro_f1", "train_accuracy", "train_test_gap")


@dataclass(frozen=True)
class ClassifyResult:
    """One classifier, or the same one with several seeds, tested.

    Attributes:
        runs: one dict per seed: `Evaluation.as_dict`, with `fingerprint` of the weights and `seconds`; empty in
            a dry run.
        about: set, test, counts, hashes, classifier, transforms, seeds, class names, notes; plain values.
        out: folder with evaluation.json and confusion.png.
        dry_run, reprinted: nothing was written; the result was there already.
    """

    runs: tuple[dict[str, Any], ...]
    about: dict[str, Any]
    out: Path
    dry_run: bool = False
    reprinted: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: means over the seeds on top, then each seed's own numbers."""
        return {
            **summary(self.runs),
            **self.about,
            "runs": list(self.runs),
            "out": str(self.out),
            "dry_run": self.dry_run,
            "reprinted": self.reprinted,
        }


@dataclass(frozen=True, eq=False)
class _Task:
    """Training images, test images, and the real data that they come from."""

    name: str
    train: LabelledImages
    test: LabelledImages
    notes: tuple[str, ...]
    source: SourceData


def classify(
    set_path: str,
    test: str | None,
    data: DataConfig,
    classifier: ClassifierConfig,
    transforms: TransformConfig | None,
    repeats: int,
    runtime: Runtime,
    out: Path | None,
    *,
    dry_run: bool = False,
    reporter: Reporter = SILENT,
) -> ClassifyResult:
    """Train on `set_path`, test on `test`; `out` defaults to classifications/<set>-<hash>.

    `set_path` is a sample set, an augmented set or anything that `--data` takes. `test` likewise: its test split, or
    all of it where it has none (but of the set's source data only what is held out); default is the test split of the
    source data. Repeats have the seeds seed, seed + 1, ...; they share the images, so their spread is that of the
    classifier alone.

    Raises:
        DataError: sets that cannot be read, do not fit together, or share images.
        UsageError: options that do not fit the set, an unusable classifier.
        RunError: `out` holds something else, a full disk.
    """
    context = prepare(runtime)
    task = _load(set_path, test, data, runtime.seed)
    seeds = [runtime.seed + repeat for repeat in range(repeats)]
    about = _about(task, set_path, test, classifier, transforms, seeds, context)
    out = out or Path("classifications") / f"{task.name}-{about['id'][:8]}"
    finished = _finished(out, about["id"])
    if finished is not None:
        return replace(finished, dry_run=dry_run)
    for note in about["notes"]:
        reporter.line(note)
    build_classifier(classifier.classifier, task.train.num_classes, task.train.image_shape)
    if dry_run:
        return ClassifyResult((), about, out, dry_run=True)
    runs = [_fit(task, classifier, transforms, seed, context, reporter) for seed in seeds]
    result = ClassifyResult(tuple(runs), about, out)
    _write(result)
    return result


def summary(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over the runs, standard deviations (None for a single run), recall by class, added-up confusion."""
    if not runs:
        return {}
    values = {name: np.array([run[name] for run in runs], dtype=np.float64) for name in SUMMARISED}
    spread = {name: float(numbers.std(ddof=1)) if len(runs) > 1 else None for name, numbers in values.items()}
    return {
        **{name: float(numbers.mean()) for name, numbers in values.items()},
        "spread": spread,
        "recall": [
            None if column[0] is None else float(np.mean(column))
            for column in zip(*(run["recall"] for run in runs), strict=True)
        ],
        "confusion": np.sum([run["confusion"] for run in runs], axis=0).tolist(),
    }


def _load(set_path: str, test: str | None, data: DataConfig, seed: int) -> _Task:
    config = replace(data, source=set_path)
    path = Path(set_path).expanduser()
    try:
        own = path.is_dir() and is_set(path)
        task = _own_set(path, config) if own else _source(config, seed)
    except GangdaError as error:
        raise type(error)(str(error).removeprefix("--data ")) from error
    own_test = test is None
    if test is not None:
        images, own_test = load_test_images(test, task.train, task.source, data.download)
        task = replace(task, test=images)
    elif not len(task.test):
        raise DataError(
            f"{set_path}: no test images belong to it ({'; '.join(task.notes)}); give some with --test"
        )
    task = replace(task, test=aligned(task.test, task.train, test or set_path))
    return replace(task, notes=(*task.notes, *check_duplicates(task.train, task.test, own_test)))


def _own_set(path: Path, config: DataConfig) -> _Task:
    """All of a sample set or augmented set, and the test split of the data it was made from."""
    if config.per_class is not None or config.class_counts is not None:
        raise UsageError(
            f"{path}: a sample set or augmented set is taken whole; leave out --per-class and --class-counts"
        )
    source = load_source(config)
    if not source.labelled:
        raise DataError(f"{path}: has no class labels; there is nothing to classify")
    test = source.train.take([]) if source.test is None else source.test
    shared = np.intersect1d(source.train.row_id[source.train.origin == REAL], test.row_id)
    if len(shared):
        raise DataError(
            f"{path}: {len(shared):,} of its images are test images of its source; make the set again"
        )
    return _Task(source.name, source.train, test, source.notes, source_of_set(path))


def _source(config: DataConfig, seed: int) -> _Task:
    """The training split of any source and its test split."""
    splits = load_splits(config, seed)
    if not splits.labelled:
        raise DataError(f"{config.source}: has no class labels; there is nothing to classify")
    source = SourceData(splits.fingerprint, config.image_size)
    return _Task(splits.name, splits.train, splits.test, splits.notes, source)


def _about(
    task: _Task,
    set_path: str,
    test: str | None,
    classifier: ClassifierConfig,
    transforms: TransformConfig | None,
    seeds: list[int],
    context: DeviceContext,
) -> dict[str, Any]:
    request = {
        "protocol": PROTOCOL,
        "hashes": {"train": task.train.content_hash(), "test": task.test.content_hash()},
        "classifier": asdict(classifier),
        "code": custom.code_of(classifier.classifier) if ":" in classifier.classifier else "",
        "transforms": None if transforms is None else asdict(transforms),
        "seeds": seeds,
        "machine": [context.device.type, context.precision, context.threads],
    }
    return {
        "id": request_key(request),
        "set": set_path,
        "test": test or "the set's own test split",
        "n_train": len(task.train),
        "n_test": len(task.test),
        "steps": step_count(classifier, len(task.train)),
        "class_names": list(task.train.class_names),
        "test_counts": task.test.counts().tolist(),
        **{name: request[name] for name in ("hashes", "classifier", "transforms", "seeds")},
        "notes": list(task.notes),
    }


def _fit(
    task: _Task,
    config: ClassifierConfig,
    transforms: TransformConfig | None,
    seed: int,
    context: DeviceContext,
    reporter: Reporter,
) -> dict[str, Any]:
    """Train and test with one seed."""
    began = time.monotonic()
    fitted = fit_classifier(
        task.train, config, seed=seed, context=context, transforms=transforms, reporter=reporter
    )
    seconds = time.monotonic() - began
    evaluation = evaluate(fitted, task.test, train=task.train)
    return {**evaluation.as_dict(), "fingerprint": fitted.fingerprint, "seconds": round(seconds, 3)}


def _finished(out: Path, identity: str) -> ClassifyResult | None:
    """The result that `out` holds already, None where there is none.

    Raises:
        RunError: `out` holds something else.
    """
    values = finished_values(out, "evaluation.json", identity, "classification", "sets")
    if values is None:
        return None
    runs = tuple(values.pop("runs"))
    about = {key: value for key, value in values.items() if key not in summary(runs)}
    return ClassifyResult(runs, about, out, reprinted=True)


def _write(result: ClassifyResult) -> None:
    """evaluation.json and confusion.png, as a whole folder."""
    values = {**summary(result.runs), **result.about, "runs": list(result.runs)}
    picture = figures.confusion_matrix(np.array(values["confusion"]), result.about["class_names"])
    with whole_folder(result.out) as folder:
        write_bytes(folder / "confusion.png", picture)
        write_hashed_json(folder / "evaluation.json", values)
