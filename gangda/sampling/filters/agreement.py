"""Drop samples that do not look like their class to classifiers of the same real images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.special

from gangda.classifying.ensemble import ClassifierEnsemble, cached_ensemble
from gangda.classifying.fit import FittedClassifier, fit_classifier
from gangda.config.schema import ClassifierConfig
from gangda.data.images import FloatArray, IntArray, LabelledImages, UInt8Array
from gangda.errors import DataError, UsageError
from gangda.runtime.progress import counted
from gangda.runtime.seeding import numpy_stream, seed_for
from gangda.sampling.filters.base import FilterContext, FilterTarget, Predicate, Reasons

FOLDER = "agreement"  # inside the run folder
FOLDS = 3
MIN_IMAGES = 2  # training images of a class: one to train on, one to hold out
ROLES = tuple(f"fold-{fold}" for fold in range(FOLDS))


class Agreement(ClassifierEnsemble):
    """A sample stays if its class is the most probable one in the mean prediction of K-fold classifiers.

    Each classifier is trained on the generator's training images but for one fold, with a seed of its own, apart from
    any scorer and pseudo-labeler. Their errors are shared with the generator to some extent: it saw the same images.

    Source: Lampis 2023 (GaFi), whose rule is that of their code: the class is the most probable one, with a probability
    above a threshold. Departures: three classifiers in place of one that was trained on all images; the threshold is 0,
    where they then choose 0 to 0.9 by the accuracy on validation images.

    `share` is that of real images that would pass: of validation images or, without any, of training images, each
    scored by the one classifier that was not trained on it (which keeps fewer than all together do).
    """

    @staticmethod
    def check(target: FilterTarget) -> None:
        """See `Filter.check`."""
        if target.num_classes < 2:
            raise UsageError(f"--filter agreement: {target.named} has one class only; leave it out")
        smallest = target.smallest
        if smallest is not None and smallest < MIN_IMAGES:
            raise UsageError(_too_few(f"the smallest class has {counted(smallest, 'training image')}"))

    @staticmethod
    def build(filter_context: FilterContext) -> "Agreement":
        """Train the classifiers, or take those that the run folder keeps."""
        home, config, reporter = filter_context.home, ClassifierConfig(), filter_context.reporter

        def fit() -> ClassifierEnsemble:
            reporter.line(f"training {FOLDS} classifiers that filter the samples")
            return _fit(filter_context, config)

        if home is None:
            found = fit()
        else:
            context = filter_context.context
            found = cached_ensemble(home / FOLDER, ROLES, "real_kept", config, context, fit, reporter)
        return Agreement(found.members, found.share)

    def predicate(self, label: int, block: int) -> Predicate:
        """See `Filter.predicate`: the reason is the likeliest class of a rejected sample."""
        names = self.members[0].class_names

        def reasons(pixels: UInt8Array) -> Reasons:
            likeliest = mean_prediction(self.members, pixels).argmax(axis=1)
            named = np.array([f"like {name}" for name in names], dtype=object)[likeliest]
            return np.where(likeliest != label, named, "").astype(object)

        return reasons

    def as_dict(self) -> dict[str, Any]:
        """How it was set."""
        return {
            "classifiers": [member.fingerprint for member in self.members],
            "trained": f"each on the training images but for one of {FOLDS} folds",
            "kept": "samples whose class is the most probable one",
            "real_kept": self.share,
        }


def _too_few(what: str) -> str:
    return f"--filter agreement: {what}; it takes two: leave the filter out, or give more images"


def mean_prediction(members: Sequence[FittedClassifier], pixels: UInt8Array) -> FloatArray:
    """Class probabilities of uint8 (n, H, W, C) images, float64 (n, K): the mean over classifiers."""
    logits = [member.logits(pixels).astype(np.float64) for member in members]
    mean: FloatArray = np.stack([scipy.special.softmax(each, axis=1) for each in logits]).mean(axis=0)
    return mean


def folds_of(labels: IntArray, seed: int) -> IntArray:
    """Which fold each image is in, int64 (N,): every class is spread evenly, in an order drawn by seed."""
    folds = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels).tolist():
        rows = np.flatnonzero(labels == label)
        order = numpy_stream(seed, "filter folds", label).permutation(rows)
        folds[order] = np.arange(len(rows)) % FOLDS
    return folds


def _fit(filter_context: FilterContext, config: ClassifierConfig) -> ClassifierEnsemble:
    """Train the classifiers, each on all folds but one. Raises DataError: a class of one image."""
    splits = filter_context.splits()
    train, validation = splits.train, splits.validation
    smallest = int(train.counts().argmin())
    if train.counts()[smallest] < MIN_IMAGES:
        name = train.class_names[smallest]
        raise DataError(
            _too_few(f"class '{name}' has {counted(int(train.counts()[smallest]), 'training image')}")
        )
    folds = folds_of(train.labels, filter_context.fit_seed)
    passed = np.zeros(len(train), dtype=np.bool_)
    members = []
    for fold, role in enumerate(ROLES):
        inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        member = fit_classifier(
            train.take(inside),
            config,
            seed=seed_for(filter_context.fit_seed, "filter", "agreement", role),
            context=filter_context.context,
            reporter=filter_context.reporter,
        )
        passed[outside] = _passes([member], train.take(outside))
        members.append(member)
    if len(validation):
        passed = _passes(members, validation)
    return ClassifierEnsemble(tuple(members), float(passed.mean()))


def _passes(members: Sequence[FittedClassifier], images: LabelledImages) -> npt.NDArray[np.bool_]:
    passes: npt.NDArray[np.bool_] = mean_prediction(members, images.pixels).argmax(axis=1) == images.labels
    return passes
