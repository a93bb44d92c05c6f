"""From samples and real splits to `MetricInputs`: which sets are compared, on which features, at which n.

The scorer is trained on the training split; the references are held out. Samples, held-out and training
images are matched to the same number in every class; the training images take the samples' place in every
floor.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from gangda.classifying.fit import FittedClassifier
from gangda.config.schema import ClassifierConfig
from gangda.data.images import FloatArray, IntArray, LabelledImages, UInt8Array
from gangda.data.paths import cache_root
from gangda.data.splits import DataSplits
from gangda.errors import DataError
from gangda.metrics.extractors import Extractor, Features, pixel_components, random_convolutions
from gangda.metrics.inputs import MetricInputs, Side, matched_rows
from gangda.metrics.modes import mode_extractor
from gangda.metrics.neighbours import spectrum
from gangda.metrics.scorer import ClassifierTrainer
from gangda.runtime.device import DeviceContext
from gangda.runtime.feature_cache import FeatureCache
from gangda.runtime.progress import SILENT, Reporter
from gangda.runtime.seeding import seed_for

REAL_SIDE = 2  # raised when the same real images would get another floor
PCA_LEAST = 200  # validation images below which principal components are fitted on the reference itself


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
    trainer = ClassifierTrainer(classifier, context, cache, reporter)
    extractors = _extractors(splits, heldout, trainer, seed)
    side = functools.partial(_side, store=store, extractors=extractors)
    whole, held, train = map(side, (samples, heldout, splits.train))
    fake, real = whole.take(fake_rows), held.take(real_rows)
    floor = side(splits.train.take(floor_rows))

    def remember(key: tuple[str, ...], compute: Callable[[], FloatArray]) -> FloatArray:
        numerics = (context.device.type, context.precision, context.threads)
        contents = [part.images.content_hash() for part in (floor, real, train)]
        return store.get(("real side", REAL_SIDE, seed, *numerics, *contents, *key), compute)

    own = seed_for(seed, "cas", repeat) if repeat else seed_for(seed, "cas")
    return MetricInputs(
        samples=whole,
        reference=held,
        train=train,
        fake=fake,
        real=real,
        floor=floor,
        extractors=extractors,
        scorer=trainer.name if splits.labelled else "",
        retrain=functools.partial(_retrain, trainer, store, heldout, own) if splits.labelled else None,
        seed=seed,
        circular=circular,
        remember=remember,
    )


def _side(
    images: LabelledImages, store: FeatureCache, extractors: Mapping[str, Callable[[], Extractor]]
) -> Side:
    def lookup(kind: str) -> Features:
        extractor = extractors[kind]()
        key = ("features", kind, extractor.fingerprint, images.content_hash())
        return store.get(key, lambda: extractor.embed(images.pixels))

    return Side(images, lookup)


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


def _extractors(
    splits: DataSplits, heldout: LabelledImages, trainer: ClassifierTrainer, seed: int
) -> Mapping[str, Callable[[], Extractor]]:
    """What makes each extractor, once; the scorer's features (under its name) and logits, and the modes, need labels.

    Principal components are fitted on images that were neither trained on nor scored, if there are enough.
    """
    other = splits.validation if len(splits.validation) >= PCA_LEAST else heldout
    makers: dict[str, Callable[[], Extractor]] = {
        "randconv": lambda: random_convolutions(splits.train.image_shape, trainer.context),
        "pca": lambda: pixel_components(other.pixels),
        "spectrum": lambda: Extractor("spectrum", "1", spectrum),
    }
    if splits.labelled:

        @functools.cache
        def scorer() -> FittedClassifier:
            return trainer.fit_cached(splits.train, seed_for(seed, "scorer"))

        def of_scorer(name: str, embed: Callable[[UInt8Array], Features]) -> Extractor:
            return Extractor(name, f"{scorer().fingerprint}-{trainer.context.precision}", embed)

        makers[trainer.name] = lambda: of_scorer(trainer.name, scorer().features)
        makers["logits"] = lambda: of_scorer("logits", scorer().logits)
        modes = mode_extractor(splits.train, trainer, seed)
        if modes is not None:
            makers["modes"] = lambda: modes
    return {name: functools.cache(make) for name, make in makers.items()}


def _retrain(
    trainer: ClassifierTrainer,
    store: FeatureCache,
    heldout: LabelledImages,
    seed: int,
    images: LabelledImages,
) -> IntArray:
    """Train the scorer's kind of classifier on `images`: its predictions for the held-out set, cached by content."""
    if np.count_nonzero(images.counts()) < 2:
        return np.full(len(heldout), images.labels[0], dtype=np.int64)  # it would always name this class
    images = replace(images, weight=None)
    key = trainer.key(images, seed)

    def predict() -> IntArray:
        return trainer.fit(images, seed).predict(heldout.pixels)

    return predict() if key is None else store.get(("cas", key, heldout.content_hash()), predict)
