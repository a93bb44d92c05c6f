"""From samples and real splits to `MetricInputs`: which sets are compared, on which features, at which n.

The scorer is trained on the training split; the references are held out. Samples, held-out and training
images are matched to the same number in every class; the training images take the samples' place in every
floor.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from gangda.classifying.fit import fit_classifier
from gangda.config.schema import ClassifierConfig
from gangda.data.images import FloatArray, IntArray, LabelledImages
from gangda.data.paths import cache_root
from gangda.data.splits import DataSplits
from gangda.errors import DataError
from gangda.metrics.inputs import Features, MetricInputs, Side, matched_rows
from gangda.metrics.lazy_features import feature_extractors
from gangda.metrics.scorer import fit_key, scorer_name
from gangda.runtime.device import DeviceContext
from gangda.runtime.feature_cache import FeatureCache
from gangda.runtime.progress import SILENT, Reporter
from gangda.runtime.seeding import seed_for

REAL_SIDE = 1  # raised when the same real images would get another floor


def default_cache() -> Path:
    """Folder in which features are kept between runs."""
    return cache_root() / "features"


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

    Args:
        samples: what is scored; class names and image shape are those of `splits`.
        splits: real images; the scorer is trained on `train`.
        seed: of the scorer and of every subsample.
        context: where networks run.
        classifier: which scorer, trained for how long; the same for CAS.
        reference: "test", or "validation" while developing.
        cache: folder that keeps features and trained scorers, keyed by content; None keeps nothing.
        circular: a classifier labelled or filtered the samples.
        reporter: gets the progress of training.
        repeat: which of several classifiers, each with a seed of its own, `retrain` trains.

    Raises:
        DataError: samples that do not fit the data, or no class in common.
    """
    heldout = {"test": splits.test, "validation": splits.validation}[reference]
    _check_fit(samples, splits.train, heldout)
    fake_rows, real_rows, floor_rows = matched_rows([samples, heldout, splits.train], seed)
    if not len(fake_rows):
        raise DataError(
            "the samples have no class with images in the training and the held-out set; nothing to compare"
        )
    store = FeatureCache(cache)
    extractors = feature_extractors(splits, heldout, classifier, seed, context, cache, reporter)

    def side(images: LabelledImages) -> Side:
        def lookup(kind: str) -> Features:
            key = ("features", kind, extractors[kind].fingerprint, images.content_hash())
            return store.get(key, lambda: extractors[kind].embed(images.pixels))

        return Side(images, lookup)

    def part(whole: Side, rows: IntArray) -> Side:
        return whole if len(rows) == len(whole) else whole.take(rows)

    whole, held = side(samples), side(heldout)
    floor, real = side(splits.train.take(floor_rows)), part(held, real_rows)

    def remember(key: tuple[str, ...], compute: Callable[[], FloatArray]) -> FloatArray:
        numerics = (context.device.type, context.precision, context.threads)
        contents = [images.content_hash() for images in (floor.images, real.images, splits.train)]
        return store.get(("real side", REAL_SIDE, seed, *numerics, *contents, *key), compute)

    own = seed_for(seed, "cas", repeat) if repeat else seed_for(seed, "cas")
    return MetricInputs(
        samples=whole,
        reference=held,
        train=side(splits.train),
        fake=part(whole, fake_rows),
        real=real,
        floor=floor,
        extractors=extractors,
        scorer=scorer_name(classifier) if splits.labelled else "",
        retrain=_retrainer(heldout, classifier, own, context, store, reporter) if splits.labelled else None,
        seed=seed,
        circular=circular,
        remember=remember,
    )


def _check_fit(samples: LabelledImages, train: LabelledImages, heldout: LabelledImages) -> None:
    if not len(samples):
        raise DataError("there are no samples to score")
    if not len(heldout):
        raise DataError(
            "there are no held-out real images to compare with; raise --validation or add a test split"
        )
    if samples.class_names != train.class_names:
        raise DataError(
            f"the samples are of {list(samples.class_names)}, the data of {list(train.class_names)}"
        )
    if samples.image_shape != train.image_shape:
        raise DataError(
            f"the samples are {samples.image_shape} (C, H, W), the data {train.image_shape}; set --image-size"
        )


def _retrainer(
    heldout: LabelledImages,
    classifier: ClassifierConfig,
    seed: int,
    context: DeviceContext,
    store: FeatureCache,
    reporter: Reporter,
) -> Callable[[LabelledImages], IntArray]:
    """What CAS trains: images -> predictions for the held-out set, cached by content."""

    def retrain(images: LabelledImages) -> IntArray:
        if np.count_nonzero(images.counts()) < 2:
            return np.full(len(heldout), images.labels[0], dtype=np.int64)  # it would always name this class
        images = replace(images, weight=None)

        def predict() -> IntArray:
            fitted = fit_classifier(images, classifier, seed=seed, context=context, reporter=reporter)
            return fitted.predict(heldout.pixels)

        if scorer_name(classifier) == "custom":  # its code may change under its name
            return predict()
        return store.get(("cas", fit_key(images, classifier, seed, context), heldout.content_hash()), predict)

    return retrain
