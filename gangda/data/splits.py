"""Train, validation and test: drawn here and nowhere else.

The test split belongs to the source and never depends on a seed. A subset (`per_class`, `class_counts`) is
drawn from the training images by seed and counts training and validation together; validation is then taken
from that subset, so that nothing outside it is ever looked at by training, filtering or selection.
"""

from dataclasses import dataclass

from gangda.data.images import LabelledImages


@dataclass(frozen=True, eq=False)
class SourceImages:
    """What a source gives: all training images and, if the source has one, its test split.

    Row ids are unique over both. `fingerprint` is a hex hash of the content.
    """

    name: str
    fingerprint: str
    train: LabelledImages
    test: LabelledImages | None


@dataclass(frozen=True, eq=False)
class DataSplits:
    """What an engine works on. `labelled` is False for a flat folder of images (one class, "unlabelled")."""

    name: str
    fingerprint: str
    train: LabelledImages
    validation: LabelledImages
    test: LabelledImages
    labelled: bool = True
