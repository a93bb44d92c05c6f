"""From samples and real splits to metrics: which sets are compared, on which features, at which n.

The scorer is trained on the training split; the references are held out. Samples, held-out and training images are
matched to the same number in every class; the training images take the samples' place in every floor.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gangda.classifying.self_training import without_labels
from gangda.config import catalog
from gangda.config.schema import ClassifierConfig
from gangda.data.images import FloatArray, IntArray, LabelledImages, concatenate
from gangda.data.paths import cache_root
from gangda.data.splits import DataSplits
from gangda.errors import DataError
from gangda.metrics.extractors import Extractor, Features, pixel_components, random_convolutions
from gangda.metrics.inputs import MetricInputs, Side, matched_rows
from gangda.metrics.modes import mode_extractor
from gangda.metrics.neighbours import spectrum
from gangda.metrics.result import MetricResult
from gangda.metrics.scorer import ClassifierTrainer
from gangda.runtime.device import DeviceContext
from gangda.runtime.feature_cache import FeatureCache
from gangda.runtime.progress import SILENT, Reporter
from gangda.runtime.seeding import seed_for

REAL_SIDE = 2  # raised when the same real images would get another floor
PCA_LEAST = 200  # validation images below which principal components are fitted on the reference itself
LOW_CAS = 0.05  # so far below the ceiling, a good GAN-test means that the samples are too much alike


def default_cache() -> Path:
    """Folder in which features are kept between runs."""
    return cache_root() / "features"


def evaluate_metrics(
    inputs: MetricInputs, names: Sequence[str] | None = None, reporter: Reporter = SILENT
) -> list[MetricResult]:
    """The named metrics, in order (default: all); those that need labels are left out for unlabelled data."""
    names = tuple(catalog.METRICS) if names is None else names
    results: list[MetricResult] = []
    for done, name in enumerate(names):
        reporter.step("metrics", done, len(names), name)
        results += catalog.builder("metric", catalog.METRICS, name)(inputs)
    reporter.step("metrics", len(names), len(names))
    return _cross_check(results)


def _cross_check(results: list[MetricResult]) -> list[MetricResult]:
    """A good GAN-test with a low CAS means samples that are too much alike: an alarm."""

    def low(result: MetricResult, metric: str) -> bool:
        below = result.floor is not None and result.value < result.floor - LOW_CAS
        return result.name.startswith(metric) and below

    tests = [result for result in results if result.name.startswith("gan_test")]
    if not tests or tests[0].floor is None or low(tests[0], "gan_test"):
        return results
    why = "with a good GAN-test: memorised, collapsed inside classes, or too typical"
    return [
        replace(result, note=f"ALARM {result.note}; {why}") if low(result, "cas") else result
        for result in results
    ]


def prepare_inputs(
    samples: LabelledImages,
    splits: DataSplits,
    *,
    seed: int,
    context: DeviceContext,
    classifier: ClassifierConfig,
    reference: str = "test",
    cache: Path | None = None,
    circular: bool = False,
    reporter: Reporter = SILENT,
    repeat: int = 0,
) -> MetricInputs:
    """The inputs of all metrics; features are computed when a metric first asks for them.

    `samples` have the class names and the image shape of `splits`, on whose training images the scorer is trained;
    `reference` is "test", or "validation" while developing; `cache` keeps features and trained scorers, keyed by
    content; `circular`: a classifier labelled or filtered the samples; `repeat`: which of several classifiers,
    each with a seed of its own, `retrain` trains.

    Raises DataError: samples that do not fit the data, or no class in common.
    """
    heldout = {"test": splits.test, "validation": splits.validation}[reference]
    _check_fit(samples, splits.train, heldout)
    fake_rows, real_rows, floor_rows = matched_rows([samples, heldout, splits.train], seed)
    if not len(fake_rows):
        raise DataError("the samples have no class with training and held-out images; nothing to compare")
    store, trainer = FeatureCache(cache), ClassifierTrainer(classifier, context, cache, reporter)
    extractors = _extractors(splits, heldout, trainer, seed)

    def side(images: LabelledImages) -> Side:
        def lookup(kind: str) -> Features:
            extractor = extractors[kind]()
            key = ("features", kind, extractor.fingerprint, images.content_hash())
            return store.get(key, lambda: extractor.embed(images.pixels))

        return Side(images, lookup)

    whole, held, train = map(side, (samples, heldout, splits.train))
    more = splits.unlabelled
    seen = train if more is None else side(concatenate(splits.train, without_labels(more, splits.train)))
    real, floor = held.take(real_rows), side(splits.train.take(floor_rows))

    def remember(key: tuple[str, ...], compute: Callable[[], FloatArray]) -> FloatArray:
        numerics = (context.device.type, context.precision, context.threads)
        contents = [part.images.content_hash() for part in (floor, real, seen)]
        return store.get(("real side", REAL_SIDE, seed, *numerics, *contents, *key), compute)

    def retrain(images: LabelledImages) -> IntArray:
        if np.count_nonzero(images.counts()) < 2:
            return np.full(len(heldout), images.labels[0], dtype=np.int64)  # it would always name this class
        images, own = replace(images, weight=None), seed_for(seed, "cas", *([repeat] if repeat else []))
        key = trainer.key(images, own)

        def predict() -> IntArray:
            return trainer.fit(images, own).predict(heldout.pixels)

        return predict() if key is None else store.get(("cas", key, heldout.content_hash()), predict)

    return MetricInputs(
        samples=whole,
        reference=held,
        train=train,
        seen=seen,
        fake=whole.take(fake_rows),
        real=real,
        floor=floor,
        extractors=extractors,
        scorer=trainer.name if splits.labelled else "",
        retrain=retrain if splits.labelled else None,
        seed=seed,
        circular=circular,
        remember=remember,
    )


def _check_fit(samples: LabelledImages, train: LabelledImages, heldout: LabelledImages) -> None:
    if not len(samples):
        raise DataError("there are no samples to score")
    if not len(heldout):
        raise DataError("there are no held-out real images; raise --validation or add a test split")
    if samples.class_names != train.class_names:
        ours, theirs = list(samples.class_names), list(train.class_names)
        raise DataError(f"samples of {ours}, data of {theirs}; give the --data that the samples are of")
    if samples.image_shape != train.image_shape:
        shapes = f"the samples are {samples.image_shape} (C, H, W), the data {train.image_shape}"
        raise DataError(f"{shapes}; set --image-size")


def _extractors(
    splits: DataSplits, heldout: LabelledImages, trainer: ClassifierTrainer, seed: int
) -> Mapping[str, Callable[[], Extractor]]:
    """What makes each extractor, once; the scorer's features (under its name) and logits, and the modes, need labels.

    Principal components are fitted on images that were neither trained on nor scored, if there are enough.
    """
    other = splits.validation if len(splits.validation) >= PCA_LEAST else heldout
    scorer = functools.cache(lambda: trainer.fit_cached(splits.train, seed_for(seed, "scorer")))

    def of_scorer(name: str) -> Extractor:
        fingerprint = f"{scorer().fingerprint}-{trainer.context.precision}"
        return Extractor(name, fingerprint, scorer().logits if name == "logits" else scorer().features)

    makers: dict[str, Callable[[], Extractor]] = {
        "randconv": lambda: random_convolutions(splits.train.image_shape, trainer.context),
        "pca": lambda: pixel_components(other.pixels),
        "spectrum": lambda: Extractor("spectrum", "1", spectrum),
    }
    if splits.labelled:
        makers |= {name: functools.partial(of_scorer, name) for name in (trainer.name, "logits")}
        modes = mode_extractor(splits.train, trainer, seed)
        if modes is not None:
            makers["modes"] = lambda: modes
    return {name: functools.cache(make) for name, make in makers.items()}
