"""`gangda score`: samples against held-out real images, into a folder with scores.json and pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gangda.config.schema import ClassifierConfig, DataConfig, Runtime, ScoreConfig
from gangda.data.images import LabelledImages
from gangda.data.loading import load_splits
from gangda.data.sample_set import SetOnDisk, is_set, read_set
from gangda.data.sample_set.index import request_key
from gangda.data.splits import DataSplits
from gangda.errors import UsageError
from gangda.metrics.inputs import MetricInputs
from gangda.metrics.intervals import recalls
from gangda.metrics.judge import default_cache, measure, prepare_inputs
from gangda.metrics.memorisation import closest_pairs
from gangda.report import score_figures
from gangda.runtime.device import DeviceContext, prepare
from gangda.runtime.files import whole_folder, without_nan, write_bytes
from gangda.runtime.hashed_file import write_hashed_json
from gangda.runtime.progress import SILENT, Reporter
from gangda.sampling.filters import classifier_chose
from gangda.scoring.result import ScoreResult, read_finished
from gangda.scoring.sample_loading import align, data_behind, read_samples

__all__ = ["ScoreResult", "score"]

PROTOCOL = 2  # raised when the same samples would get other numbers
PAIRS = 16  # closest samples shown


def score(
    samples: Path,
    data: DataConfig | None,
    classifier: ClassifierConfig,
    runtime: Runtime,
    out: Path | None,
    *,
    metrics: Sequence[str] = ScoreConfig().metrics,
    changed: Mapping[str, Any] = MappingProxyType({}),
    dry_run: bool = False,
    reporter: Reporter = SILENT,
) -> ScoreResult:
    """Compare samples with the data's held-out test split; `out` defaults to scores/<samples>-<hash>.

    Without `data`, it is the data, subset and all, that the set of samples says it was made from, but for the
    `changed` fields of its `DataConfig`.

    `samples` is a sample set, the images of an augmented set that are not real, or any data path, whole. The
    classifier that judges is trained on the data's training split. `metrics` are names of the catalog; they come in
    its order, and what none of them needs is not computed.

    Raises:
        DataError: samples or data that cannot be read or do not fit together.
        UsageError: no metrics at all.
        RunError: `out` of somebody else's, a full disk.
    """
    names = _ordered(metrics)
    context = prepare(runtime)
    own = read_set(samples) if samples.is_dir() and is_set(samples) else None
    drawn = data_behind(samples, own, data, changed, runtime.seed)
    images, splits = _aligned(samples, own, load_splits(*drawn))
    about = _about(samples, images, own, drawn, splits, classifier, runtime, context, names)
    out = out or Path("scores") / f"{samples.resolve().stem}-{about['id'][:8]}"
    finished = read_finished(out, about["id"])
    if finished is not None:
        return replace(finished, dry_run=dry_run)
    for note in about["notes"]:
        reporter.line(note)
    if dry_run:
        return ScoreResult((), about, out, dry_run=True)
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
    result = ScoreResult(tuple(measure(inputs, names, reporter)), about, out)
    _write(result, inputs, names)
    return result


def _ordered(metrics: Sequence[str]) -> tuple[str, ...]:
    """The metrics in the catalog's order."""
    names = tuple(name for name in ScoreConfig().metrics if name in metrics)
    if not names:
        raise UsageError(f"--metrics: names none; choose from {', '.join(ScoreConfig().metrics)}")
    return names


def _aligned(path: Path, own: SetOnDisk | None, splits: DataSplits) -> tuple[LabelledImages, DataSplits]:
    """The samples, and the real images that they are compared with."""
    return align(read_samples(path, own, splits), splits, path)


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
    hashes = {
        "samples": images.content_hash(),
        "data": splits.fingerprint,
        "train": splits.train.content_hash(),
        "test": splits.test.content_hash(),
    }
    request = {
        "protocol": PROTOCOL,
        "hashes": hashes,
        "classifier": asdict(classifier),
        "seed": runtime.seed,
        "machine": [context.device.type, context.precision, context.threads],
    }
    if names != ScoreConfig().metrics:  # all of them: the score keeps the id it always had
        request["metrics"] = names
    return {
        "id": request_key(request),
        "samples": str(path),
        "n": {"samples": len(images), "train": len(splits.train), "test": len(splits.test)},
        "data": {**asdict(drawn[0]), "seed": drawn[1]},
        "hashes": hashes,
        "seed": runtime.seed,
        "classifier": asdict(classifier),
        "labelled": splits.labelled,
        "notes": _notes(own, drawn, splits),
    }


def _notes(own: SetOnDisk | None, drawn: tuple[DataConfig, int], splits: DataSplits) -> list[str]:
    """What makes the numbers mean less than they seem to."""
    notes = []
    if not splits.labelled:
        notes.append("without labels there is no scorer: GAN-test, CAS and IS are left out")
    if own is None:
        return notes
    if _circular(own):
        notes.append("a classifier sorted or filtered the samples: GAN-test is circular")
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


def _circular(own: SetOnDisk) -> bool:
    """Whether a classifier sorted or filtered the samples."""
    return bool(own.index.sorting) or classifier_chose(own.index.provenance.get("labels"))


def _write(result: ScoreResult, inputs: MetricInputs, names: Sequence[str]) -> None:
    """scores.json and the pictures, all at once."""
    with whole_folder(result.out) as folder:
        for name, picture in _pictures(inputs, names).items():
            write_bytes(folder / name, picture)
        metrics = [without_nan(metric.as_dict()) for metric in result.metrics]
        write_hashed_json(folder / "scores.json", {**result.about, "metrics": metrics})


def _pictures(inputs: MetricInputs, names: Sequence[str]) -> dict[str, bytes]:
    """Samples beside real images, and what belongs to some of the metrics."""
    fake, real = inputs.samples.images, inputs.reference.images
    pictures = {"real-and-generated.png": score_figures.real_and_generated(real, fake)}
    if "memorisation" in names:
        pairs = closest_pairs(inputs, PAIRS)
        pictures["nearest-training-images.png"] = score_figures.nearest_pairs(
            inputs.fake.images.pixels[pairs.samples], inputs.train.images.pixels[pairs.train], pairs.distances
        )
    if "gan_test" in names and inputs.scorer:
        heldout, ours = (
            recalls(side.images.labels, side.predicted(), real.num_classes)
            for side in (inputs.reference, inputs.samples)
        )
        pictures["recall-by-class.png"] = score_figures.class_bars(real.class_names, heldout, ours)
    return pictures
