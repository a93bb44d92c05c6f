"""Simultaneous steps: against plain loops written by hand, and over the whole catalog."""

import copy
from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from training_setup import configured, method_with, networks_of

from gangda.config import architectures, catalog
from gangda.config.methods import AdversarialOptions, options_class
from gangda.runtime.seeding import seed_device, torch_stream
from gangda.training.adversarial.regularisers import DiscriminatorBatch
from gangda.training.image_batches import ResidentImages, batches
from gangda.training.loop import training_loop
from gangda.training.state import new_state

SEED, BATCH = 7, 12
TRAINED = [
    name
    for name in catalog.ARCHITECTURES
    if issubclass(options_class(architectures.spec_class(name).method), AdversarialOptions)
]
SMALL = {"width": 8, "d_width": 8}


class Doubled(ResidentImages):
    """The images as float64."""

    def take(self, rows):
        x, y = super().take(rows)
        return x.double(), y


def setup(arch, images, context, options=None, double=False, **values):
    """State, method and batches of simultaneous steps; all in float64 where that is asked for."""
    values = {"batch_size": BATCH, "simultaneous": True, **values}
    config = configured(arch, options, max(images.image_shape[1:]), **values)
    networks = networks_of(config, images)
    if double:
        for network in (networks.generator, networks.discriminator):
            network.double()
        draws = type(networks.generator).noise
        networks.generator.noise = lambda count, rng: draws(networks.generator, count, rng).double()
    method = method_with(config, networks, images, context, SEED)
    resident = (Doubled if double else ResidentImages)(images, SEED, context)
    return new_state(method), method, resident, config


def start(arch, images, context, options=None, double=False, **values):
    """The state, and the loop with simultaneous steps."""
    state, method, resident, config = setup(arch, images, context, options, double, **values)
    return state, training_loop(state, method, batches(resident, config))


def take(loop, count):
    return [next(loop).numbers() for _ in range(count)]


def cross_entropy(real, fake):
    """The tutorial's losses of discriminator and generator, by its own criterion."""
    criterion = nn.BCEWithLogitsLoss()
    ones, zeros = torch.ones_like(fake), torch.zeros_like(fake)
    return criterion(real, ones) + criterion(fake, zeros), criterion(fake, ones)


def hinge(real, fake):
    return (1 - real).clamp(min=0).mean() + (1 + fake).clamp(min=0).mean(), -fake.mean()


def relativistic(real, fake):
    return -functional.logsigmoid(real - fake).mean(), -functional.logsigmoid(fake - real).mean()


