"""The training loop: what a step does, and that a resumed run is the same run."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from training_setup import configured, method_with, networks_of, start

from gangda.config import architectures, catalog
from gangda.config.methods import MadganOptions
from gangda.config.schema import Recipe, TrainConfig
from gangda.runtime.device import DeviceContext
from gangda.training.adversarial.losses import gradient_norm_penalty
from gangda.training.adversarial.regularisers import DiscriminatorBatch
from gangda.training.image_batches import Curriculum, ResidentImages, batches
from gangda.training.state import float_tensors
from gangda.zoo.base import Scores

TRAINED = [name for name in catalog.ARCHITECTURES if architectures.spec_class(name).method != "closed-form"]


def take(loop, count):
    return [next(loop).numbers() for _ in range(count)]


@pytest.mark.parametrize("arch", TRAINED)
def test_same_seed_same_bits_and_a_resumed_run_is_the_same_run(arch, blobs, context):
    whole, loop = start(arch, blobs, context)
    log = take(loop, 4)
    half, loop = start(arch, blobs, context)
    first = take(loop, 2)
    saved = copy.deepcopy(half.dump())
    resumed, loop = start(arch, blobs, context)
    resumed.load(saved)
    assert first + take(loop, 2) == log
    for name, tensor in whole.ema.state_dict().items():
        assert torch.equal(tensor, resumed.ema.state_dict()[name]), name


def test_without_a_weight_average_the_model_is_the_generator_itself(blobs, context):
    state, loop = start("cdcgan", blobs, context, ema=0.0)
    before = {name: tensor.clone() for name, tensor in state.ema.state_dict().items()}
    take(loop, 2)
    live = state.generator.state_dict()
    for name, tensor in state.ema.state_dict().items():
        if tensor.is_floating_point():
            assert torch.equal(tensor, live[name]), name
            assert not torch.equal(tensor, before[name]), name
    assert all(p.requires_grad for p in state.generator.parameters())
    assert not state.ema.training
    assert state.generator.training


def test_the_generators_loss_leaves_no_gradient_in_the_discriminator(blobs, context):
    state, loop = start("cdcgan", blobs, context, r1=0.0)
    kept = {}
    descend = state.optimizers["discriminator"].step

    def remember():
        kept.update({name: p.grad.clone() for name, p in state.modules["discriminator"].named_parameters()})
        descend()

    state.optimizers["discriminator"].step = remember
    next(loop)
    parameters = dict(state.modules["discriminator"].named_parameters())
    assert all(torch.equal(parameters[name].grad, grad) for name, grad in kept.items())
    assert all(p.requires_grad for p in parameters.values())


def test_r1_is_due_every_few_steps(blobs, context):
    _, loop = start("cdcgan", blobs, context, r1_every=3)
    assert ["d_r1" in record for record in take(loop, 7)] == [True, False, False, True, False, False, True]


def test_the_average_follows_the_live_weights(blobs, context):
    state, loop = start("cdcgan", blobs, context, ema=0.5)
    before = state.ema.linear.weight.clone()
    next(loop)
    decay = min(0.5, 1 / 11)
    expected = before + (state.generator.linear.weight - before) * (1 - decay)
    assert torch.allclose(state.ema.linear.weight, expected, atol=1e-6)


def test_every_image_is_seen_once_an_epoch(blobs, context):
    resident = ResidentImages(blobs, 0, context)
    seen = torch.cat([resident.take(resident.rows(step, 16))[0] for step in range(10)])
    assert len(seen) == len(blobs)
    as_pixels = ((seen + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    assert sorted(map(bytes, as_pixels)) == sorted(map(bytes, blobs.pixels))


def test_training_learns_the_classes(blobs, context):
    small = {"width": 8, "d_width": 16, "latent_dim": 8}
    state, loop = start("cdcgan", blobs, context, small, batch_size=32, lr=2e-3, r1=0.1, r1_every=8, ema=0.9)
    take(loop, 200)
    generator = state.ema
    with torch.no_grad():
        for label in range(4):
            y = torch.full((32,), label)
            mean = generator(generator.noise(32, torch.Generator().manual_seed(0)), y).mean(0)[0]
            quarters = [mean[r : r + 4, c : c + 4].mean() for r in (0, 4) for c in (0, 4)]
            assert int(np.argmax(quarters)) == label


SMALL = {"width": 8, "d_width": 8}
# Every option of the recipe that is off by default, in combinations that fit.
COURSES = {
    "gradients": ("cdcgan", SMALL, {"r2": 1.0, "gp": 10.0, "loss": "wasserstein", "clip": 0.1}),
    "relative": ("cdcgan", SMALL, {"loss": "relativistic", "r2": 0.5, "lr_schedule": "cosine", "lr_d": 1e-3}),
    "least squares": (
        "cdcgan",
        SMALL,
        {"loss": "lsgan", "cr": 10.0, "ema_ramp": 0.5, "lr_constant_steps": 2, "class_sampling": "sqrt"},
    ),
    "few images": (
        "cdcgan",
        SMALL,
        {
            "conditioning_warmup": 5,
            "lecam": 0.3,
            "bcr": 10.0,
            "cr_flip": True,
            "diffaugment": ("translation", "color", "cutout"),
        },
    ),
    "turns": ("cdcgan", SMALL, {"d_steps": 2, "d_pretrain": 3, "curriculum": 4, "label_smoothing": 0.1}),
    "dropout": ("gan", {"width": 16}, {"ct": 2.0, "d_steps": 2, "lecam": 0.3}),
    "batch norm": ("dcgan", {"width": 8}, {"loss": "relativistic", "r1": 1.0, "r2": 1.0, "bcr": 10.0}),
    "classifying": (
        "acgan",
        {},
        {
            "aux_weight": 0.5,
            "conditioning_warmup": 5,
            "gp": 1.0,
            "fake_classes": "uniform",
            "orthogonal": 1e-3,
        },
    ),
    "identities": (
        "madgan",
        SMALL,
        {"generator_id_weight": 0.5, "label_smoothing": 0.1, "lecam": 0.3, "r2": 1.0, "cr": 1.0},
    ),
    "simultaneous": (
        "cdcgan",
        SMALL,
        {
            "simultaneous": True,
            "d_steps": 2,
            "lecam": 0.3,
            "r2": 1.0,
            "diffaugment": ("translation", "cutout"),
        },
    ),
    "simultaneous, with dropout": ("dcgan-5x5", {"first_width": 8}, {"clip": 0.5, "ct": 2.0, "ema": 0.9}),
    "simultaneous identities": (
        "madgan",
        SMALL,
        {"simultaneous": True, "generator_id_weight": 0.5, "bcr": 1.0},
    ),
}


@pytest.mark.parametrize("name", COURSES)
def test_every_option_resumes_exactly(name, blobs, context):
    arch, options, recipe = COURSES[name]
    whole, loop = start(arch, blobs, context, options, total_steps=20, **recipe)
    log = take(loop, 6)
    half, loop = start(arch, blobs, context, options, total_steps=20, **recipe)
    first = take(loop, 3)
    saved = copy.deepcopy(half.dump())
    resumed, loop = start(arch, blobs, context, options, total_steps=20, **recipe)
    resumed.load(saved)
    assert first + take(loop, 3) == log
    assert all(np.isfinite(value) for record in log for value in record.values())
    for name, tensor in whole.modules["discriminator"].state_dict().items():
        assert torch.equal(tensor, resumed.modules["discriminator"].state_dict()[name]), name


def test_every_option_of_the_recipe_is_tried_above():
    tried = {name for _, _, recipe in COURSES.values() for name in recipe}
    always = {"batch_size", "lr", "beta1", "beta2", "r1_every", "ema"}
    fields = {field.name for kind in (Recipe, MadganOptions) for field in dataclasses.fields(kind)}
    assert fields == tried | always | {"lr_warmup_steps", "init_from"}


@pytest.mark.parametrize(
    ("arch", "options", "recipe", "term"),
    [
        ("cdcgan", SMALL, {"r2": 1.0}, "d_r2"),
        ("cdcgan", SMALL, {"gp": 10.0}, "d_gp"),
        ("cdcgan", SMALL, {"cr": 10.0}, "d_cr"),
        ("cdcgan", SMALL, {"bcr": 10.0}, "d_bcr"),
        ("cdcgan", SMALL, {"lecam": 0.3}, "d_lecam"),
        ("cdcgan", SMALL, {"conditioning_warmup": 9}, "d_unconditional"),
        ("cdcgan", SMALL, {"conditioning_warmup": 9}, "g_unconditional"),
        ("gan", {"width": 16}, {"ct": 2.0}, "d_ct"),
        ("madgan", SMALL, {"generator_id_weight": 1.0}, "g_identity"),
        ("acgan", {}, {}, "d_classes"),
        ("acgan", {}, {}, "g_classes"),
    ],
)
def test_each_option_has_a_term_of_its_own(arch, options, recipe, term, blobs, context):
    _, loop = start(arch, blobs, context, options, **recipe)
    assert term in take(loop, 1)[0]
    if recipe:
        _, loop = start(arch, blobs, context, options)
        assert term not in take(loop, 1)[0]


def count_calls(module):
    calls = []
    module.register_forward_hook(lambda module, inputs, output: calls.append(len(inputs[0])))
    return calls


def test_the_default_recipe_makes_no_more_passes_than_it_must(blobs, context):
    state, loop = start("cdcgan", blobs, context, SMALL, r1_every=100)
    take(loop, 1)
    discriminator, generator = (count_calls(m) for m in (state.modules["discriminator"], state.generator))
    take(loop, 1)
    assert (discriminator, generator) == ([24, 12], [12])


def test_a_paired_loss_shows_the_generator_real_images_too(blobs, context):
    state, loop = start("cdcgan", blobs, context, SMALL, r1=0.0, loss="relativistic")
    calls = count_calls(state.modules["discriminator"])
    take(loop, 1)
    assert calls == [24, 24]


def test_extra_turns_get_fresh_images_and_fresh_fakes(blobs, context):
    state, loop = start("cdcgan", blobs, context, SMALL, d_steps=2, d_pretrain=3)
    seen = []
    state.modules["discriminator"].register_forward_hook(
        lambda module, inputs, output: seen.append(inputs[0].detach()) if len(inputs[0]) == 24 else None
    )
    records = [next(loop) for _ in range(4)]
    assert [record.step for record in records] == [0, 0, 0, 1]
    assert [record.images for record in records] == [12, 24, 36, 5 * 12]
    steps_of = [
        next(iter(o.state.values()))["step"].item()
        for o in (state.optimizers["discriminator"], state.optimizers["generator"])
    ]
    assert steps_of == [5, 1]
    for half in (slice(0, 12), slice(12, 24)):
        assert len({batch[half].numpy().tobytes() for batch in seen}) == 5
    next(loop)
    assert len(seen) == 7
    resident = ResidentImages(blobs, 7, context)
    assert all(
        torch.equal(batch[:12], resident.take(resident.rows(turn, 12))[0]) for turn, batch in enumerate(seen)
    )


def test_terms_of_extra_turns_are_told(blobs, context):
    """Penalties of every eighth turn fall on extra turns only where a step has two."""
    _, loop = start("cdcgan", blobs, context, SMALL, d_steps=2, r1_every=8)
    assert ["d_r1" in record for record in take(loop, 5)] == [True, False, False, False, True]
    _, loop = start("cdcgan", blobs, context, SMALL, d_pretrain=2)
    first, second, third = take(loop, 3)
    assert ("d_r1" in first, "d_r1" in second) == (True, False)
    assert {"d_loss", "d_accuracy"} == set(second)
    assert {"d_loss", "g_loss", "d_accuracy"} <= set(third)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_pretraining_resumes_at_any_turn(turns, blobs, context):
    options = {"d_pretrain": 3, "d_steps": 2, "lecam": 0.3}
    whole, loop = start("cdcgan", blobs, context, SMALL, **options)
    log = take(loop, 5)
    half, loop = start("cdcgan", blobs, context, SMALL, **options)
    first = take(loop, turns)
    assert (half.step, half.pretrained) == (0, turns)
    saved = copy.deepcopy(half.dump())
    resumed, loop = start("cdcgan", blobs, context, SMALL, **options)
    resumed.load(saved)
    assert first + take(loop, 5 - turns) == log
    for name, tensor in whole.modules["discriminator"].state_dict().items():
        assert torch.equal(tensor, resumed.modules["discriminator"].state_dict()[name]), name


def test_learning_rates_of_each_network_follow_the_schedule(blobs, context):
    state, loop = start(
        "cdcgan", blobs, context, SMALL, total_steps=4, lr=0.004, lr_d=0.002, lr_schedule="cosine"
    )
    rates = []
    for _ in range(4):
        next(loop)
        rates.append(
            [
                o.param_groups[0]["lr"]
                for o in (state.optimizers["generator"], state.optimizers["discriminator"])
            ]
        )
    expected = [[0.004 * c, 0.002 * c] for c in (1, (1 + 0.5**0.5) / 2, 0.5, (1 - 0.5**0.5) / 2)]
    assert np.allclose(rates, expected)
    state, loop = start("cdcgan", blobs, context, SMALL, lr=0.004, lr_d=0.002)
    next(loop)
    assert state.optimizers["discriminator"].param_groups[0]["lr"] == 0.002


@pytest.mark.parametrize("arch", ["cdcgan", "acgan", "biggan"])
def test_a_transition_begins_without_the_class_and_ends_with_it(arch, blobs, context):
    state, loop = start(arch, blobs, context, conditioning_warmup=3, lr=0.02)
    next(loop)
    assert not _listens(state.generator)
    assert not _listens(state.ema)
    take(loop, 3)
    assert _listens(state.generator)
    assert _listens(state.ema)


def _listens(generator):
    """Whether the class makes a difference to an image."""
    generator.eval()
    z = torch.randn(1, generator.latent_dim, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        one, two = (generator(z, torch.tensor([label])) for label in (0, 1))
    generator.train()
    return not torch.allclose(one, two, atol=1e-6)


def test_the_conditional_part_of_the_loss_grows_with_the_transition(blobs, context):
    _, loop = start("cdcgan", blobs, context, SMALL, conditioning_warmup=2)
    first, second, third = take(loop, 3)
    assert first["d_loss"] == first["g_loss"] == 0.0
    assert first["d_unconditional"] == pytest.approx(2 * np.log(2), abs=0.1)
    assert second["d_loss"] == pytest.approx(0.5 * second["d_unconditional"], rel=0.05)
    assert third["d_loss"] > 0


def test_weights_stay_within_the_clip(blobs, context):
    state, loop = start("cdcgan", blobs, context, SMALL, loss="wasserstein", clip=0.01, r1=0.0)
    take(loop, 2)
    assert max(p.abs().max().item() for p in state.modules["discriminator"].parameters()) <= 0.01 + 1e-8


def test_accuracy_is_told_and_not_learned_from(blobs, context):
    _, loop = start("cdcgan", blobs, context, SMALL, lr=2e-3)
    records = take(loop, 40)
    assert all(0 <= record["d_accuracy"] <= 1 for record in records)
    config = configured("cdcgan", SMALL, r1=0.0)
    method = method_with(config, networks_of(config, blobs), blobs, context, 7)
    x, y = torch.zeros(4, 1, 8, 8), torch.zeros(4, dtype=torch.int64)
    scores = Scores(torch.zeros(4, requires_grad=True))
    losses = method.discriminator_losses(DiscriminatorBatch(x, y, x, y, method.draws(0)[0], scores, scores))
    assert set(losses) == {"d_loss"}
    assert not method.metrics["d_accuracy"].requires_grad


def test_the_games_memory_is_part_of_the_state(blobs, context):
    state, loop = start("cdcgan", blobs, context, SMALL, lecam=0.3)
    take(loop, 2)
    saved = copy.deepcopy(state.dump())
    kept = saved["buffers"]["lecam"].clone()
    take(loop, 1)
    assert not torch.equal(state.buffers["lecam"], kept)
    state.load(saved)
    assert torch.equal(state.buffers["lecam"], kept)


def test_a_curriculum_begins_with_easy_images(blobs, context):
    resident = ResidentImages(blobs, 7, context)
    easy = Curriculum(resident.pixels, resident.labels, 7, 20)
    allowed = {row.numpy().tobytes() for row in resident.pixels[easy.pool(0)]}
    state, loop = start("cdcgan", blobs, context, SMALL, curriculum=20)
    seen = []
    state.modules["discriminator"].register_forward_hook(
        lambda m, inputs, out: seen.append(inputs[0].detach())
    )
    next(loop)
    as_pixels = ((seen[0][:12] + 1) * 127.5).round().to(torch.uint8)
    assert {image.numpy().tobytes() for image in as_pixels} <= allowed


class Elsewhere:
    """A tensor of another device, which can only be brought back."""

    device = torch.device("meta")

    def __init__(self, tensor):
        self.tensor = tensor

    def cpu(self):
        return self.tensor


def test_a_curriculum_is_ranked_on_the_cpu_wherever_the_images_are(blobs, context):
    resident = ResidentImages(blobs, 7, context)
    resident.pixels, resident.labels = Elsewhere(resident.pixels), Elsewhere(resident.labels)
    resident.take = lambda rows: rows
    rows = batches(resident, TrainConfig(recipe=Recipe(curriculum=2)))(0)
    assert (rows.device.type, len(rows)) == ("meta", 32)


@pytest.mark.parametrize(
    ("arch", "options", "recipe"),
    [
        *COURSES.values(),
        ("sagan", {}, {"conditioning_warmup": 5}),
        ("biggan", {}, {"conditioning_warmup": 5, "r2": 1.0}),
    ],
)
def test_terms_are_float32_whatever_the_networks_compute_in(arch, options, recipe, blobs):
    half = DeviceContext(torch.device("cpu"), torch.bfloat16, 1)
    _, loop = start(arch, blobs, half, options, total_steps=20, **recipe)
    record = next(loop)
    assert {name: value.dtype for name, value in record.losses.items()} == dict.fromkeys(
        record.losses, torch.float32
    )


def test_penalties_are_taken_at_float32_fakes():
    """A network in bfloat16 makes such fakes; their gradient must not be rounded to it."""
    seen = []

    def score(images):
        seen.append(images.dtype)
        return images.sum((1, 2, 3))

    assert gradient_norm_penalty(score, torch.zeros(2, 1, 4, 4, dtype=torch.bfloat16)).item() == 0.5 * 16
    assert seen == [torch.float32]


class Doubles(TorchDispatchMode):
    """Finds operations whose result is float64."""

    def __init__(self):
        super().__init__()
        self.found = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        leaves = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        self.found |= {str(func) for leaf in leaves if leaf.dtype == torch.float64}
        return result


@pytest.mark.parametrize("name", ["default", *(name for name in COURSES if name != "turns")])
def test_steps_need_no_doubles(name, blobs, context):
    """MPS has none. A curriculum is ranked on the CPU."""
    arch, options, recipe = COURSES.get(name, ("cdcgan", SMALL, {}))
    _, loop = start(arch, blobs, context, options, total_steps=20, **recipe)
    with Doubles() as doubles:
        torch.zeros(1).double()
        assert doubles.found
        doubles.found.clear()
        take(loop, 2)
    assert not doubles.found


@pytest.mark.parametrize("arch", ["sagan-batchnorm", "dcgan-upsample"])
def test_without_averaging_the_average_is_the_live_network(arch, blobs, context):
    """Running statistics of batch norm included."""
    state, loop = start(arch, blobs, context)
    assert architectures.spec_class(arch).recipe["ema"] == 0.0
    take(loop, 2)
    for ours, live in zip(float_tensors(state.ema), float_tensors(state.generator), strict=True):
        assert torch.equal(ours, live)


@pytest.mark.parametrize(
    ("arch", "values"), [("cdcgan", {"d_steps": 5, "r1_every": 1}), ("wgan-gp", {"d_steps": 5})]
)
def test_many_discriminator_steps_resumed_are_the_same_run(arch, values, blobs, context):
    """A step's draws of one kind are made before the first of them has run."""
    _, loop = start(arch, blobs, context, SMALL, **values)
    log = take(loop, 3)
    half, loop = start(arch, blobs, context, SMALL, **values)
    first = take(loop, 2)
    saved = copy.deepcopy(half.dump())
    resumed, loop = start(arch, blobs, context, SMALL, **values)
    resumed.load(saved)
    assert first + take(loop, 1) == log
