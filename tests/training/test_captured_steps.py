"""Every training step as a CUDA graph would run it: bit for bit the ordinary step, on the CPU."""

import dataclasses
import itertools

import pytest
import torch
from tape import tape
from torch.nn import functional as F
from training_setup import configured, method_with, networks_of

from gangda.config import architectures, catalog
from gangda.training.image_batches import ResidentImages, batches
from gangda.training.loop import training_loop
from gangda.training.metrics_logger import gradient_norm
from gangda.training.state import new_state
from gangda.zoo.layers import fused

TRAINED = [name for name in catalog.ARCHITECTURES if architectures.spec_class(name).method != "closed-form"]
STEPS = 12


@pytest.fixture(autouse=True)
def as_on_a_gpu(monkeypatch):
    """Two functions read values on the CPU alone."""
    monkeypatch.setattr(
        fused, "_kept", lambda like, rate: (torch.empty_like(like).bernoulli_(1 - rate), 1 - rate)
    )
    monkeypatch.setattr(F, "one_hot", lambda y, classes: (y[:, None] == torch.arange(classes)).long())


VARIANTS = {
    "gradient penalty, five discriminator steps": ("wgan-gp", {}, {"d_steps": 5}),
    "several extra steps, rising conditioning": (
        "cdcgan",
        {},
        {"d_steps": 3, "conditioning_warmup": 5, "r1": 0.0},
    ),
    "both lazy penalties": ("cdcgan", {}, {"r1": 1.0, "r2": 0.5, "r1_every": 2}),
    "DiffAugment": ("cdcgan", {}, {"diffaugment": ("translation", "color", "cutout")}),
    "consistency": ("cdcgan", {}, {"cr": 10.0}),
    "balanced consistency, flips": ("cdcgan", {}, {"bcr": 10.0, "cr_flip": True}),
    "consistency of dropout": ("gan", {}, {"ct": 2.0}),
    "lecam": ("cdcgan", {}, {"lecam": 0.3}),
    "simultaneous": ("cdcgan", {}, {"simultaneous": True}),
    "relativistic": ("cdcgan", {}, {"loss": "relativistic"}),
    "weight clipping": ("cdcgan", {}, {"loss": "wasserstein", "clip": 0.01}),
    "identified generators": ("madgan", {"generators": 3}, {"generator_id_weight": 0.5}),
    "virtual batch norm": ("dcgan", {"virtual_batch_norm": "half"}, {}),
    "minibatch stddev, label smoothing": ("cdcgan", {"minibatch_stddev": True}, {"label_smoothing": 0.1}),
    "pre-training": ("cdcgan", {}, {"d_pretrain": 5}),
    "learning rate schedule": ("cdcgan", {}, {"lr_schedule": "cosine", "lr_warmup_steps": 3}),
    "transformer": ("flow", {"backbone": "dit", "width": 16, "depth": 2}, {}),
    "AdamW alone": ("flow", {"width": 16}, {"optimizer": "adam"}),
    "changes of images": ("flow", {"width": 16}, {"mirror": 0.5, "shift": 0.5}),
}


def trained(arch, options, values, images, context, record, steps=STEPS):
    """Weights, averages, losses after some steps with learning rates in tensors; steps are recorded by `record`."""
    batch_size = (
        4 if arch == "sagan-batchnorm" else 12
    )  # its images have 32 pixels a side, whatever the set's
    config = configured(arch, options, images.image_shape[1], batch_size=batch_size, **values)
    method = method_with(config, networks_of(config, images), images, context, 7)
    method.capture.record = method.average_capture.record = record
    state = new_state(method)
    batch = batches(ResidentImages(images, 7, context), config, method.share)
    loop = training_loop(state, method, batch, steps)
    losses = [next(loop).numbers() for _ in range(steps + config.method.pretraining_steps)]
    return state, losses, method.capture


def assert_recorded_steps_are_ordinary_ones(arch, options, values, images, context, steps=STEPS):
    context = dataclasses.replace(context, recorder=tape)
    state, losses, capture = trained(arch, options, values, images, context, tape, steps)
    plain, expected, _ = trained(arch, options, values, images, context, None, steps)
    assert capture.recorded
    assert losses == expected
    for name, module in {**state.modules, "average": state.ema}.items():
        others = {**plain.modules, "average": plain.ema}[name].state_dict()
        for key, tensor in module.state_dict().items():
            assert torch.equal(tensor, others[key]), (name, key)


@pytest.mark.parametrize("arch", TRAINED)
def test_recorded_steps_of_every_architecture(arch, blobs, context):
    options = {"width": 16} if arch in ("flow", "edm") else {}
    assert_recorded_steps_are_ordinary_ones(arch, options, {}, blobs, context, steps=6)


@pytest.mark.parametrize("variant", VARIANTS)
def test_recorded_steps_with_options(variant, blobs, context):
    assert_recorded_steps_are_ordinary_ones(*VARIANTS[variant], blobs, context)


def test_a_rising_conditioning_is_not_recorded_until_it_is_complete(blobs, context):
    context = dataclasses.replace(context, recorder=tape)
    values = {"conditioning_warmup": 4, "r1": 0.0}
    _, losses, capture = trained("cdcgan", {}, values, blobs, context, tape)
    _, expected, _ = trained("cdcgan", {}, values, blobs, context, None)
    assert losses == expected
    assert {kind[2] for kind in capture.recorded} == {1.0}


def test_gradients_of_recorded_and_ordinary_steps_are_those_that_can_be_read(blobs, context):
    """Also while another kind of step, here with the lazy penalty, is not recorded yet."""
    context = dataclasses.replace(context, recorder=tape)

    def norms(record):
        config = configured("cdcgan", {}, 8, batch_size=12, r1_every=8)
        method = method_with(config, networks_of(config, blobs), blobs, context, 7)
        method.capture.record = record
        state = new_state(method)
        loop = training_loop(state, method, batches(ResidentImages(blobs, 7, context), config), 20)
        return [
            [float(gradient_norm(module)) for module in state.modules.values()]
            for _ in itertools.islice(loop, 20)
        ]

    assert norms(tape) == norms(None)


def test_a_rate_that_a_recorded_step_would_not_see_is_refused(blobs, context):
    context = dataclasses.replace(context, recorder=tape)
    config = configured("cdcgan", {}, 8, batch_size=12)
    method = method_with(config, networks_of(config, blobs), blobs, context, 7)
    method.optimizers["generator"] = torch.optim.SGD(method.generator.parameters(), lr=0.1)
    loop = training_loop(new_state(method), method, batches(ResidentImages(blobs, 7, context), config), 20)
    with pytest.raises(ValueError, match=r"optimizer generator: recorded steps need its rate"):
        next(loop)
