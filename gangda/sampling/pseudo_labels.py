"""Labels for an unconditional generator: a classifier trained on the same real images sorts its samples.

This is pseudo-labelling. Two classifiers, seeded apart from each other and from any scorer, are trained on
the generator's own training images: the first chooses the class, the second is only asked whether it agrees.
Their errors are shared to some extent, with each other and with the generator, which saw the same images; and
the accuracy of the samples on a classifier (GAN-test) means little once a classifier has chosen them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gangda.classifying.ensemble import ClassifierEnsemble, kept_panel
from gangda.classifying.fit import FittedClassifier, fit_classifier
from gangda.config.fields import from_plain
from gangda.config.schema import ClassifierConfig, DataConfig
from gangda.data.images import IntArray, LabelledImages, UInt8Array
from gangda.errors import RunError
from gangda.runtime.device import DeviceContext
from gangda.runtime.progress import SILENT, Reporter
from gangda.runtime.seeding import seed_for
from gangda.training.saved_model import Model

FOLDER = "sorter"  # inside the run folder
ROLES = ("chooser", "referee")

# What a sorter counts for each class: images seen; those it puts into the class; those of them with enough
# confidence; those of these that the referee puts there too.
TALLIES = ("drawn", "chosen", "accepted", "agreed")


@dataclass(frozen=True, eq=False)
class PseudoLabeler:
    """Two classifiers trained on the same images with different seeds.

    Attributes:
        chooser: gives each image its class and confidence.
        referee: says whether it would have chosen the same class.
        accuracy: of the chooser on the validation images of the same subset, in [0, 1]; None without any.
    """

    chooser: FittedClassifier
    referee: FittedClassifier
    accuracy: float | None

    def sort(self, pixels: UInt8Array) -> tuple[IntArray, npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Class int64 (N,), confidence float32 (N,), agreement bool (N,) of uint8 (N, H, W, C) images."""
        logits = self.chooser.logits(pixels).astype(np.float64)
        likely = np.exp(logits - logits.max(axis=1, keepdims=True))
        chosen = logits.argmax(axis=1).astype(np.int64)
        confidence = (likely.max(axis=1) / likely.sum(axis=1)).astype(np.float32)
        return chosen, confidence, self.referee.predict(pixels) == chosen

    def as_dict(self) -> dict[str, Any]:
        """What an index tells about the labels."""
        return {
            "made": f"sorted by {self.chooser.name} trained on the run's own training images",
            "classifier": self.chooser.fingerprint,
            "referee": self.referee.fingerprint,
            "n_train": self.chooser.n_train,
            "steps": self.chooser.steps,
            "validation_accuracy": self.accuracy,
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
    chooser, referee = (
        fit_classifier(
            train,
            config or ClassifierConfig(),
            seed=seed_for(seed, "sorter", role),
            context=context,
            reporter=reporter,
        )
        for role in ROLES
    )
    accuracy = (
        float((chooser.predict(validation.pixels) == validation.labels).mean()) if len(validation) else None
    )
    return PseudoLabeler(chooser, referee, accuracy)


def sorter_of_run(
    run: Path, model: Model, context: DeviceContext, reporter: Reporter = SILENT
) -> PseudoLabeler:
    """The sorter kept in the run folder; trained and put there if there is none yet.

    One process trains it, others that want the same one wait for it.

    Raises:
        RunError: the run's training images are not what they were.
        DataError: they cannot be read.
    """
    config = ClassifierConfig()

    def fit() -> ClassifierEnsemble:
        reporter.line(f"training the classifier that sorts the samples of {run} into classes")
        train, validation = images_of_run(run, model)
        labeler = fit_pseudo_labeler(
            train, validation, seed=model.card.seed, context=context, config=config, reporter=reporter
        )
        return ClassifierEnsemble(
            (labeler.chooser, labeler.referee), {"validation_accuracy": labeler.accuracy}
        )

    panel = kept_panel(
        run / FOLDER, ROLES, config, context, fit, reporter, shares={"validation_accuracy": float | None}
    )
    chooser, referee = panel.members
    return PseudoLabeler(chooser, referee, panel.about["validation_accuracy"])


def data_config_of(model: Model) -> DataConfig:
    """The data options that a generator was trained with."""
    return from_plain(DataConfig, model.card.data)


def images_of_run(run: Path, model: Model) -> tuple[LabelledImages, LabelledImages]:
    """The images that a generator was trained on, and the validation images of the same subset.

    Raises:
        RunError: the source's content has changed since, or rows are gone.
    """
    from gangda.data.loading import load_splits

    splits = load_splits(data_config_of(model), model.card.seed)
    if splits.fingerprint != model.card.fingerprint:
        raise RunError(
            f"{run}: the images of {model.card.data['source']} have changed since it was trained; train again"
        )
    rows = np.flatnonzero(np.isin(splits.train.row_id, model.row_ids))
    if len(rows) != len(model.row_ids):
        raise RunError(f"{run}: its training images are no longer those of its data options; train again")
    return splits.train.take(rows), splits.validation


def sorting_shares(
    sorting: Mapping[str, list[int]], class_names: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """What the tallies mean, by class: its share of what was drawn, acceptance, and the referee's agreement.

    Empty where nothing was sorted; None for a class of which nothing was drawn.
    """
    if not sorting:
        return {}
    columns = zip(class_names, *(sorting[name] for name in TALLIES), strict=True)
    return {
        name: {
            "share": chosen / drawn if drawn else None,
            "acceptance": accepted / drawn if drawn else None,
            "agreement": agreed / accepted if accepted else None,
        }
        for name, drawn, chosen, accepted, agreed in columns
    }