def two_of_k(real, fake):
    """MAD-GAN's with two generators: logits of generator 0, generator 1, real."""
    whose = torch.tensor([0] * (BATCH // 2) + [1] * (BATCH // 2))
    real_class = torch.full((BATCH,), 2)
    d_loss = functional.cross_entropy(real, real_class) + functional.cross_entropy(fake, whose)
    return d_loss, torch.log(1 - fake.softmax(1)[:, 2]).mean()


def tutorial(generator, discriminator, images, recipe, losses, context, count):
    """The Keras tutorial's training step in plain PyTorch: both gradients first, then both updates."""
    adam_g = torch.optim.Adam(generator.parameters(), recipe.lr, (recipe.beta1, recipe.beta2), foreach=False)
    adam_d = torch.optim.Adam(
        discriminator.parameters(), recipe.lr, (recipe.beta1, recipe.beta2), foreach=False
    )
    resident = Doubled(images, SEED, context)
    for step in range(count):
        real, y = resident.take(resident.rows(step, BATCH))
        rng = torch_stream(SEED, "step", step)
        seed_device(context.device, SEED, "dropout", step)
        fake = generator(torch.randn(BATCH, generator.latent_dim, generator=rng).double(), y)
        on_real, on_fake = discriminator(real, y).adversarial, discriminator(fake, y).adversarial
        d_loss, g_loss = losses(on_real, on_fake)
        of_g = torch.autograd.grad(g_loss, list(generator.parameters()), retain_graph=True)
        of_d = torch.autograd.grad(d_loss, list(discriminator.parameters()))
        for network, gradients in ((generator, of_g), (discriminator, of_d)):
            for parameter, gradient in zip(network.parameters(), gradients, strict=True):
                parameter.grad = gradient
        adam_g.step()
        adam_d.step()


def weights(*networks):
    return torch.cat([p.detach().flatten() for network in networks for p in network.parameters()])


GOLDEN = {
    "dropout": ("gan", {"width": 16}, {}, cross_entropy),
    "batch norm in both": ("dcgan", {"width": 8}, {}, cross_entropy),
    "the tutorial's nets": ("dcgan-5x5", {"first_width": 8, "latent_dim": 8}, {}, cross_entropy),
    "labels": ("cdcgan", SMALL, {"r1": 0.0, "loss": "hinge", "lr_schedule": "constant"}, hinge),
    "pairs": (
        "cdcgan",
        SMALL,
        {"r1": 0.0, "loss": "relativistic", "lr_schedule": "constant"},
        relativistic,
    ),
    "several": ("madgan-separate", {"latent_dim": 8, "generators": 2}, {}, two_of_k),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_steps_are_those_of_a_plain_loop(name, blobs, context, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)  # scores are float32 by design
    arch, options, recipe, losses = GOLDEN[name]
    ways = {}
    for simultaneous in (True, False):
        state, loop = start(
            arch, blobs, context, options, double=True, simultaneous=simultaneous, ema=0.0, **recipe
        )
        players = (state.generator, state.modules["discriminator"])
        before, by_hand = weights(*players), copy.deepcopy(players)
        take(loop, 2)
        ways[simultaneous] = weights(*players) - before
    chosen = configured(arch, options, **recipe).recipe
    for player in by_hand:
        player.train()
    tutorial(*by_hand, blobs, chosen, losses, context, 2)
    expected = weights(*by_hand) - before
    length = torch.linalg.vector_norm(expected)
    assert torch.linalg.vector_norm(ways[True] - expected) < 1e-6 * length
    assert torch.linalg.vector_norm(ways[False] - expected) > 1e-2 * length


@pytest.mark.parametrize("arch", TRAINED)
def test_every_architecture_takes_simultaneous_steps(arch, blobs, context):
    state, loop = start(arch, blobs, context, r1_every=1)
    calls = {"judged": [], "made": []}
    for name, network in (
        ("judged", state.modules["discriminator"]),
        ("made", state.generator),
    ):
        network.register_forward_hook(lambda m, inputs, out, name=name: calls[name].append(len(inputs[0])))
    before = [weights(network) for network in (state.generator, state.modules["discriminator"])]
    record = take(loop, 1)[0]
    penalties = int("d_r1" in record) + int("d_gp" in record)
    k = state.generator.num_generators
    fakes = BATCH // k * k
    assert calls == {"judged": [BATCH, fakes, *[BATCH] * penalties], "made": [fakes]}
    assert all(np.isfinite(value) for value in record.values())
    after = [weights(network) for network in (state.generator, state.modules["discriminator"])]
    assert not any(torch.equal(*pair) for pair in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("arch", "loss"),
    [
        *(("cdcgan", loss) for loss in catalog.LOSSES),
        ("madgan", "minimax"),
        ("madgan", "nonsaturating"),
    ],
)
def test_every_loss_takes_simultaneous_steps(arch, loss, blobs, context):
    _, loop = start(arch, blobs, context, SMALL, loss=loss, lecam=0.3, r2=1.0, bcr=1.0, clip=0.5)
    record = take(loop, 2)[1]
    assert {"d_loss", "g_loss", "d_lecam", "d_bcr", "d_accuracy"} <= set(record)
    assert all(np.isfinite(value) for value in record.values())


def test_extra_turns_come_before_a_simultaneous_one(blobs, context):
    state, loop = start("cdcgan", blobs, context, SMALL, r1=0.0, d_steps=3)
    calls = []
    state.modules["discriminator"].register_forward_hook(lambda m, inputs, out: calls.append(len(inputs[0])))
    take(loop, 1)
    assert calls == [2 * BATCH, 2 * BATCH, BATCH, BATCH]
    updates = [
        next(iter(player.state.values()))["step"].item()
        for player in (state.optimizers["discriminator"], state.optimizers["generator"])
    ]
    assert updates == [3, 1]


def test_both_players_learn_from_the_same_changed_fakes(blobs, context):
    """DiffAugment is drawn once for each batch, and the generator's gradient goes through it."""
    state, loop = start("cdcgan", blobs, context, SMALL, r1=0.0, diffaugment=("cutout", "color"))
    seen = []
    state.modules["discriminator"].register_forward_hook(lambda m, inputs, out: seen.append(inputs[0]))
    take(loop, 1)
    assert [images.requires_grad for images in seen] == [False, True]


def test_weights_stay_within_the_clip(blobs, context):
    state, loop = start("cdcgan", blobs, context, SMALL, loss="wasserstein", clip=0.01, r1=0.0)
    take(loop, 2)
    assert max(p.abs().max().item() for p in state.modules["discriminator"].parameters()) <= 0.01 + 1e-8


class ConvolutionGradients(TorchDispatchMode):
    """Counts which gradients of convolutions are computed: (shape of the weight, of the input?, of the weight?)."""

    def __init__(self):
        super().__init__()
        self.found = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket.__name__ == "convolution_backward":
            self.found[tuple(args[2].shape[:2]), *args[-1][:2]] += 1
        return func(*args, **(kwargs or {}))


def test_no_gradient_is_computed_twice_or_for_nothing(blobs, context):
    state, loop = start("dcgan-5x5", blobs, context, {"first_width": 16, "latent_dim": 8})
    first, second = (tuple(down.weight.shape[:2]) for down in state.modules["discriminator"].downs)
    with ConvolutionGradients() as gradients:
        take(loop, 1)
    of_discriminator = {key: count for key, count in gradients.found.items() if key[0] in (first, second)}
    # Weights: on real and on fake images. The first layer's input: for the generator alone.
    assert of_discriminator == {
        (first, False, True): 2,
        (first, True, False): 1,
        (second, True, True): 2,
        (second, True, False): 1,
    }


@pytest.mark.parametrize("arch", ["cdcgan", "dcgan", "gan", "madgan", "dcgan-5x5"])
def test_alternating_steps_are_plain_backward_passes_in_turn(arch, blobs, context):
    """Bit for bit: that gradients are asked of one player's parameters only changes nothing there."""
    ours, loop = start(arch, blobs, context, simultaneous=False, ema=0.0, r1_every=1)
    state, method, resident, _ = setup(arch, blobs, context, simultaneous=False, ema=0.0, r1_every=1)
    take(loop, 2)
    state.generator.train()
    discriminator = state.modules["discriminator"].train()
    for step in range(2):
        (draws,) = method.draws(step)
        draws.seed_dropout()
        real, y = resident.take(resident.rows(step, BATCH))
        fake, wanted = method.fakes(y, draws)
        on_real, on_fake = method.score_both((real, y), (fake.detach(), wanted), draws)
        batch = DiscriminatorBatch(real, y, fake.detach(), wanted, draws, on_real, on_fake)
        descend(state.optimizers["discriminator"], method.discriminator_losses(batch))
        discriminator.requires_grad_(False)
        scores = method.score(fake, wanted, draws)
        batch = DiscriminatorBatch(real, y, fake, wanted, draws, scores, scores)
        descend(state.optimizers["generator"], method.generator_losses(batch))
        discriminator.requires_grad_(True)
    for name, module in ours.modules.items():
        assert torch.equal(weights(module), weights(state.modules[name]))


def descend(optimizer, terms):
    optimizer.zero_grad()
    torch.stack(list(terms.values())).sum().backward()
    optimizer.step()
