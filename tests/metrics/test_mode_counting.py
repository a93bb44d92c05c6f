"""Counting modes with a classifier of the channels."""

import sys

import numpy as np
import pytest

from gangda.config.schema import ClassifierConfig
from gangda.data.images import generated_images, real_images
from gangda.data.sources.stacked import stack
from gangda.data.splits import DataSplits, SourceImages
from gangda.metrics.evaluate import evaluate_metrics
from gangda.metrics.mode_counting import mode_extractor
from gangda.metrics.prepare import prepare_inputs


@pytest.fixture(scope="module")
def stacked():
    """Two classes, dark and bright: eight modes."""
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    pixels = (rng.integers(0, 60, (200, 8, 8, 1)) + 180 * labels[:, None, None, None]).astype(np.uint8)
    whole = real_images(pixels, labels, ["dark", "bright"])
    return stack(SourceImages("toy", "f", whole.take(np.arange(100)), whole.take(np.arange(100, 200))))


def test_modes_are_seen_channel_by_channel(stacked, context):
    config = ClassifierConfig(classifier_steps=60)
    modes = mode_extractor(stacked.train.take(np.arange(1600)), config, 0, context)
    seen = modes.embed(stacked.test.pixels[:400])[:, 0]
    assert (seen == stacked.test.labels[:400]).all()
    other = mode_extractor(stacked.train, config, 1, context)
    assert other.fingerprint != modes.fingerprint


def test_an_edited_classifier_of_ones_own_does_not_read_the_old_ones_features(
    stacked, context, tmp_path, monkeypatch
):
    code = "from torch import nn\ndef build(k, c, s):\n    return nn.Sequential(nn.Flatten(), {}"
    code += "nn.Linear(c * s * s, k))\n"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    config = ClassifierConfig(classifier="edited_net:build", classifier_steps=3)
    prints = []
    for more in ("", "", "nn.Dropout(), "):
        (tmp_path / "edited_net.py").write_text(code.format(more))
        sys.modules.pop("edited_net", None)  # as in a new process
        prints.append(mode_extractor(stacked.train, config, 0, context).fingerprint)
    assert prints[0] == prints[1] != prints[2]


def test_other_sets_have_no_modes(blobs, context):
    assert mode_extractor(blobs, ClassifierConfig(), 0, context) is None


def test_score_counts_them(stacked, context):
    few = stacked.test.take(np.flatnonzero(stacked.test.labels < 3)[:60])
    samples = generated_images(few.pixels, few.labels, few.class_names)
    train, test = (part.take(np.arange(400)) for part in (stacked.train, stacked.test))
    splits = DataSplits("toy", "f", train, test, test)
    config = ClassifierConfig(classifier_steps=60)
    inputs = prepare_inputs(samples, splits, seed=0, context=context, classifier=config)
    found, kl = evaluate_metrics(inputs, ("modes",))
    assert (found.value, found.floor) == (3, 8)
    assert kl.value == pytest.approx(np.log(8 / 3), abs=0.1)
