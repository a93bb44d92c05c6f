"""Steps where the device is not the CPU, on PyTorch's `meta` device: shapes without numbers, as a stand-in for MPS.

A value that is read in the middle of a step raises an error there, where a GPU would wait; losses must be on the
device. What it cannot show: a CPU tensor in some products and lookups (`meta` takes it), MPS's layout and kernels.
"""

import itertools
import types

import pytest
import torch
from training_setup import configured

from gangda.classifying.batches import ClassifierBatches
from gangda.classifying.fitted_classifier import build_classifier, place
from gangda.config import catalog
from gangda.config.arms import FitRule
from gangda.runtime.device import DeviceContext
from gangda.training.method import make_method
from gangda.training.state import new_state
from gangda.training.worker_ranks import training_steps

TRAINED = [arch for arch in catalog.ARCHITECTURES if configured(arch).images_per_step]


@pytest.fixture
def elsewhere(monkeypatch):
    """A device that is neither the CPU nor CUDA."""
    stream = types.SimpleNamespace(manual_seed=lambda seed: None)
    monkeypatch.setattr(torch, "meta", stream, raising=False)
    return DeviceContext(torch.device("meta"), torch.float32, 1)


@pytest.mark.parametrize("arch", TRAINED)
def test_a_step_and_a_sample_stay_on_the_device(arch, blobs, elsewhere):
    method = make_method(configured(arch), blobs, elsewhere)
    state = new_state(method)
    for record in itertools.islice(training_steps(method, state, 0), 2):
        assert {loss.device.type for loss in record.losses.values()} == {"meta"}
    y = torch.zeros(15, dtype=torch.int64, device="meta")
    noise = state.ema.noise(15, torch.Generator())
    with torch.inference_mode():
        images = state.ema.sample(y, noise.to("meta"))
    assert (images.device.type, tuple(images.shape)) == ("meta", (15, *blobs.image_shape))


@pytest.mark.parametrize("network", ["lenet", "resnet"])
@pytest.mark.parametrize("rule", [FitRule(loss="class-weights"), FitRule(balanced=True, mixup=0.2)])
def test_a_classifiers_batches_stay_on_the_device(network, rule, blobs, elsewhere):
    """Without transforms: they read a value from the device for every few thousand images."""
    batches = ClassifierBatches(blobs, rule, batch_size=8, steps=2, seed=0, context=elsewhere)
    placed = place(build_classifier(network, blobs.num_classes, blobs.image_shape), elsewhere)
    for batch in batches:
        x, target, _ = batches.with_targets(batch)
        assert {placed(x).device.type, target.device.type} == {"meta"}
