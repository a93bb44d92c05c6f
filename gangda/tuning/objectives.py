"""What `gangda tune` judges a generator by: the training images and the validation images, never a test image."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gangda.augmenting.selection import same_steps
from gangda.classifying.fit import evaluate, fit_classifier
from gangda.config.schema import ClassifierConfig, SamplerOptions, TrainConfig, TransformConfig
from gangda.data.images import LabelledImages, concatenate
from gangda.data.splits import DataSplits
from gangda.errors import UsageError
from gangda.metrics.evaluate import default_cache, evaluate_metrics, prepare_inputs
from gangda.metrics.result import MetricResult
from gangda.runtime.device import DeviceContext
from gangda.runtime.progress import Reporter
from gangda.sampling.build import make_sampler, needs_pseudo_labels, sampler_options_of
from gangda.sampling.pseudo_labels import PseudoLabeler, fit_pseudo_labeler
from gangda.sampling.writing import draw_as_they_come, draw_images
from gangda.training import check
from gangda.training.method import make_method
from gangda.training.saved_model import Model


@dataclass(eq=False)
class Judge:
    """Scores generators; what all of them share (pseudo-labels, the classifier of real images) is fitted once."""

    splits: DataSplits  # `test` is not read: it holds the validation images
    seed: int
    context: DeviceContext
    classifier: ClassifierConfig
    transforms: TransformConfig
    sampler: SamplerOptions
    reporter: Reporter

    def __post_init__(self) -> None:
        self.splits = dataclasses.replace(self.splits, test=self.splits.validation)

    @functools.cached_property
    def labeler(self) -> PseudoLabeler:
        """Gives samples of unconditional generators their classes."""
        how: dict[str, Any] = {"seed": self.seed, "context": self.context, "reporter": self.reporter}
        return fit_pseudo_labeler(self.splits.train, self.splits.validation, **how)

    def samples(self, model: Model) -> LabelledImages:
        """As many as training images: of each class, or in all where the generator does not know classes."""
        labeler = self.labeler if needs_pseudo_labels(model) else None
        train = self.splits.train
        sampler = make_sampler(
            model,
            seed=self.seed,
            context=self.context,
            labeler=labeler,
            options=self.sampler.only(sampler_options_of(model)),
            splits=self.splits,
            reporter=self.reporter,
        )
        if labeler is None:
            return draw_images(sampler, train.counts(), train.class_names, self.reporter)
        return draw_as_they_come(sampler, labeler, len(train), train.class_names, self.reporter)

    def metric(self, model: Model, name: str) -> MetricResult:
        """The first figure of a metric of the catalog, against the validation images."""
        inputs = prepare_inputs(
            self.samples(model),
            self.splits,
            seed=self.seed,
            context=self.context,
            classifier=self.classifier,
            reference="validation",
            cache=default_cache(),
            reporter=self.reporter,
        )
        return evaluate_metrics(inputs, [name], self.reporter)[0]

    def accuracy(self, images: LabelledImages) -> float:
        """Validation accuracy of a classifier trained on these with the traditional transforms, in [0, 1]."""
        fitted = fit_classifier(
            images,
            same_steps(self.classifier, len(self.splits.train)),
            seed=self.seed,
            context=self.context,
            transforms=self.transforms,
            reporter=self.reporter,
        )
        return evaluate(fitted, self.splits.validation).accuracy

    @functools.cached_property
    def real_accuracy(self) -> float:
        """That of the real training images alone."""
        return self.accuracy(self.splits.train)


def cas(judge: Judge, model: Model, config: TrainConfig) -> float:
    """Validation accuracy of a classifier trained on samples only (Ravuri and Vinyals 2019)."""
    return judge.metric(model, "cas").value


def gan_test(judge: Judge, model: Model, config: TrainConfig) -> float:
    """How far the samples' GAN-test is from that of validation images, which is the best it can be."""
    found = judge.metric(model, "gan_test")
    assert found.floor is not None
    return abs(found.value - found.floor)


def kid(judge: Judge, model: Model, config: TrainConfig) -> float:
    """Distance of samples to validation images in the scorer's features (Binkowski 2018); hardly noisy, no labels."""
    return judge.metric(model, "kid").value


def validation_loss(judge: Judge, model: Model, config: TrainConfig) -> float:
    """The loss of a flow on the validation images."""
    images = judge.splits.train
    method = make_method(check(config, images, judge.splits.labelled), images, judge.context)
    loss = method.validation_loss(model.generator.to(judge.context.device), judge.splits.validation)
    if loss is None:
        raise UsageError(NO_LOSS.format(arch=config.arch))
    return loss


def gain(judge: Judge, model: Model, config: TrainConfig) -> float:
    """What samples, one for each real image, add to the validation accuracy of the same classifier and steps."""
    both = concatenate(judge.splits.train, judge.samples(model))
    return judge.accuracy(both) - judge.real_accuracy


NO_LOSS = (
    "--objective validation_loss: {arch} has no loss on held-out images; choose cas, gan_test, kid or gain"
)


def no_chance(validation: LabelledImages) -> None:
    """Of objectives that tell whatever has learned nothing from another such."""


def guessing(validation: LabelledImages) -> float:
    """The accuracy, in [0, 1], that naming one class for all images hardly exceeds: two standard errors above it."""
    share, n = float(validation.counts().max()) / len(validation), len(validation)
    return share + 2 * math.sqrt(share * (1 - share) / n)


@dataclass(frozen=True)
class Objective:
    """One way to judge a generator."""

    words: str
    direction: str  # "maximize" or "minimize", Optuna's words
    score: Callable[[Judge, Model, TrainConfig], float]
    share: bool = True  # an accuracy, or a difference of two
    chance: Callable[[LabelledImages], float | None] = no_chance  # what may be reached without having learned


OBJECTIVES: Mapping[str, Objective] = {
    "cas": Objective("CAS on validation images", "maximize", cas, chance=guessing),
    "gan_test": Objective("GAN-test, distance to that of validation images", "minimize", gan_test),
    "kid": Objective("KID to validation images", "minimize", kid, share=False),
    "validation_loss": Objective("validation loss", "minimize", validation_loss, share=False),
    "gain": Objective("gain of validation accuracy", "maximize", gain),
}


def refuse_unusable(objective: str, config: TrainConfig, splits: DataSplits) -> None:
    """Raise UsageError for an objective that these images or this architecture do not have."""
    if not len(splits.validation):
        raise UsageError("tune judges by validation images, and there are none; give --validation above 0")
    if objective == "validation_loss":
        if not config.method.has_validation_loss:
            raise UsageError(NO_LOSS.format(arch=config.arch))
    elif not splits.labelled or splits.train.num_classes < 2:
        raise UsageError(f"--objective {objective}: needs labelled images of two classes or more")
    if objective == "gan_test" and not config.spec.conditional and splits.train.num_classes > 1:
        what = "a classifier labels its samples, so a GAN-test would only judge that classifier by another"
        raise UsageError(
            f"--objective gan_test: {config.arch} does not know classes; {what}: choose cas or gain"
        )
