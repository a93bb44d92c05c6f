"""From samples and real splits to metrics: who is compared with whom, on which features, at which n.

The scorer is trained on the training split; the references are held out. Samples, held-out and training
images are matched to the same number in every class; the training images take the samples' place in every
floor.
"""

import contextlib
import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gangda.classifying.fit import FittedClassifier, fit_classifier
from gangda.config import catalog
from gangda.config.schema import ClassifierConfig
from gangda.data.images import FloatArray, IntArray, LabelledImages
from gangda.data.paths import cache_root
from gangda.data.splits import DataSplits
from gangda.errors import DataError, GangdaError
from gangda.metrics.inputs import Features, MetricInputs, Remember, Side, matched_rows
from gangda.metrics.lazy_features import Kinds, LazyFeatures, label_free, of_scorer
from gangda.metrics.mode_counting import mode_extractor
from gangda.metrics.result import MetricResult
from gangda.runtime.device import DeviceContext
from gangda.runtime.feature_cache import FeatureCache
from gangda.runtime.progress import SILENT, Reporter
from gangda.runtime.seeding import seed_for

REAL_SIDE = 1  # raised when the same real images would get another floor
LOW_CAS = 0.05  # so far below the ceiling, a good GAN-test means sameness


def judge(
    samples: LabelledImages,
    splits: DataSplits,
    *,
    seed: int,
    context: DeviceContext,
    classifier: ClassifierConfig,
    names: Sequence[str] = tuple(catalog.METRICS),
    reference: str = "test",
    cache: Path | None = None,
    circular: bool = False,
    reporter: Reporter = SILENT,
) -> list[MetricResult]:
    """Metrics of samples against real images.

    Args:
        samples: what is judged; class names and image shape are those of `splits`.
        splits: real images; the scorer is trained on `train`.
        seed: of the scorer and of every subsample.
        machine: where networks run.
        classifier: which scorer, trained for how long; the same for CAS.
        names: metrics of the catalog; ("gan_test",) is cheap, "cas" and "memorisation" are not.
        reference: "test", or "validation" while developing.
        cache: folder that keeps features and trained scorers, keyed by content; None keeps nothing.
        circular: a classifier sorted or filtered the samples.
        reporter: told which metric is being computed.

    Raises:
        DataError: samples that do not fit the data, or no class in common.
    """
    inputs = prepare_inputs(
        samples,
        splits,
        seed=seed,
        context=context,
        classifier=classifier,
        reference=reference,
        cache=cache,
        circular=circular,
        reporter=reporter,
    )
    return measure(inputs, names, reporter)


def default_cache() -> Path:
    """Where features are kept between runs."""
    return cache_root() / "features"


def measure(
    inputs: MetricInputs, names: Sequence[str] = tuple(catalog.METRICS), reporter: Reporter = SILENT
) -> list[MetricResult]:
    """The named metrics, in order; those that need labels are left out for unlabelled data."""
    results: list[MetricResult] = []
    for done, name in enumerate(names):
        reporter.step("metrics", done, len(names), name)
        results += catalog.builder("metric", catalog.METRICS, name)(inputs)
    reporter.step("metrics", len(names), len(names))
    return _cross_check(results)


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
    """What the metrics work on; arguments as for `judge`. Features are computed when one asks.

    `repeat`: which of several classifiers, all from seeds of their own, `retrain` trains.
    """
    heldout = {"test": splits.test, "validation": splits.validation}[reference]
    _check_fit(samples, splits.train, heldout)
    store = FeatureCache(cache)
    own = seed_for(seed, "cas", repeat) if repeat else seed_for(seed, "cas")
    kinds = _kinds(splits, heldout, classifier, seed, context, cache, reporter)
    fake_rows, real_rows, floor_rows = matched_rows([samples, heldout, splits.train], seed)
    if not len(fake_rows):
        raise DataError(
            "the samples have no class with images in the training and the held-out set; nothing to compare"
        )
    whole, real = _side(samples, kinds, store), _side(heldout, kinds, store)
    floor, matched = splits.train.take(floor_rows), _part(real, real_rows)
    return MetricInputs(
        samples=whole,
        reference=real,
        train=_side(splits.train, kinds, store),
        fake=_part(whole, fake_rows),
        real=matched,
        floor=_side(floor, kinds, store),
        extractors=LazyFeatures(kinds, lambda name: kinds[name].fingerprint),
        embed=LazyFeatures(kinds, lambda name: kinds[name].embed),
        scorer=scorer_name(classifier) if splits.labelled else "",
        retrain=_retrainer(heldout, classifier, own, context, store, reporter) if splits.labelled else None,
        seed=seed,
        circular=circular,
        remember=_memory((floor, matched.images, splits.train), (seed, context), store),
    )


