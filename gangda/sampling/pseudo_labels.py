"""Labels for an unconditional generator's samples: a classifier trained on the same real images chooses them.

Two classifiers, seeded apart from each other and from any scorer, are trained on the generator's own training images:
the first chooses the class, the second is only asked whether it agrees. Their errors are shared to some extent, with
each other and with the generator, which saw the same images; and the accuracy of the samples on a classifier (GAN-test)
means little once a classifier has chosen them.
"""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.special

from gangda.classifying.ensemble import ClassifierEnsemble, cached_ensemble
from gangda.classifying.fit import FittedClassifier, fit_classifier
from gangda.config.fields import from_plain
from gangda.config.schema import ClassifierConfig, DataConfig
from gangda.data.images import IntArray, LabelledImages, UInt8Array
from gangda.data.loading import load_splits
from gangda.data.splits import DataSplits
from gangda.errors import DataError, RunError
from gangda.runtime.device import DeviceContext
from gangda.runtime.progress import SILENT, Reporter
from gangda.runtime.seeding import seed_for
from gangda.training.saved_model import Model

FOLDER = "pseudo-labels"  # inside the run folder
ROLES = ("labeler", "verifier")
STREAMS = ("chooser", "referee")  # keys of their seeds, which results depend on


class PseudoLabeler(ClassifierEnsemble):
    """Two classifiers trained on the same images with different seeds: `labeler` and `verifier`.

    `share` is the labeler's accuracy on the validation images of the same subset, in [0, 1]; None without any.
    """

    @property
    def labeler(self) -> FittedClassifier:
        """Gives each image its class and confidence."""
        return self.members[0]

    @property
    def verifier(self) -> FittedClassifier:
        """Says whether it would have chosen the same class."""
        return self.members[1]

    def label(self, pixels: UInt8Array) -> tuple[IntArray, npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Class int64 (N,), confidence float32 (N,), agreement bool (N,) of uint8 (N, H, W, C) images."""
        logits = self.labeler.logits(pixels).astype(np.float64)
        chosen = logits.argmax(axis=1).astype(np.int64)
        confidence = scipy.special.softmax(logits, axis=1).max(axis=1).astype(np.float32)
        return chosen, confidence, self.verifier.predict(pixels) == chosen

    def as_dict(self) -> dict[str, Any]:
        """What an index says of the labels."""
        return {
            "made": f"by {self.labeler.name} trained on the run's own training images",
            "classifier": self.labeler.fingerprint,
            "verifier": self.verifier.fingerprint,
            "n_train": self.labeler.n_train,
            "steps": self.labeler.steps,
            "validation_accuracy": self.share,
        }


def fit_pseudo_labeler(
    train: LabelledImages,
    validation: LabelledImages,
    *,
    seed: int,
    context: DeviceContext,
    config: ClassifierConfig | None = None,
    reporter: Reporter = SILENT,
) -> PseudoLabeler:
    """Train both classifiers on `train` (the images that the generator was trained on)."""
    config = config or ClassifierConfig()
    seeds = [seed_for(seed, "sorter", stream) for stream in STREAMS]
    labeler, verifier = (
        fit_classifier(train, config, seed=own, context=context, reporter=reporter) for own in seeds
    )
    right = labeler.predict(validation.pixels) == validation.labels
    return PseudoLabeler((labeler, verifier), float(right.mean()) if len(right) else None)


def pseudo_labeler_of_run(model: Model, context: DeviceContext, reporter: Reporter = SILENT) -> PseudoLabeler:
    """The one kept in the run folder; trained and put there if there is none yet.

    One process trains it, others that want the same one wait for it.

    Raises RunError: there is no run folder, or its training images cannot be read or are not what they were.
    """
    run, config = model.run, ClassifierConfig()
    if run is None:
        raise RunError(f"{model.named}: makes images without labels, and has no run folder to label them by")

    def fit() -> ClassifierEnsemble:
        reporter.line(f"training the classifiers that choose labels for the samples of {run}")
        splits = splits_of_run(model)
        return fit_pseudo_labeler(
            splits.train,
            splits.validation,
            seed=model.card.seed,
            context=context,
            config=config,
            reporter=reporter,
        )

    kept = cached_ensemble(run / FOLDER, ROLES, "validation_accuracy", config, context, fit, reporter)
    return PseudoLabeler(kept.members, kept.share)


def splits_of_run(model: Model) -> DataSplits:
    """The images that a generator was trained on, with the validation images of the same subset.

    Raises RunError: the source cannot be loaded, its content has changed since, or rows are gone.
    """
    try:
        splits = load_splits(from_plain(DataConfig, model.card.data), model.card.seed)
    except DataError as error:
        reason = str(error).removeprefix("--data").lstrip(": ")
        raise RunError(f"{model.named}: needs its training images again: {reason}") from error
    if splits.fingerprint != model.card.fingerprint:
        source = model.card.data["source"]
        raise RunError(f"{model.named}: {source} has changed since it was trained; train it again")
    rows = np.flatnonzero(np.isin(splits.train.row_id, model.row_ids))
    unlabelled = 0 if splits.unlabelled is None else np.isin(splits.unlabelled.row_id, model.row_ids).sum()
    if len(rows) + unlabelled != len(model.row_ids):
        raise RunError(f"{model.named}: its training images are not those of its data options; train again")
    return dataclasses.replace(splits, train=splits.train.take(rows))
