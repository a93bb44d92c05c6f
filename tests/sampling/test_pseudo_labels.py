import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.special
import torch

from gangda.config.schema import ClassifierConfig, DataConfig
from gangda.data.images import LabelledImages, real_images
from gangda.data.loading import load_splits
from gangda.errors import RunError
from gangda.runtime.device import DeviceContext
from gangda.runtime.progress import Reporter
from gangda.sampling import pseudo_labels
from gangda.sampling.pseudo_labels import PseudoLabeler, fit_pseudo_labeler, pseudo_labeler_of_run
from gangda.training.saved_model import Model, ModelCard
from gangda.zoo.base import Generator

MACHINE = DeviceContext(torch.device("cpu"), torch.float32, 1)
QUICK = ClassifierConfig(classifier_steps=20)


def stripes(count: int) -> LabelledImages:
    """Upright and lying stripes with noise."""
    rng = np.random.default_rng(count)
    labels = np.arange(count) % 2
    upright = np.zeros((8, 8, 1), dtype=np.uint8)
    upright[:, ::2] = 200
    pixels = np.stack([upright if label else upright.transpose(1, 0, 2) for label in labels])
    return real_images(
        pixels + rng.integers(0, 50, pixels.shape, dtype=np.uint8), labels, ("lying", "upright")
    )


class Memory(Reporter):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture(scope="module")
def labeler() -> PseudoLabeler:
    return fit_pseudo_labeler(stripes(64), stripes(20), seed=0, context=MACHINE, config=QUICK)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Model:
    card = ModelCard("x", {}, (1, 8, 8), ("lying", "upright"), {}, "f", 0, 1, "fp32", "r")
    monkeypatch.setattr(pseudo_labels, "ClassifierConfig", lambda: QUICK)
    known = SimpleNamespace(train=stripes(64), validation=stripes(20))
    monkeypatch.setattr(pseudo_labels, "splits_of_run", lambda model: known)
    return Model(Generator(), card, np.arange(64), run=tmp_path)


def test_confidence_is_the_softmax_of_the_class_chosen(labeler: PseudoLabeler) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 1), dtype=np.uint8)
    chosen, confidence, agrees = labeler.label(pixels)
    likely = scipy.special.softmax(labeler.labeler.logits(pixels).astype(np.float64), axis=1)
    assert np.array_equal(chosen, likely.argmax(axis=1))
    assert np.allclose(confidence, likely.max(axis=1), atol=1e-6)
    assert np.array_equal(agrees, labeler.verifier.predict(pixels) == chosen)


def test_the_two_classifiers_differ_and_are_right(labeler: PseudoLabeler) -> None:
    assert labeler.labeler.fingerprint != labeler.verifier.fingerprint
    assert labeler.share == 1.0
    chosen, _, agrees = labeler.label(stripes(30).pixels)
    assert np.array_equal(chosen, stripes(30).labels)
    assert agrees.all()


def test_they_are_kept_in_the_run_folder(run: Model) -> None:
    reporter = Memory()
    first = pseudo_labeler_of_run(run, MACHINE, reporter)
    again = pseudo_labeler_of_run(run, MACHINE, reporter)
    assert again.as_dict() == first.as_dict()
    assert len(reporter.lines) == 1


def test_a_damaged_one_is_trained_anew(run: Model, tmp_path: Path) -> None:
    first = pseudo_labeler_of_run(run, MACHINE)
    path = tmp_path / "pseudo-labels" / "labeler.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    assert pseudo_labeler_of_run(run, MACHINE).as_dict() == first.as_dict()


def test_one_without_its_accuracy_is_trained_anew(run: Model, tmp_path: Path) -> None:
    first = pseudo_labeler_of_run(run, MACHINE)
    path = tmp_path / "pseudo-labels" / "pseudo-labels.json"
    path.write_text(path.read_text().replace("validation_accuracy", "accuracy"))
    assert pseudo_labeler_of_run(run, MACHINE).as_dict() == first.as_dict()


def test_one_of_another_configuration_is_trained_anew(run: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    first = pseudo_labeler_of_run(run, MACHINE)
    monkeypatch.setattr(pseudo_labels, "ClassifierConfig", lambda: replace(QUICK, classifier_steps=10))
    second = pseudo_labeler_of_run(run, MACHINE)
    assert (first.labeler.steps, second.labeler.steps) == (20, 10)


def test_of_several_at_once_one_trains(
    run: Model, labeler: PseudoLabeler, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []

    def slowly(*_: Any, **__: Any) -> PseudoLabeler:
        trained.append("once")
        time.sleep(0.3)
        return labeler

    monkeypatch.setattr(pseudo_labels, "fit_pseudo_labeler", slowly)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: pseudo_labeler_of_run(run, MACHINE).as_dict(), range(3)))
    assert trained == ["once"]
    assert found == [labeler.as_dict()] * 3


def test_where_they_cannot_be_kept_labels_are_still_made(run: Model, tmp_path: Path) -> None:
    (tmp_path / "pseudo-labels").write_text("in the way")
    reporter = Memory()
    assert pseudo_labeler_of_run(run, MACHINE, reporter).share == 1.0
    assert "not saved" in reporter.lines[-1]


def test_a_run_that_has_lost_training_images_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = {"source": "digits", "per_class": 10}
    card = ModelCard("x", {}, (1, 8, 8), tuple("0123456789"), data, "?", 0, 1, "fp32", "r")
    with pytest.raises(RunError, match="has changed"):
        pseudo_labels.splits_of_run(Model(Generator(), card, np.arange(3)))
    splits = load_splits(DataConfig(**data), 0)
    known = replace(card, fingerprint=splits.fingerprint)
    with pytest.raises(RunError, match="are not those"):
        pseudo_labels.splits_of_run(Model(Generator(), known, np.array([10**6])))
    train = pseudo_labels.splits_of_run(Model(Generator(), known, splits.train.row_id[:5])).train
    assert np.array_equal(train.row_id, splits.train.row_id[:5])
