"""Flow matching: the loss by hand in float64, what the network is told, and that it learns the classes."""

import copy
import math

import numpy as np
import pytest
import torch
from training_setup import configured, draws, method_with, networks_of, start

from gangda.config.sampler_options import SamplerOptions
from gangda.errors import UsageError
from gangda.runtime.seeding import torch_stream
from gangda.training.option_rules import check_options

SMALL = {"width": 8, "dropout": 0.0}


def made(blobs, context, options=None, **values):
    config = configured("flow", {**SMALL, **(options or {})}, batch_size=12, **values)
    return method_with(config, networks_of(config, blobs), blobs, context, 7)


def test_the_loss_by_hand(blobs, context):
    method = made(blobs, context, {"class_dropout": 0.5}, mirror=0.5, shift=0.5)
    asked = []

    def velocity(x, t, y, changes):
        asked.append((x, t, y, changes))
        return 0.5 * x

    method.generator.velocity = velocity
    images = torch.rand(12, 1, 8, 8) * 2 - 1
    y = torch.arange(12) % 4
    loss = method.loss(images, y, draws())
    rng = torch.Generator().manual_seed(0)  # the draws in their order
    noise, times = torch.randn(12, 1, 8, 8, generator=rng), torch.randn(12, generator=rng).sigmoid()
    dropped, mirrored, shifted = (torch.rand(12, generator=rng) < 0.5 for _ in range(3))
    by = torch.randint(-2, 3, (12, 2), generator=rng) * shifted[:, None]
    [(x, t, labels, changes)] = asked
    total = 0.0
    for i in range(12):
        image = images[i, 0].double().numpy()
        image = image[:, ::-1] if mirrored[i] else image
        rows, columns = (np.clip(np.arange(8) - int(by[i, axis]), 0, 7) for axis in (0, 1))
        image = image[rows][:, columns]
        e, time = noise[i, 0].double().numpy(), times[i].double().item()
        x_t = (1 - time) * image + time * e
        assert np.allclose(x[i, 0].numpy(), x_t, atol=1e-6)
        total += ((0.5 * x_t - (e - image)) ** 2).mean()
        assert labels[i].item() == (4 if dropped[i] else i % 4)
        assert changes[i].tolist() == [float(mirrored[i]), by[i, 0].item() / 2, by[i, 1].item() / 2]
    assert loss.item() == pytest.approx(total / 12, rel=1e-5)
    assert torch.equal(t, times)


def test_the_loss_of_edm_by_hand(blobs, context):
    """Karras 2022, equation 8 with table 1: weight (s^2 + 0.25) / (0.5 s)^2, the error of the denoised image."""
    config = configured("edm", {**SMALL, "class_dropout": 0.0}, batch_size=12, shift=0.0)
    method = method_with(config, networks_of(config, blobs), blobs, context, 7)
    asked = []

    def network(x, t, y, changes):
        asked.append((x, t))
        return 0.3 * x + 0.1

    del method.generator.network
    method.generator.network = network
    images = torch.rand(12, 1, 8, 8) * 2 - 1
    loss = method.loss(images, torch.arange(12) % 4, draws())
    rng = torch.Generator().manual_seed(0)
    noise, normal = torch.randn(12, 1, 8, 8, generator=rng), torch.randn(12, generator=rng)
    [(x, t)] = asked
    total = 0.0
    for i in range(12):
        image, sigma = images[i].double(), math.exp(-1.2 + 1.2 * normal[i].double().item())
        noisy, whole = image + sigma * noise[i].double(), sigma**2 + 0.5**2
        assert torch.allclose(x[i].double(), noisy / whole**0.5, atol=1e-5)
        assert t[i].item() == pytest.approx(math.log(sigma) / 4, abs=1e-6)
        raw = 0.3 * noisy / whole**0.5 + 0.1
        denoised = 0.5**2 / whole * noisy + sigma * 0.5 / whole**0.5 * raw
        total += whole / (sigma * 0.5) ** 2 * (denoised - image).square().mean().item()
    assert loss.item() == pytest.approx(total / 12, rel=1e-4)


def test_an_unconditional_flow_sees_no_label(blobs, context):
    method = made(blobs, context, {"conditional": False})
    asked = []
    method.generator.velocity = lambda x, t, y, changes: asked.append(y) or torch.zeros_like(x)
    method.loss(torch.zeros(12, 1, 8, 8), torch.arange(12) % 4, draws())
    assert asked[0].tolist() == [4] * 12


