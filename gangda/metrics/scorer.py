"""The classifier that scores samples, trained on real images and cached by everything its weights depend on."""

import contextlib
from pathlib import Path

from gangda.classifying.fit import FittedClassifier, fit_classifier
from gangda.config import catalog
from gangda.config.schema import ClassifierConfig
from gangda.data.images import LabelledImages
from gangda.errors import GangdaError
from gangda.runtime.device import DeviceContext
from gangda.runtime.progress import SILENT, Reporter
from gangda.runtime.seeding import seed_for


def scorer_name(classifier: ClassifierConfig) -> str:
    """The classifier's name as it appears in metric names: `custom` for the user's own."""
    return classifier.classifier if classifier.classifier in catalog.CLASSIFIERS else "custom"


def fit_key(train: LabelledImages, classifier: ClassifierConfig, seed: int, context: DeviceContext) -> str:
    """Hash of everything that the weights of a catalog classifier depend on, 16 hex digits."""
    parts = (train.content_hash(), classifier, seed, context.device.type, context.precision, context.threads)
    return f"{seed_for('scorer', *map(repr, parts)):016x}"


def cached_classifier(
    train: LabelledImages,
    classifier: ClassifierConfig,
    *,
    seed: int,
    context: DeviceContext,
    cache: Path | None,
    reporter: Reporter = SILENT,
) -> FittedClassifier:
    """A classifier, trained or read from the folder `cache`; None caches nothing."""
    name = f"scorer-{fit_key(train, classifier, seed, context)}.safetensors"
    # The code of a user's own classifier may change under its name: it is not cached.
    path = None if cache is None or scorer_name(classifier) == "custom" else cache / name
    if path is not None:
        with contextlib.suppress(GangdaError):  # not there yet, or damaged
            return FittedClassifier.load(path, context)
    fitted = fit_classifier(train, classifier, seed=seed, context=context, reporter=reporter)
    if path is not None:
        with contextlib.suppress(GangdaError, OSError):  # a cache that cannot be written costs time only
            fitted.save(path)
    return fitted
