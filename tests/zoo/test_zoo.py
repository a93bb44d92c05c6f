"""Properties that every architecture must have, parametrised over the catalog."""

import copy
import itertools
import math

import pytest
import torch
from training_setup import begin, configured, networks_of

from gangda.config import architectures, catalog
from gangda.config.fields import fields_by_name
from gangda.zoo.base import Scores
from gangda.zoo.networks import build_networks

TRAINED = [
    name
    for name in catalog.ARCHITECTURES
    if architectures.spec_class(name).method in ("adversarial", "madgan")
]
SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 30, 30), (1, 64, 64)]
CASES = [
    (arch, shape)
    for arch in TRAINED
    for shape in SHAPES
    if shape[1] <= architectures.spec_class(arch).size_range[1]
]


# Biases that cancel: of attention's keys in the softmax; of the score in a difference of scores (also inside hinges).
IMMATERIAL = {
    "sagan": {"attention.key.bias", "head.score.linear.bias"},
    "biggan": {"attention.key.bias"},
    "sagan-batchnorm": {"attention.key.bias"},
    "wgan-gp": {"head.score.linear.bias"},
}


def fields_of(arch):
    return fields_by_name(architectures.spec_class(arch))


DEEP = ["cdcgan", "acgan", "sagan", "biggan", "madgan"]


def build(arch, shape, classes=5, **options):
    torch.manual_seed(0)
    return build_networks(arch, architectures.spec_class(arch)(**options), shape, classes)


@pytest.mark.parametrize(("arch", "shape"), CASES, ids=str)
def test_shapes_and_ranges(arch, shape):
    networks = build(arch, shape)
    generator = networks.generator
    rows = 2 * generator.num_generators
    y = torch.arange(rows) % 5
    images = generator(generator.noise(rows, torch.Generator().manual_seed(1)), y)
    assert images.shape == (rows, *shape)
    assert images.abs().max() <= 1
    scores = networks.discriminator(images, y)
    assert isinstance(scores, Scores)
    assert scores.adversarial.shape[0] == rows
    assert scores.adversarial.dtype == torch.float32


@pytest.mark.parametrize("arch", TRAINED)
def test_logits_are_float32_under_autocast(arch):
    networks = build(arch, (1, 8, 8))
    with torch.autocast("cpu", torch.bfloat16):
        scores = networks.discriminator(torch.randn(4, 1, 8, 8), torch.arange(4))
    logits = {"adversarial": scores.adversarial, "classes": scores.classes, "without": scores.unconditional}
    assert {
        name for name, kind in logits.items() if kind is not None and kind.dtype != torch.float32
    } == set()


@pytest.mark.parametrize("arch", TRAINED)
def test_every_parameter_learns(arch):
    networks = build(arch, (1, 8, 8))
    generator = networks.generator
    rows = 4 * generator.num_generators
    y = torch.arange(rows) % 5
    z = generator.noise(rows, torch.Generator().manual_seed(1))
    scores = networks.discriminator(generator(z, y), y)
    answers = [scores.adversarial, *([] if scores.classes is None else [scores.classes])]
    sum(answer.square().sum() for answer in answers).backward()
    for player in (generator, networks.discriminator):
        idle = [name for name, p in player.named_parameters() if p.grad is None]
        assert idle == []
        assert all(torch.isfinite(p.grad).all() for p in player.parameters())


@pytest.mark.parametrize("arch", TRAINED)
def test_three_steps_of_its_own_recipe_change_every_weight(arch, blobs, context):
    config = configured(arch, {}, 8, batch_size=16)
    networks = networks_of(config, blobs)
    before = copy.deepcopy(networks)
    state, run = begin(config, networks, blobs, context, seed=0)
    for record in itertools.islice(run, 3):
        assert all(math.isfinite(value) for value in record.numbers().values())
    for old, new in (
        (before.generator, networks.generator),
        (before.discriminator, networks.discriminator),
        (before.generator, state.ema),
    ):
        weights = dict(new.named_parameters())
        still = {name for name, p in old.named_parameters() if torch.equal(p, weights[name])}
        assert still <= IMMATERIAL.get(arch, set())


@pytest.mark.parametrize("arch", TRAINED)
def test_saved_weights_make_the_same_images_in_other_networks(arch):
    one = build(arch, (1, 8, 8)).generator.eval()
    torch.manual_seed(9)
    two = build_networks(arch, architectures.spec_class(arch)(), (1, 8, 8), 5).generator.eval()
    rows = 2 * one.num_generators
    z = one.noise(rows, torch.Generator().manual_seed(1))
    y = torch.arange(rows) % 5
    assert not torch.equal(one(z, y), two(z, y))
    two.load_state_dict(one.state_dict())
    assert torch.equal(one(z, y), two(z, y))


@pytest.mark.parametrize("arch", TRAINED)
def test_discriminators_of_conditional_generators_look_at_the_label_or_name_it(arch):
    networks = build(arch, (1, 8, 8))
    discriminator = networks.discriminator.eval()
    with torch.no_grad():
        for parameter in discriminator.parameters():  # projections start at 0
            parameter.add_(0.1 * torch.randn_like(parameter))
    x = torch.randn(2, 1, 8, 8)
    one, two = (discriminator(x, torch.full((2,), label)) for label in (0, 1))
    listens = not torch.equal(one.adversarial, two.adversarial)
    assert (listens or one.classes is not None) == networks.generator.conditional


