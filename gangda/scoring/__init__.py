"""`gangda score`: samples against held-out real images, into a folder with scores.json and pictures."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from gangda.classifying.evaluation import class_recalls
from gangda.config import catalog
from gangda.config.schema import ClassifierConfig, DataConfig, Runtime
from gangda.data.images import IntArray, LabelledImages
from gangda.data.loading import load_splits
from gangda.data.sample_set import SetOnDisk
from gangda.data.sample_set.card import with_scores
from gangda.data.sample_set.index import request_key
from gangda.data.splits import DataSplits
from gangda.data.twins import equal_images
from gangda.errors import UsageError
from gangda.metrics.evaluate import default_cache, evaluate_metrics, prepare_inputs
from gangda.metrics.inputs import MetricInputs
from gangda.metrics.memorisation import closest_pairs
from gangda.metrics.result import MetricResult
from gangda.report import figures
from gangda.runtime.device import DeviceContext, prepare
from gangda.runtime.files import refuse_unwritable, write_bytes
from gangda.runtime.plain import from_plain, to_plain
from gangda.runtime.progress import SILENT, Reporter
from gangda.runtime.results import FolderResult
from gangda.sampling.filters import is_circular
from gangda.scoring.answers import Answer, answers
from gangda.scoring.loading import align, data_behind, open_set, read_samples

PROTOCOL = 2  # raised when the same samples would get other numbers
PAIRS = 16  # closest samples shown


class ScoreResult(FolderResult):
    """The metrics of a set of samples, and what was compared; `values["metrics"]` is empty in a dry run."""

    file_name, what, of = "scores.json", "score", "samples"

    @property
    def metrics(self) -> tuple[MetricResult, ...]:
        """In the catalog's order."""
        return tuple(from_plain(MetricResult, metric) for metric in self.values["metrics"])

    @property
    def answers(self) -> tuple[Answer, ...]:
        """Whether labels are right, samples varied, and copied; empty in a dry run."""
        return answers(self.metrics, self.values["notes"]) if self.metrics else ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**super().as_dict(), "answers": to_plain(self.answers)}


def score(
    samples: Path,
    data: DataConfig | None,
    classifier: ClassifierConfig,
    runtime: Runtime,
    out: Path | None,
    *,
    metrics: Sequence[str] | None = None,
    changed: Mapping[str, Any] = MappingProxyType({}),
    dry_run: bool = False,
    reporter: Reporter = SILENT,
) -> ScoreResult:
    """Compare samples with the data's held-out test split; `out` defaults to scores/<samples>-<hash>.

    `samples` is a sample set, the images of an augmented set that are not real, or any data path, whole. Without
    `data`, it is the data that the set records as its source, with the same subset, but for the `changed` fields. The
    scorer is trained on the data's training split. `metrics` are names of the catalog (default: all).

    Raises:
        DataError: samples or data that cannot be read or do not fit together.
        UsageError: no known metric.
        RunError: `out` holds something else, a full disk.
    """
    names = tuple(name for name in catalog.METRICS if metrics is None or name in metrics)
    if not names:
        raise UsageError(f"--metrics: names none; choose from {', '.join(catalog.METRICS)}")
    context = prepare(runtime)
    own = open_set(samples)
    drawn = data_behind(samples, own, data, changed, runtime.seed)
    splits = load_splits(*drawn)
    images, splits = align(*read_samples(samples, own, splits, drawn[0].channels), samples)
    about = _about(samples, images, own, drawn, splits, classifier, runtime, context, names)
    out = out or Path("scores") / f"{samples.resolve().stem}-{about['id'][:8]}"
    finished = ScoreResult.find(out, about["id"])
    if finished is not None:
        return replace(finished, dry_run=dry_run)
    for note in about["notes"]:
        reporter.line(note)
    if dry_run:
        return ScoreResult({"metrics": [], **about}, out, dry_run=True)
    refuse_unwritable(out)
    inputs = prepare_inputs(
        images,
        splits,
        seed=runtime.seed,
        context=context,
        classifier=classifier,
        cache=default_cache(),
        circular=own is not None and _circular(own),
        reporter=reporter,
    )
    found, confusion = evaluate_metrics(inputs, names, reporter), _confusion(inputs, names)
    values = {"metrics": to_plain(found), "confusion": to_plain(confusion), **about}
    result = ScoreResult(values, out).write(_pictures(inputs, names, confusion))
    _add_to_card(samples / "README.md", found, f"{len(splits.test):,} held-out images of {splits.name}")
    return result


