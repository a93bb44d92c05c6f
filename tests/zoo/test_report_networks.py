"""The nets of reports and tutorials: every count and shape they give, and what our readings of them promise."""

import pytest
import torch
from torch import nn

from gangda.config import architectures, catalog, presets
from gangda.errors import UsageError
from gangda.zoo.networks import build_networks

LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def build(arch, side=28, channels=1, classes=10, **options):
    torch.manual_seed(0)
    return build_networks(arch, architectures.spec_class(arch)(**options), (channels, side, side), classes)


def trainable(module):
    return sum(parameter.numel() for parameter in module.parameters())


def statistics(module):
    return sum(buffer.numel() for buffer in module.buffers() if buffer.is_floating_point())


def plane_sizes(network, *inputs, leaves=LAYERS):
    """Shapes (C, H, W) or (F,) that the network's layers give for one image, in order."""
    seen = []
    hooks = [
        layer.register_forward_hook(lambda _layer, _inputs, result: seen.append(tuple(result.shape[1:])))
        for layer in network.modules()
        if isinstance(layer, leaves)
    ]
    network.eval()(*inputs)
    for hook in hooks:
        hook.remove()
    return seen


def shapes_of(arch, side=28, **options):
    """What the layers of both networks give for 28x28 grey images."""
    networks = build(arch, side, **options)
    k = networks.generator.num_generators
    z, y = torch.randn(k, networks.generator.latent_dim), torch.zeros(k, dtype=torch.int64)
    made = plane_sizes(networks.generator, z, y)
    judged = plane_sizes(networks.discriminator, torch.randn(1, 1, side, side), y[:1])
    return made, judged


def test_madgan_separate_is_report_r1s():
    networks = build("madgan-separate")
    assert networks.generator.num_generators == 5
    assert trainable(networks.generator) == 5 * 4_262_336
    assert statistics(networks.generator) == 5 * 25_472
    one = networks.generator.select(3)
    assert trainable(one) + statistics(one) == 4_287_808
    assert trainable(networks.discriminator) == 244_230
    assert networks.generator.dense.shape == (5, 256, 12_544)
    made, judged = shapes_of("madgan-separate", generators=1)
    assert made == [(128, 7, 7), (64, 14, 14), (1, 28, 28)]
    assert judged == [(64, 14, 14), (128, 7, 7), (2,)]


def test_dcgan_5x5_is_the_keras_tutorials():
    networks = build("dcgan-5x5")
    assert (
        trainable(networks.generator) + statistics(networks.generator) == 2_330_944
    )  # as its summary prints
    assert trainable(networks.generator) == 2_305_472
    assert trainable(networks.discriminator) == 212_865
    made, judged = shapes_of("dcgan-5x5")
    assert made == [(128, 7, 7), (64, 14, 14), (1, 28, 28)]
    assert judged == [(64, 14, 14), (128, 7, 7), (1,)]


def test_first_width_is_that_of_both_networks():
    networks = build("dcgan-5x5", first_width=32)
    assert networks.generator.dense.shape == (1, 100, 32 * 49)
    assert [tuple(down.weight.shape[:2]) for down in networks.discriminator.downs] == [(32, 1), (128, 32)]


