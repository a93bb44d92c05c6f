"""What a generator is trained on where there are images without labels beside the labelled ones."""

from gangda.classifying.self_training import SelfTrained, without_labels
from gangda.config.architectures import ArchSpec
from gangda.data.images import NO_LABEL, LabelledImages, concatenate
from gangda.data.splits import DataSplits


def needs_self_training(spec: ArchSpec) -> bool:
    """Whether it can use unlabelled images only under pseudo-labels."""
    return spec.conditional


def training_images(spec: ArchSpec, splits: DataSplits, found: SelfTrained | None) -> LabelledImages:
    """The training images of `splits` and, as the architecture can use them, its unlabelled ones.

    A class-conditional one is trained on those with a pseudo-label, and on the others under its class "none", if it
    has one (`ArchSpec.null_class`); an unconditional one on all images. `found` may be None for the latter.
    Source: You 2023 (dual pseudo training); the class "none" for what is uncertain is ours.
    """
    if splits.unlabelled is None:
        return splits.train
    if not needs_self_training(spec):
        return concatenate(splits.train, without_labels(splits.unlabelled, splits.train))
    assert found is not None
    parts = (found.certain, found.uncertain) if spec.null_class else (found.certain,)
    return concatenate(splits.train, *parts)


def with_labels(images: LabelledImages) -> LabelledImages:
    """The images whose labels mean something."""
    unknown = images.origin == NO_LABEL
    return images.take((~unknown).nonzero()[0]) if unknown.any() else images
