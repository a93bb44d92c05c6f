"""Generators trained on labelled and unlabelled images: which images, under which labels, and what a run remembers."""

import dataclasses

import numpy as np
import pytest
from PIL import Image
from training_setup import start

from gangda import training
from gangda.classifying.self_training import SelfTrained, without_labels
from gangda.config import architectures
from gangda.config.schema import Budget, ClassifierConfig, DataConfig, Runtime, TrainConfig
from gangda.data.images import NO_LABEL, PSEUDO_LABELLED, REAL, generated_images
from gangda.data.loading import load_splits
from gangda.data.splits import UnlabelledImages
from gangda.errors import RunError, UsageError
from gangda.runtime.launch import DistributedEnv
from gangda.runtime.progress import SILENT
from gangda.training import _with_unlabelled, fit_generator, train
from gangda.training.image_batches import ResidentImages
from gangda.training.run import content_of
from gangda.training.saved_model import load_model
from gangda.training.semi_supervised import training_images, with_labels

DATA = DataConfig(per_class=6, unlabelled="30")
CPU = Runtime(device="cpu", precision="fp32", threads=1)


@pytest.fixture(scope="module")
def splits():
    return load_splits(DATA, 0)


def pseudo_labelled(splits, certain=20):
    """Self-training's result as it might be: the first images are certain, and of class 3."""
    own: UnlabelledImages = splits.unlabelled
    first = generated_images(
        own.pixels[:certain], np.full(certain, 3), splits.train.class_names, PSEUDO_LABELLED,
        row_id=own.row_id[:certain], confidence=np.full(certain, 0.9, np.float32),
    )  # fmt: skip
    return SelfTrained(first, without_labels(own, splits.train, np.arange(certain, len(own))))


@pytest.mark.parametrize(
    ("arch", "pseudo", "unknown"),
    [("flow", 20, 10), ("edm", 20, 10), ("cdcgan", 20, 0), ("pca", 20, 0), ("dcgan", 0, 30)],
)
def test_what_each_kind_of_generator_is_trained_on(splits, arch, pseudo, unknown):
    images = training_images(architectures.spec_class(arch)(), splits, pseudo_labelled(splits))
    assert (images.origin == REAL).sum() == len(splits.train)
    assert (images.origin == PSEUDO_LABELLED).sum() == pseudo
    assert (images.origin == NO_LABEL).sum() == unknown
    assert np.isin(images.row_id, splits.usable_rows).all()
    assert not np.isin(images.row_id, splits.test.row_id).any()
    assert len(with_labels(images)) == len(images) - unknown


def test_an_unconditional_flow_is_trained_on_all(splits):
    spec = architectures.FlowSpec(conditional=False)
    assert (training_images(spec, splits, None).origin == NO_LABEL).sum() == 30


def test_images_without_a_label_are_of_the_class_none(splits, context):
    images = training_images(architectures.FlowSpec(), splits, pseudo_labelled(splits))
    resident = ResidentImages(images, 0, context)
    n = len(splits.train)
    assert resident.labels[:n].tolist() == splits.train.labels.tolist()
    assert resident.labels[n:].tolist() == [3] * 20 + [10] * 10


@pytest.mark.parametrize("arch", ["pca", "dcgan", "gan", "madgan"])
def test_every_kind_trains_and_remembers_its_rows(tmp_path, splits, arch):
    spec = architectures.spec_class(arch)()
    config = TrainConfig(data=DATA, arch=arch, spec=spec, budget=Budget(steps=2), runtime=CPU)
    config = dataclasses.replace(config, recipe=dataclasses.replace(config.recipe, batch_size=16))
    images = training_images(spec, splits, pseudo_labelled(splits))
    model = fit_generator(config, images, tmp_path / "run", fingerprint=splits.fingerprint)
    assert model.row_ids.tolist() == sorted(images.row_id.tolist())
    assert model.card.fingerprint == splits.fingerprint
    assert model.card.data["unlabelled"] == "30"


@pytest.mark.parametrize("certain", [20, 30])
def test_the_class_none_is_trained_by_uncertain_images_alone(splits, context, certain):
    """Without class dropout its embedding stays as it is where every image has a label."""
    images = training_images(architectures.FlowSpec(), splits, pseudo_labelled(splits, certain))
    options = {"width": 8, "class_dropout": 0.0}
    state, loop = start(
        "flow", images, context, options, total_steps=4, batch_size=len(images), optimizer="adam"
    )
    embedding = state.generator.network.label_embedding.weight
    for _ in range(4):  # the layers after it begin as zeros and have no gradient to give at first
        next(loop)
    assert bool(embedding.grad[10].any()) == (certain < 30)
    assert embedding.grad[3].any()


def test_other_pseudo_labels_are_other_images_of_a_run(splits):
    images = training_images(architectures.FlowSpec(), splits, pseudo_labelled(splits))
    other = training_images(architectures.FlowSpec(), splits, pseudo_labelled(splits, 19))
    assert content_of("f", splits.train) == "f"
    assert len({"f", content_of("f", images), content_of("f", other)}) == 3


def configured(arch, data=DATA, **options):
    spec = architectures.spec_class(arch)(**options)
    return TrainConfig(data=data, arch=arch, spec=spec, budget=Budget(steps=2), runtime=CPU)


def test_train_goes_on_with_the_same_images_and_refuses_others(tmp_path, quick_classifier):
    folder = tmp_path / "images"
    folder.mkdir()

    def put(name, seed):
        pixels = np.random.default_rng(seed).integers(0, 256, (8, 8), np.uint8)
        Image.fromarray(pixels).save(folder / name)

    for number in range(8):
        put(f"{number}.png", number)
    config = configured("pca", DataConfig(per_class=6, unlabelled=str(folder)), components=4)
    config = dataclasses.replace(config, budget=Budget())
    done = train(config, tmp_path / "run")
    rows = load_model(tmp_path / "run").row_ids
    assert train(config, tmp_path / "run").steps == done.steps
    put("0.png", 99)
    with pytest.raises(RunError, match="its images have changed"):
        train(config, tmp_path / "run")
    assert (load_model(tmp_path / "run").row_ids == rows).all()


@pytest.fixture
def quick_classifier(monkeypatch):
    """Self-training of the real code, with a small classifier."""
    few = ClassifierConfig(classifier="logistic", classifier_steps=10)
    monkeypatch.setattr(training, "ClassifierConfig", lambda: few)


def test_several_processes_do_not_label_images(quick_classifier, monkeypatch):
    launch = DistributedEnv(rank=0, local_rank=0, world=2, local_world=2)
    with pytest.raises(UsageError, match="a classifier labels them, in one process"):
        _with_unlabelled(configured("flow"), load_splits(DATA, 0), launch, SILENT)
    images = _with_unlabelled(configured("dcgan"), load_splits(DATA, 0), launch, SILENT)
    assert (images.origin == NO_LABEL).sum() == 30
