"""The training loop: what a step does, and that a resumed run is the same run."""

import copy

import numpy as np
import pytest
import torch

from gangda import catalog, specs
from gangda.configs import Recipe
from gangda.moves.loop import ResidentImages, make_game, new_state, steps
from gangda.moves.model import build_networks

TRAINED = [name for name in catalog.ARCHITECTURES if specs.spec_class(name).game]


def start(arch, images, machine, options=None, **recipe):
    spec = specs.spec_class(arch)(**(options or {}))
    recipe = Recipe(**{**spec.recipe, "batch_size": 12, "r1_every": 2, **recipe})
    torch.manual_seed(0)
    state = new_state(build_networks(arch, spec, images.image_shape, images.num_classes), recipe, machine)
    game = make_game(spec, state.networks, recipe)
    return state, steps(state, game, ResidentImages(images, 7, machine), recipe, machine)


def take(loop, count):
    return [next(loop).numbers() for _ in range(count)]


@pytest.mark.parametrize("arch", TRAINED)
def test_same_seed_same_bits_and_a_resumed_run_is_the_same_run(arch, blobs, machine):
    whole, loop = start(arch, blobs, machine)
    log = take(loop, 7)
    half, loop = start(arch, blobs, machine)
    first = take(loop, 3)
    saved = copy.deepcopy(half.dump())
    resumed, loop = start(arch, blobs, machine)
    resumed.load(saved)
    assert first + take(loop, 4) == log
    for name, tensor in whole.ema.state_dict().items():
        assert torch.equal(tensor, resumed.ema.state_dict()[name]), name


def test_the_generators_loss_leaves_no_gradient_in_the_discriminator(blobs, machine):
    state, loop = start("cdcgan", blobs, machine, r1=0.0)
    kept = {}
    descend = state.optimiser_d.step

    def remember():
        kept.update({name: p.grad.clone() for name, p in state.networks.discriminator.named_parameters()})
        descend()

    state.optimiser_d.step = remember
    next(loop)
    parameters = dict(state.networks.discriminator.named_parameters())
    assert all(torch.equal(parameters[name].grad, grad) for name, grad in kept.items())
    assert all(p.requires_grad for p in parameters.values())


def test_r1_is_due_every_few_steps(blobs, machine):
    _, loop = start("cdcgan", blobs, machine, r1_every=3)
    assert ["d_r1" in record for record in take(loop, 7)] == [True, False, False, True, False, False, True]


def test_the_average_follows_the_live_weights(blobs, machine):
    state, loop = start("cdcgan", blobs, machine, ema=0.5)
    before = state.ema.linear.weight.clone()
    next(loop)
    decay = min(0.5, 1 / 11)
    expected = before + (state.networks.generator.linear.weight - before) * (1 - decay)
    assert torch.allclose(state.ema.linear.weight, expected, atol=1e-6)


def test_every_image_is_seen_once_an_epoch(blobs, machine):
    resident = ResidentImages(blobs, 0, machine)
    seen = torch.cat([resident.batch(step, 16)[0] for step in range(10)])
    assert len(seen) == len(blobs)
    as_pixels = ((seen + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    assert sorted(map(bytes, as_pixels)) == sorted(map(bytes, blobs.pixels))


def test_training_learns_the_classes(blobs, machine):
    small = {"width": 8, "d_width": 16, "latent_dim": 8}
    state, loop = start("cdcgan", blobs, machine, small, batch_size=32, lr=2e-3, r1=0.1, r1_every=8, ema=0.9)
    take(loop, 200)
    generator = state.ema
    with torch.no_grad():
        for label in range(4):
            y = torch.full((32,), label)
            mean = generator(generator.noise(32, torch.Generator().manual_seed(0)), y).mean(0)[0]
            quarters = [mean[r : r + 4, c : c + 4].mean() for r in (0, 4) for c in (0, 4)]
            assert int(np.argmax(quarters)) == label
