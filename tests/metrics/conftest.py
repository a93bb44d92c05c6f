"""Metric inputs from plain feature arrays: no classifier, no files."""

import functools
from collections.abc import Callable

import numpy as np
import pytest

from gangda.data.images import LabelledImages, generated_images, real_images
from gangda.metrics.extractors import Extractor
from gangda.metrics.inputs import Features, MetricInputs, Side

MakeInputs = Callable[..., MetricInputs]


def images_of(labels: np.ndarray, num_classes: int, made: bool) -> LabelledImages:
    pixels = np.zeros((len(labels), 8, 8, 1), dtype=np.uint8)
    build = generated_images if made else real_images
    return build(pixels, labels, [f"class {label}" for label in range(num_classes)])


@pytest.fixture
def make_inputs() -> MakeInputs:
    """(fake, real, floor) features -> inputs in which every kind of features is the same array."""

    def make(
        fake: Features,
        real: Features,
        floor: Features,
        labels: np.ndarray | None = None,
        logits: tuple[Features, Features] | None = None,
        **more: object,
    ) -> MetricInputs:
        labels = np.zeros(len(fake), dtype=np.int64) if labels is None else labels
        num_classes = int(labels.max()) + 1
        asked = logits or (fake, real)

        def side(features: Features, asked: Features, made: bool) -> Side:
            answers = {"logits": asked.astype(np.float32)}
            return Side(
                images_of(labels, num_classes, made),
                lambda kind: answers.get(kind, features.astype(np.float32)),
            )

        ours, theirs, third = (
            side(fake, asked[0], True),
            side(real, asked[1], False),
            side(floor, floor, False),
        )
        values = {
            "samples": ours,
            "reference": theirs,
            "train": third,
            "seen": third,
            "fake": ours,
            "real": theirs,
            "floor": third,
            "extractors": {
                kind: functools.partial(
                    Extractor, kind, kind[0], lambda _: pytest.fail("all features are given")
                )
                for kind in ("lenet", "randconv", "pca", "logits")
            },
            "scorer": "lenet",
            "retrain": None,
            "seed": 0,
        }
        return MetricInputs(**{**values, **more})

    return make
