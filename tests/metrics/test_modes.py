"""Modes and KL against closed forms, and modes counted with a classifier of the channels."""

import dataclasses
import math
import sys

import numpy as np
import pytest

from gangda.config.schema import ClassifierConfig
from gangda.data.images import generated_images, real_images
from gangda.data.sources.stacked import stack
from gangda.data.splits import DataSplits, SourceImages
from gangda.metrics.evaluate import evaluate_metrics, prepare_inputs
from gangda.metrics.modes import mode_extractor, modes, modes_and_kl
from gangda.metrics.scorer import ClassifierTrainer


@pytest.mark.parametrize(
    ("found", "total", "expected"),
    [
        (np.arange(1000), 1000, (1000, 0.0)),
        (np.zeros(50, dtype=np.int64), 1000, (1, math.log(1000))),
        (np.arange(50) % 500, 500, (50, math.log(10))),
        (np.array([0, 0, 0, 1]), 2, (2, 0.75 * math.log(1.5) + 0.25 * math.log(0.5))),
    ],
)
def test_closed_forms(found, total, expected):
    count, kl = modes_and_kl(found, total)
    assert count == expected[0]
    assert kl == pytest.approx(expected[1], abs=1e-12)


def test_the_floor_at_25600_draws():
    # (modes - 1) / (2 n) to first order (Miller 1955).
    count, kl = modes_and_kl(np.random.default_rng(0).integers(0, 1000, 25_600), 1000)
    assert count == 1000
    assert kl == pytest.approx(999 / 51_200, abs=0.002)


def test_as_a_metric(make_inputs):
    labels = np.arange(80) % 8
    uniform, one = labels[:, None].astype(float), np.zeros((80, 1))
    plain = make_inputs(one, uniform, uniform, labels)
    assert modes(plain) == []
    extractors = {**plain.extractors, "modes": plain.extractors["pca"]}
    inputs = dataclasses.replace(plain, extractors=extractors, circular=True)
    found, kl = modes(inputs)
    assert (found.name, found.value, found.floor) == ("modes_of_8_80", 1, 8)
    assert kl.value == pytest.approx(math.log(8))
    assert 0 < kl.floor < 0.2
    assert "circular" in kl.note


@pytest.fixture(scope="module")
def stacked():
    """Two classes, dark and bright: eight modes."""
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    pixels = (rng.integers(0, 60, (200, 8, 8, 1)) + 180 * labels[:, None, None, None]).astype(np.uint8)
    whole = real_images(pixels, labels, ["dark", "bright"])
    return stack(SourceImages("toy", "f", whole.take(np.arange(100)), whole.take(np.arange(100, 200))))


def test_modes_are_seen_channel_by_channel(stacked, context):
    trainer = ClassifierTrainer(ClassifierConfig(classifier_steps=60), context)
    counting = mode_extractor(stacked.train.take(np.arange(1600)), trainer, 0)
    seen = counting.embed(stacked.test.pixels[:400])[:, 0]
    assert (seen == stacked.test.labels[:400]).all()
    other = mode_extractor(stacked.train, trainer, 1)
    assert other.fingerprint != counting.fingerprint


def test_an_edited_classifier_of_ones_own_does_not_read_the_old_ones_features(
    stacked, context, tmp_path, monkeypatch
):
    code = "from torch import nn\ndef build(k, c, s):\n    return nn.Sequential(nn.Flatten(), {}"
    code += "nn.Linear(c * s * s, k))\n"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    trainer = ClassifierTrainer(ClassifierConfig(classifier="edited_net:build", classifier_steps=3), context)
    prints = []
    for more in ("", "", "nn.Dropout(), "):
        (tmp_path / "edited_net.py").write_text(code.format(more))
        sys.modules.pop("edited_net", None)  # as in a new process
        prints.append(mode_extractor(stacked.train, trainer, 0).fingerprint)
    assert prints[0] == prints[1] != prints[2]


def test_other_sets_have_no_modes(blobs, context):
    assert mode_extractor(blobs, ClassifierTrainer(ClassifierConfig(), context), 0) is None


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
