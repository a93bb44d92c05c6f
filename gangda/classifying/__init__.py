"""`gangda classify`: train a classifier on a set, once or with several seeds, and test it on real images.

Training images: a sample set or augmented set whole; of any other source the training split (subset by seed, validation
left out, as in every other command). No test image is among them.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from gangda.classifying import custom
from gangda.classifying.fit import build_classifier, evaluate, fit_classifier, step_count
from gangda.classifying.loading import load_images
from gangda.config.schema import ClassifierConfig, DataConfig, Runtime, TransformConfig
from gangda.data.sample_set.index import request_key
from gangda.report import figures
from gangda.runtime.device import prepare
from gangda.runtime.files import refuse_unwritable
from gangda.runtime.plain import to_plain
from gangda.runtime.progress import SILENT, Reporter
from gangda.runtime.results import FolderResult

PROTOCOL = 1  # raised when the same options would give other numbers
SUMMARISED = ("accuracy", "balanced_accuracy", "macro_f1", "train_accuracy", "train_test_gap")


class ClassifyResult(FolderResult):
    """One classifier, or the same one with several seeds, tested.

    `values`: `summary` of the runs; set, test, counts, hashes, classifier, transforms, seeds, class names, notes; and
    `runs`, for each seed `Evaluation.as_dict` with `fingerprint` of the weights and `seconds`. A dry run has none.
    """

    file_name, what, of = "evaluation.json", "classification", "sets"


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

    Raises DataError: sets that cannot be read, do not fit together, or share images; UsageError: options that do not
    fit the set, an unusable classifier; RunError: `out` holds something else, a full disk.
    """
    context = prepare(runtime)
    splits = load_images(set_path, test, data, runtime.seed)
    seeds = [runtime.seed + repeat for repeat in range(repeats)]
    asked = {
        "hashes": {"train": splits.train.content_hash(), "test": splits.test.content_hash()},
        "classifier": asdict(classifier),
        "transforms": None if transforms is None else asdict(transforms),
        "seeds": seeds,
    }
    code = custom.code_of(classifier.classifier)
    machine = [context.device.type, context.precision, context.threads]
    about = {
        "id": request_key({"protocol": PROTOCOL, "code": code, "machine": machine, **asked}),
        "set": set_path,
        "test": test or "the set's own test split",
        "n_train": len(splits.train),
        "n_test": len(splits.test),
        "steps": step_count(classifier, len(splits.train)),
        "class_names": list(splits.train.class_names),
        "test_counts": splits.test.counts().tolist(),
        **asked,
        "notes": list(splits.notes),
    }
    out = out or Path("classifications") / f"{splits.name}-{about['id'][:8]}"
    finished = ClassifyResult.find(out, about["id"])
    if finished is not None:
        return replace(finished, dry_run=dry_run)
    for note in splits.notes:
        reporter.line(note)
    build_classifier(classifier.classifier, splits.train.num_classes, splits.train.image_shape)
    if dry_run:
        return ClassifyResult({**about, "runs": []}, out, dry_run=True)
    refuse_unwritable(out)
    runs, evaluations = [], []
    for seed in seeds:
        began = time.monotonic()
        fitted = fit_classifier(
            splits.train, classifier, seed=seed, context=context, transforms=transforms, reporter=reporter
        )
        seconds = round(time.monotonic() - began, 3)
        evaluations.append(evaluate(fitted, splits.test, train=splits.train))
        runs.append({**evaluations[-1].as_dict(), "fingerprint": fitted.fingerprint, "seconds": seconds})
    confusion = np.sum([one.confusion for one in evaluations], axis=0)
    values = {**summary(runs), "confusion": to_plain(confusion), **about, "runs": runs}
    picture = figures.confusion_matrix(confusion, about["class_names"])
    return ClassifyResult(values, out).write({"confusion.png": picture})


def summary(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over the runs, standard deviations (None for a single run), recall by class."""
    values = {name: np.array([run[name] for run in runs], dtype=np.float64) for name in SUMMARISED}
    spread = {name: float(numbers.std(ddof=1)) if len(runs) > 1 else None for name, numbers in values.items()}
    recalls = zip(*(run["recall"] for run in runs), strict=True)
    return {
        **{name: float(numbers.mean()) for name, numbers in values.items()},
        "spread": spread,
        "recall": [None if column[0] is None else float(np.mean(column)) for column in recalls],
    }