@pytest.mark.parametrize("arch", ["dcgan-5x5", "madgan-separate"])
def test_what_the_reports_leave_open_is_as_keras_has_it(arch):
    networks = build(arch)
    norms = [m for m in networks.generator.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert [(norm.eps, norm.momentum) for norm in norms] == [(1e-3, 0.01)] * 3
    assert networks.discriminator.dropout == 0.3
    bound = (6 / (networks.generator.latent_dim + 12_544)) ** 0.5
    assert float(networks.generator.dense.detach().abs().max()) == pytest.approx(bound, rel=1e-3)


def test_sagan_batchnorm_is_report_r2s():
    networks = build("sagan-batchnorm", 32)
    assert trainable(networks.generator) == 3_465_121 + 1
    assert trainable(networks.discriminator) == 2_961_793 + 1
    made, judged = shapes_of("sagan-batchnorm", 32)
    # the 1x1 convolutions of attention: query, key and value
    attention = [(16, 16, 16), (16, 16, 16), (128, 16, 16)]
    assert made == [(512, 4, 4), (256, 8, 8), (128, 16, 16), *attention, (1, 32, 32)]
    attention = [(64, 4, 4), (64, 4, 4), (512, 4, 4)]
    assert judged == [(128, 16, 16), (256, 8, 8), (512, 4, 4), *attention, (1,)]


def test_without_attention_sagan_batchnorm_has_the_same_other_layers():
    networks = build("sagan-batchnorm", 32, attention=False)
    norms, out = 2 * (512 + 256 + 128), 128 * 16 + 1
    assert trainable(networks.generator) == 16 * (100 * 512 + 512 * 256 + 256 * 128) + norms + out
    downs = 16 * (1 * 128 + 128 * 256 + 256 * 512)
    assert trainable(networks.discriminator) == downs + norms + 8192 + 1
    made, judged = shapes_of("sagan-batchnorm", 32, attention=False)
    assert made == [(512, 4, 4), (256, 8, 8), (128, 16, 16), (1, 32, 32)]
    assert judged == [(128, 16, 16), (256, 8, 8), (512, 4, 4), (1,)]


def test_sagan_batchnorm_frames_small_images_and_refuses_large_ones():
    networks = build("sagan-batchnorm", 28)
    image, y = torch.rand(4, 1, 28, 28), torch.zeros(4, dtype=torch.int64)
    framed = torch.full((4, 1, 32, 32), -1.0)
    framed[:, :, 2:30, 2:30] = image
    same = build("sagan-batchnorm", 32).discriminator(framed, y).adversarial
    assert torch.equal(networks.discriminator(image, y).adversarial, same)
    z = torch.randn(4, 100)
    whole = build("sagan-batchnorm", 32).generator(z, y)
    assert torch.equal(networks.generator(z, y), whole[:, :, 2:30, 2:30])
    with pytest.raises(UsageError, match=r"48 pixels.*at most 32.*--image-size 32"):
        build("sagan-batchnorm", 48)


def test_dcgan_upsample_has_about_the_size_that_report_r3_gives():
    networks = build("dcgan-upsample")
    # Worked by hand: dense 100-512-12,544, convolutions 256-128-1 of 3x3, all with biases, and batch norm.
    dense = 100 * 512 + 512 + 2 * 512 + 512 * 12_544 + 12_544 + 2 * 12_544
    convs = 256 * 128 * 9 + 128 + 2 * 128 + 128 * 9 + 1
    assert trainable(networks.generator) == dense + convs == 6_809_345  # "about 7 M"
    assert trainable(networks.discriminator) == 309_761  # "about 310 k"
    made, judged = shapes_of("dcgan-upsample")
    assert made == [(512,), (12_544,), (128, 14, 14), (1, 28, 28)]
    assert judged == [(128, 14, 14), (256, 14, 14), (1,)]


def test_upsample_multipliers():
    networks = build("dcgan-upsample", width_factor=2, d_depth=3)
    assert networks.generator.conv.weight.shape[:2] == (256, 512)
    convs = [m.weight.shape[:2] for m in networks.discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert convs == [(256, 1), (256, 256), (256, 256), (512, 256), (512, 512), (512, 512)]


def test_ccgan_shows_the_discriminator_the_label_as_a_plane():
    networks = build("ccgan")
    assert networks.generator.dense[0].in_features == 100 + 10
    discriminator = networks.discriminator.eval()
    assert discriminator.plane.weight.shape == (784, 10)
    assert discriminator.blocks[0][0].weight.shape == (128, 2, 3, 3)
    with torch.no_grad():  # two classes with one plane cannot be told apart, whatever else they are
        discriminator.plane.weight[:, 3] = discriminator.plane.weight[:, 7]
    image = torch.rand(1, 1, 28, 28)
    scores = [discriminator(image, torch.tensor([label])).adversarial for label in (3, 7, 5)]
    assert torch.equal(scores[0], scores[1])
    assert not torch.equal(scores[0], scores[2])


def test_gan_mlp_and_cgan_have_the_widths_they_name():
    made, judged = shapes_of("gan-mlp")
    assert made == [(128,), (256,), (512,), (1024,), (784,)]
    assert judged == [(512,), (256,), (1,)]
    made, judged = shapes_of("cgan")  # Mirza 2014, section 4.1; maxout layers before the maximum
    assert sorted(made) == sorted([(200,), (1000,), (1200,), (784,)])
    assert sorted(judged) == sorted([(240 * 5,), (50 * 5,), (240 * 4,), (1,)])


def test_separate_generators_are_what_each_would_be_alone():
    ensemble = build("madgan-separate", 12, generators=3).generator.train()
    z = torch.randn(3, 6, 256)
    alone = [ensemble.select(k).train() for k in range(3)]
    together = ensemble(z, None).unflatten(0, (3, -1))
    for k, one in enumerate(alone):  # in training too: batch norm over a generator's own images only
        assert torch.allclose(together[k], one(z[k], None), atol=1e-5)
        theirs, ours = one.norms[1].running_var, ensemble.norms[1].running_var.chunk(3)[k]
        assert torch.allclose(theirs, ours, rtol=1e-4)
    assert not torch.allclose(together[0], together[1], atol=1e-2)
    with pytest.raises(IndexError):
        ensemble.select(3)


def test_recipes_are_those_of_the_reports():
    # R3: learning rate 0.002, batch 32 (DCGAN) and 0.0001, 64 (CCGAN). R1: log(1 - D_real).
    assert (presets.UpsampleSpec.recipe["lr"], presets.UpsampleSpec.recipe["batch_size"]) == (2e-3, 32)
    assert (presets.CcganSpec.recipe["lr"], presets.CcganSpec.recipe["batch_size"]) == (1e-4, 64)
    assert presets.MadganSeparateSpec.recipe["loss"] == "minimax"


def test_only_the_tutorials_gan_trains_simultaneously():
    """R4's follows the Keras tutorial, whose step takes both gradients from the same passes; R1's follows its paper."""
    found = {
        name
        for name in catalog.ARCHITECTURES
        if architectures.spec_class(name).recipe.get("simultaneous", False)
    }
    assert found == {"dcgan-5x5"}


@pytest.mark.parametrize(
    "arch", ["madgan-separate", "sagan-batchnorm", "gan-mlp", "cgan", "dcgan-upsample", "ccgan", "dcgan-5x5"]
)
def test_no_report_averages_weights(arch):
    assert architectures.spec_class(arch).recipe["ema"] == 0.0


@pytest.mark.parametrize("arch", ["cdcgan", "biggan", "dcgan", "sagan-batchnorm"])
def test_images_out_of_the_networks_range_are_refused(arch):
    least, largest = architectures.spec_class(arch).size_range
    for side, words in ((least - 1, f"at least {least}; give"), (largest + 1, f"at most {largest}; give")):
        with pytest.raises(UsageError, match=words):
            architectures.spec_class(arch)().resolved(side)
    for side in (least, largest):
        architectures.spec_class(arch)().resolved(side)