@pytest.mark.parametrize("backbone", ["unet", "dit"])
@pytest.mark.parametrize(
    "options",
    [{}, {"optimizer": "adam"}, {"mirror": 0.5, "clip_gradient": 0.1, "weight_decay": 0.0, "ema": 0.0}],
)
def test_a_resumed_run_is_the_same_run(options, backbone, blobs, context):
    network = {"width": 8, "backbone": backbone}
    whole, loop = start("flow", blobs, context, network, total_steps=8, **options)
    log = [next(loop).numbers() for _ in range(4)]
    half, loop = start("flow", blobs, context, network, total_steps=8, **options)
    first = [next(loop).numbers() for _ in range(2)]
    resumed, loop = start("flow", blobs, context, network, total_steps=8, **options)
    saved = copy.deepcopy(half.dump())
    resumed.load(saved)
    assert first + [next(loop).numbers() for _ in range(2)] == log
    for name, tensor in whole.ema.state_dict().items():
        assert torch.equal(tensor, resumed.ema.state_dict()[name]), name


def test_it_learns_the_classes(blobs, context):
    options = {
        "lr": 3e-3,
        "lr_warmup_steps": 20,
        "ema": 0.95,
        "shift": 0.0,
        "batch_size": 32,
    }
    state, loop = start(
        "flow",
        blobs,
        context,
        {"width": 16, "dropout": 0.0, "class_dropout": 0.0},
        total_steps=150,
        **options,
    )
    for _ in range(150):
        next(loop)
    for label in range(4):
        noise = state.ema.noise(16, torch_stream(0, "test", label))
        with torch.inference_mode():
            sampled = state.ema.sample(torch.full((16,), label), noise, SamplerOptions(sampler_steps=6))
        mean = sampled.mean(0)[0]
        quarters = [mean[r : r + 4, c : c + 4].mean() for r in (0, 4) for c in (0, 4)]
        assert int(np.argmax(quarters)) == label


@pytest.mark.parametrize("arch", ["flow", "edm"])
def test_the_validation_loss_is_the_same_each_time_and_falls_while_it_learns(arch, blobs, context):
    state, loop = start(arch, blobs, context, {"width": 8}, total_steps=60, lr_warmup_steps=5)
    method = loop.gi_frame.f_locals["method"]
    before = method.validation_loss(state.ema, blobs)
    assert method.validation_loss(state.ema, blobs) == before
    assert method.validation_loss(state.ema, blobs.take(np.arange(0))) is None
    for _ in range(60):
        next(loop)
    assert method.validation_loss(state.ema, blobs) < 0.8 * before


def test_the_validation_loss_sees_every_class_of_a_set_that_lies_class_after_class(blobs, context):
    method, asked = made(blobs, context), []
    sorted_rows = np.repeat(np.argsort(blobs.labels, kind="stable"), 10)  # 400 of each class

    def error(average, images, noise, normal, y, changes):
        asked.extend(y.tolist())
        return torch.zeros(())

    method.error = error
    method.validation_loss(method.generator, blobs.take(sorted_rows))
    assert np.bincount(asked, minlength=4).min() > 80
    assert len(asked) == 512


def test_of_fewer_images_than_draws_all_are_seen_equally_often(blobs, context):
    method, asked = made(blobs, context), []
    method.error = lambda average, images, *rest: asked.extend(images[:, 0]) or torch.zeros(())
    method.validation_loss(method.generator, blobs.take(np.arange(128)))
    assert all(torch.equal(asked[row], asked[row + 128]) for row in range(384))
    assert not torch.equal(asked[0], asked[1])


@pytest.mark.parametrize(
    ("options", "values", "message"),
    [
        ({"depth": 3}, {}, "--depth 3: the U-Net has none; leave it out, or give --backbone dit"),
        (
            {"conditional": False, "class_dropout": 0.2},
            {},
            "--class-dropout 0.2: there are no classes with --no-conditional; leave it out",
        ),
        (
            {},
            {"optimizer": "adam", "muon_lr": 0.1},
            "--muon-lr 0.1: there is no Muon with --optimizer adam; give --lr",
        ),
    ],
)
def test_options_without_effect_are_refused(options, values, message, blobs):
    with pytest.raises(UsageError, match=f"^{message}$"):
        check_options(configured("flow", {**SMALL, **options}, batch_size=12, **values), blobs)