@pytest.mark.parametrize("arch", [name for name in TRAINED if "minibatch_stddev" in fields_of(name)])
def test_with_minibatch_stddev_an_image_is_judged_with_its_batch(arch):
    torch.manual_seed(0)
    networks = build_networks(arch, architectures.spec_class(arch)(minibatch_stddev=True), (1, 8, 8), 5)
    discriminator = networks.discriminator.eval()
    assert discriminator.separate_batches  # else real images and fakes would be one batch
    x, y = torch.randn(4, 1, 8, 8), torch.zeros(4, dtype=torch.int64)
    alike = x[:1].expand(4, -1, -1, -1)
    assert not torch.allclose(discriminator(x, y).adversarial[0], discriminator(alike, y).adversarial[0])


@pytest.mark.parametrize("arch", DEEP)
def test_depth_adds_layers_to_both_networks(arch):
    one, two = (build(arch, (1, 8, 8), depth=depth) for depth in (1, 2))
    for player in ("generator", "discriminator"):
        sizes = [sum(p.numel() for p in getattr(n, player).parameters()) for n in (one, two)]
        assert sizes[1] > sizes[0]
    k = two.generator.num_generators
    y = torch.arange(2 * k) % 5
    images = two.generator(two.generator.noise(2 * k, torch.Generator()), y)
    assert images.shape == (2 * k, 1, 8, 8)
    assert torch.isfinite(two.discriminator(images, y).adversarial).all()


@pytest.mark.parametrize("arch", TRAINED)
def test_conditional_generators_listen_to_the_label(arch):
    generator = build(arch, (1, 8, 8)).generator.eval()
    with torch.no_grad():
        for parameter in generator.parameters():  # fresh conditional norms are alike for all classes
            parameter.add_(0.1 * torch.randn_like(parameter))
    rows = generator.num_generators
    z = generator.noise(rows, torch.Generator().manual_seed(1))
    one, two = (
        generator(z, torch.zeros(rows, dtype=torch.int64)),
        generator(z, torch.ones(rows, dtype=torch.int64)),
    )
    assert torch.equal(one, two) is not generator.conditional


@pytest.mark.parametrize("arch", TRAINED)
def test_a_sample_does_not_depend_on_its_batch(arch):
    generator = build(arch, (1, 28, 28)).generator.eval()
    k = generator.num_generators
    z = generator.noise(4 * k, torch.Generator().manual_seed(1))
    y = torch.arange(4 * k) % 5
    alone = generator.select(0)(z[:2], y[:2])
    assert torch.allclose(generator(z, y)[:2], alone, atol=1e-5)


def test_networks_are_built_of_resolved_widths_only():
    with pytest.raises(ValueError, match="resolved"):
        catalog.builder("architecture", catalog.ARCHITECTURES, "cdcgan")(
            architectures.CdcganSpec(), (1, 8, 8), 5
        )


def test_numbers_of_parameters():
    # Counted by hand from the layer shapes at 28x28 with 10 classes.
    generator = build("cdcgan", (1, 28, 28), 10).generator
    linear = 64 * 128 * 49
    ups = 128 * 64 * 16 + 64 * 32 * 16
    norms = 10 * 2 * (128 + 64 + 32)
    out = 32 * 9 + 1
    assert sum(p.numel() for p in generator.parameters()) == linear + ups + norms + out


@pytest.mark.parametrize("k", [0, 1, 2])
@pytest.mark.parametrize("conditional", [True, False])
def test_a_selected_madgan_generator_makes_the_same_images(k, conditional):
    torch.manual_seed(0)
    spec = architectures.MadganSpec(generators=3, conditional=conditional)
    ensemble = build_networks("madgan", spec, (1, 28, 28), 5).generator.eval()
    z, y = torch.randn(12, 64), torch.arange(12) % 5
    together = ensemble(z, y)[4 * k : 4 * k + 4]
    alone = ensemble.select(k)(z[4 * k : 4 * k + 4], y[4 * k : 4 * k + 4])
    assert torch.allclose(together, alone, atol=1e-6)
    with pytest.raises(IndexError):
        ensemble.select(3)


def test_madgan_generators_start_different():
    generator = build("madgan", (1, 8, 8)).generator.eval()
    z = torch.randn(1, 64).expand(3, 64)
    images = generator(z, torch.zeros(3, dtype=torch.int64))
    assert not torch.allclose(images[0], images[1], atol=1e-3)


def test_madgan_discriminator_conditions_the_real_logit_only():
    spec = architectures.MadganSpec()
    discriminator = build_networks("madgan", spec, (1, 8, 8), 5).discriminator
    torch.nn.init.normal_(discriminator.embed.weight)
    x = torch.randn(2, 1, 8, 8)
    one = discriminator(x, torch.tensor([0, 0])).adversarial
    two = discriminator(x, torch.tensor([1, 1])).adversarial
    assert torch.equal(one[:, :-1], two[:, :-1])
    assert not torch.allclose(one[:, -1], two[:, -1])