def _kinds(
    splits: DataSplits,
    heldout: LabelledImages,
    classifier: ClassifierConfig,
    seed: int,
    context: DeviceContext,
    cache: Path | None,
    reporter: Reporter,
) -> Kinds:
    """All kinds of features, each made when it is asked for; those of a scorer need labels."""
    makers = label_free(splits, heldout, context)
    if splits.labelled:
        own = seed_for(seed, "scorer")
        scorer = functools.cache(
            lambda: cached_classifier(
                splits.train, classifier, seed=own, context=context, cache=cache, reporter=reporter
            )
        )
        modes = mode_extractor(splits.train, classifier, seed, context, reporter)
        makers |= of_scorer(scorer_name(classifier), scorer)
        makers |= {name: functools.partial(modes.__getitem__, name) for name in modes}
    return LazyFeatures(makers, lambda name: makers[name]())


def _memory(
    images: Sequence[LabelledImages], other: tuple[int, DeviceContext], store: FeatureCache
) -> Remember:
    """What keeps numbers that depend on real images alone, with all else they depend on."""
    seed, context = other
    place = (context.device.type, context.precision, context.threads)

    def remember(key: tuple[str, ...], compute: Callable[[], FloatArray]) -> FloatArray:
        contents = [part.content_hash() for part in images]
        return store.get(("real side", REAL_SIDE, seed, *place, *contents, *key), compute)

    return remember


def scorer_name(classifier: ClassifierConfig) -> str:
    """The classifier's name as it appears in metric names: `custom` for the user's own."""
    return classifier.classifier if classifier.classifier in catalog.CLASSIFIERS else "custom"


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


def _side(images: LabelledImages, kinds: Kinds, store: FeatureCache) -> Side:
    """Images with cached features, keyed by weights, content and kind (which fixes the preprocessing)."""
    content: list[str] = []

    def lookup(kind: str) -> Features:
        content[:] = content or [images.content_hash()]
        key = ("features", kind, kinds[kind].fingerprint, content[0])
        return store.get(key, lambda: kinds[kind].embed(images.pixels))

    return Side(images, lookup)


def _part(whole: Side, rows: IntArray) -> Side:
    return whole if len(rows) == len(whole) else whole.take(rows)


def cached_classifier(
    train: LabelledImages,
    classifier: ClassifierConfig,
    *,
    seed: int,
    context: DeviceContext,
    cache: Path | None,
    reporter: Reporter = SILENT,
) -> FittedClassifier:
    """A classifier, trained or from the cache (a folder): keyed by everything its weights depend on."""
    name = f"scorer-{_fit_key(train, classifier, seed, context)}.safetensors"
    # The code of a user's own classifier may change under its name: it is not kept.
    path = None if cache is None or scorer_name(classifier) == "custom" else cache / name
    if path is not None:
        with contextlib.suppress(GangdaError):  # not there yet, or damaged
            return FittedClassifier.load(path, context)
    fitted = fit_classifier(train, classifier, seed=seed, context=context, reporter=reporter)
    if path is not None:
        with contextlib.suppress(GangdaError, OSError):  # a cache that cannot be written costs time only
            fitted.save(path)
    return fitted


def _fit_key(train: LabelledImages, classifier: ClassifierConfig, seed: int, context: DeviceContext) -> str:
    parts = (train.content_hash(), classifier, seed, context.device.type, context.precision, context.threads)
    return f"{seed_for('scorer', *map(repr, parts)):016x}"


def _retrainer(
    heldout: LabelledImages,
    classifier: ClassifierConfig,
    own: int,
    context: DeviceContext,
    store: FeatureCache,
    reporter: Reporter,
) -> Callable[[LabelledImages], IntArray]:
    """What CAS trains, from the seed `own`: images -> predictions for the held-out set, cached by content."""

    def retrain(images: LabelledImages) -> IntArray:
        if np.count_nonzero(images.counts()) < 2:
            # One class: what it learns is known.
            return np.full(len(heldout), images.labels[0], dtype=np.int64)
        images = replace(images, weight=None)

        def predict() -> IntArray:
            return fit_classifier(images, classifier, seed=own, context=context, reporter=reporter).predict(
                heldout.pixels
            )

        if scorer_name(classifier) == "custom":
            return predict()
        key = ("cas", _fit_key(images, classifier, own, context), heldout.content_hash())
        return store.get(key, predict)

    return retrain


def _cross_check(results: list[MetricResult]) -> list[MetricResult]:
    """What several metrics say together: a good GAN-test and a low CAS mean too much alike."""
    tests = [result for result in results if result.name.startswith("gan_test")]
    if not tests or tests[0].floor is None or not tests[0].value >= tests[0].floor - LOW_CAS:
        return results
    return [_suspect(result) if result.name.startswith("cas") else result for result in results]


def _suspect(cas: MetricResult) -> MetricResult:
    if cas.floor is None or cas.value >= cas.floor - LOW_CAS:
        return cas
    return replace(
        cas,
        note=f"ALARM {cas.note}; with a good GAN-test: memorised, collapsed inside classes, or too typical",
    )