def _add_to_card(card: Path, found: Sequence[MetricResult], against: str) -> None:
    """Write the scores into the card of a set's folder, where there is one that may be written."""
    if not (card.is_file() and os.access(card.parent, os.W_OK)):
        return
    rows = [(one.name, f"{one.value:.4g}", "-" if one.floor is None else f"{one.floor:.4g}") for one in found]
    text = with_scores(card.read_text(encoding="utf-8"), f"By `gangda score`, against {against}.", rows)
    write_bytes(card, text.encode())


def _about(
    path: Path,
    images: LabelledImages,
    own: SetOnDisk | None,
    drawn: tuple[DataConfig, int],
    splits: DataSplits,
    classifier: ClassifierConfig,
    runtime: Runtime,
    context: DeviceContext,
    names: tuple[str, ...],
) -> dict[str, Any]:
    about = {
        "samples": str(path),
        "n": {"samples": len(images), "train": len(splits.train), "test": len(splits.test)},
        "data": {**asdict(drawn[0]), "seed": drawn[1]},
        "hashes": {
            "samples": images.content_hash(),
            "data": splits.fingerprint,
            "train": splits.train.content_hash(),
            "test": splits.test.content_hash(),
        },
        "seed": runtime.seed,
        "classifier": asdict(classifier),
        "labelled": splits.labelled,
        "notes": [*_notes(own, drawn, splits), *_copies(images, splits), *splits.alarms],
    }
    request = {
        "protocol": PROTOCOL,
        "machine": [context.device.type, context.precision, context.threads],
        "metrics": names,
        **{name: about[name] for name in ("hashes", "classifier", "seed")},
    }
    return {"id": request_key(request), **about}


def _notes(own: SetOnDisk | None, drawn: tuple[DataConfig, int], splits: DataSplits) -> list[str]:
    notes = []
    if not splits.labelled:
        notes.append("without labels there is no scorer: GAN-test, CAS and IS are left out")
    if own is None:
        return notes
    if _circular(own):
        notes.append("a classifier labelled or filtered the samples: GAN-test is circular")
    if own.fingerprint and own.fingerprint != splits.fingerprint:
        notes.append("the samples were made from other data than this (or another --image-size)")
    elif own.data_config is not None:
        subset = ("per_class", "class_counts", "validation")
        same = all(getattr(own.data_config, name) == getattr(drawn[0], name) for name in subset)
        if not same or own.data_seed != drawn[1]:
            notes.append(
                "the generator saw another training subset; give its --per-class, --validation and --seed, "
                "so that memorisation and floors are about the images it saw"
            )
    return notes


def _copies(images: LabelledImages, splits: DataSplits) -> list[str]:
    """How many samples equal a real image pixel for pixel: a count that needs no floor, however few they are."""
    parts = {"training": splits.train, "validation": splits.validation, "test": splits.test}
    found = []
    for name, part in (parts | {"unlabelled": splits.unlabelled}).items():
        if part is not None and (count := int(equal_images(images.pixels, part.pixels).sum())):
            found.append(f"ALARM: {count:,} of {len(images):,} samples are exact copies of {name} images")
    return found


def _circular(own: SetOnDisk) -> bool:
    """Whether a classifier labelled or filtered the samples."""
    return bool(own.index.sorting) or is_circular(own.index.provenance.get("labels"))


def _confusion(inputs: MetricInputs, names: Sequence[str]) -> IntArray | None:
    """Samples by intended class (rows) and the scorer's answer, int64 (K, K); None without GAN-test."""
    if "gan_test" not in names or not inputs.scorer:
        return None
    samples, shape = inputs.samples, (inputs.samples.images.num_classes,) * 2
    pairs = np.ravel_multi_index((samples.images.labels, samples.predicted()), shape)
    return np.bincount(pairs, minlength=shape[0] ** 2).reshape(shape)


def _pictures(inputs: MetricInputs, names: Sequence[str], confusion: IntArray | None) -> dict[str, bytes]:
    fake, real = inputs.samples.images, inputs.reference.images
    pictures = {"real-and-generated.png": figures.real_and_generated(real, fake)}
    if "memorisation" in names:
        pairs = closest_pairs(inputs, PAIRS)
        pictures["nearest-training-images.png"] = figures.nearest_pairs(
            inputs.fake.images.pixels[pairs.samples], inputs.seen.images.pixels[pairs.train], pairs.distances
        )
    if confusion is not None:
        pictures["confusion.png"] = figures.confusion_matrix(confusion, real.class_names, "intended")
        heldout, ours = (
            class_recalls(side.images.labels, side.predicted(), real.num_classes)
            for side in (inputs.reference, inputs.samples)
        )
        pictures["recall-by-class.png"] = figures.class_bars(real.class_names, heldout, ours)
    return pictures
