"""The classifiers that score samples, trained on real images and cached by everything their weights depend on."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from gangda.classifying.fit import FittedClassifier, fit_classifier
from gangda.config import catalog
from gangda.config.schema import ClassifierConfig
from gangda.data.images import LabelledImages
from gangda.errors import GangdaError
from gangda.runtime.device import DeviceContext
from gangda.runtime.progress import SILENT, Reporter
from gangda.runtime.seeding import seed_for


@dataclass(frozen=True, eq=False)
class ClassifierTrainer:
    """Trains classifiers of one configuration; `cache` is a folder that keeps them, None keeps nothing."""

    config: ClassifierConfig
    context: DeviceContext
    cache: Path | None = None
    reporter: Reporter = SILENT

    @property
    def name(self) -> str:
        """The classifier's name as it appears in metric names: `custom` for the user's own."""
        return self.config.classifier if self.config.classifier in catalog.CLASSIFIERS else "custom"

    def key(self, train: LabelledImages, seed: int) -> str | None:
        """Hash of everything that the weights depend on, 16 hex digits.

        None for a user's own classifier, whose code may change under its name.
        """
        if self.name == "custom":
            return None
        machine = (self.context.device.type, self.context.precision, self.context.threads)
        parts = (train.content_hash(), self.config, seed, *machine)
        return f"{seed_for('scorer', *map(repr, parts)):016x}"

    def fit(self, train: LabelledImages, seed: int) -> FittedClassifier:
        """A newly trained classifier."""
        return fit_classifier(train, self.config, seed=seed, context=self.context, reporter=self.reporter)

    def fit_cached(self, train: LabelledImages, seed: int) -> FittedClassifier:
        """A classifier from the cache, or trained and kept there."""
        key = self.key(train, seed)
        if self.cache is None or key is None:
            return self.fit(train, seed)
        path = self.cache / f"scorer-{key}.safetensors"
        with contextlib.suppress(GangdaError):  # not there yet, or damaged
            return FittedClassifier.load(path, self.context)
        fitted = self.fit(train, seed)
        with contextlib.suppress(GangdaError, OSError):  # a cache that cannot be written costs time only
            fitted.save(path)
        return fitted
