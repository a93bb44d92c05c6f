"""MAD-GAN's networks: generators that are computed together, and a softmax in two parts."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from gangda.config import architectures
from gangda.training.adversarial import madgan, regularisers
from gangda.zoo.gan.madgan import PerGeneratorOutput
from gangda.zoo.networks import build_networks


def build(shape=(1, 8, 8), arch="madgan", **options):
    torch.manual_seed(0)
    return build_networks(arch, architectures.spec_class(arch)(**options), shape, 5)


def test_generators_apart_compute_the_grouped_convolution():
    layer, x = PerGeneratorOutput(3, 4, 2), torch.randn(6, 4, 5, 5, requires_grad=True)
    results = []
    for images in (layer.apart(x), layer.grouped(x)):
        results.append((images, *torch.autograd.grad(images.square().sum(), [x, layer.weight, layer.bias])))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [{"depth": 2}, {"conditional": False}, {"virtual_batch_norm": "half"}, {"generators": 1}],
    ids=str,
)
def test_a_selected_generator_makes_the_same_images(options):
    ensemble = build(**options).generator.eval()
    k = ensemble.num_generators
    z, y = torch.randn(3 * k, 64), torch.arange(3 * k) % 5
    together = ensemble(z, y).chunk(k)
    before = {name: tensor.clone() for name, tensor in ensemble.state_dict().items()}
    for which in range(k):
        rows = slice(3 * which, 3 * which + 3)
        alone = ensemble.select(which)
        assert alone.num_generators == 1
        torch.testing.assert_close(alone(z[rows], y[rows]), together[which], rtol=1e-4, atol=1e-5)
        with torch.no_grad():
            for parameter in alone.parameters() if k > 1 else ():
                parameter.zero_()
    assert all(torch.equal(before[name], tensor) for name, tensor in ensemble.state_dict().items())


def test_the_ensemble_adds_only_its_heads_to_the_default():
    default = build_networks("cdcgan", architectures.CdcganSpec(), (1, 28, 28), 10).generator
    own = sum(p.numel() for p in default.out.parameters()) + 2 * (128 + 64 + 32)
    sizes = [
        sum(
            p.numel()
            for p in build_networks(
                "madgan", architectures.MadganSpec(generators=k), (1, 28, 28), 10
            ).generator.parameters()
        )
        for k in (1, 4)
    ]
    assert sizes[0] == sum(p.numel() for p in default.parameters()) + 2 * (128 + 64 + 32)
    assert sizes[1] - sizes[0] == 3 * own


def test_the_cross_entropy_is_that_of_the_paper():
    discriminator = build(generators=3).discriminator
    torch.nn.init.normal_(discriminator.embed.weight)
    x, y = torch.randn(6, 1, 8, 8), torch.arange(6) % 5
    h, whose = discriminator.trunk(x).detach().double().numpy(), np.array([0, 0, 1, 1, 2, 2])
    weight, bias = (t.detach().double().numpy() for t in discriminator.logits.parameters())
    logits = h @ weight.T + bias
    logits[:, 3] += (discriminator.embed.weight.detach().double().numpy()[y.numpy()] * h).sum(1)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = -np.log(p[:, 3]).mean() - np.log(p[np.arange(6), whose]).mean()
    ours = discriminator(x, y).adversarial
    assert madgan.discriminator_loss(ours, ours, torch.from_numpy(whose)).item() == pytest.approx(
        expected, rel=1e-4
    )
    assert madgan.minimax(ours).item() == pytest.approx(np.log(1 - p[:, 3]).mean(), rel=1e-4)
    odds = np.log(p[:, 3] / (1 - p[:, 3]))
    np.testing.assert_allclose(madgan.real_score(ours).detach().numpy(), odds, rtol=1e-3, atol=1e-4)


def test_of_a_mixture_the_cross_entropy_is_real_or_not_and_whose():
    discriminator = build(arch="mixture-gan", generators=3).discriminator
    torch.nn.init.normal_(discriminator.embed.weight)
    x, y = torch.randn(6, 1, 8, 8), torch.arange(6) % 5
    logits = discriminator(x, y).adversarial
    torch.testing.assert_close(logits[:, :-1].exp().sum(1), torch.ones(6))
    score, whose = madgan.real_score(logits), torch.tensor([0, 0, 1, 1, 2, 2])
    torch.testing.assert_close(score, logits[:, -1])
    expected = F.softplus(-score).mean() + F.softplus(score).mean() + F.nll_loss(logits[:, :-1], whose)
    torch.testing.assert_close(madgan.discriminator_loss(logits, logits, whose), expected)


def test_a_mixture_of_one_generator_plays_the_default_game():
    mad, default = (
        build(arch="mixture-gan", generators=1).discriminator,
        build_networks("cdcgan", architectures.CdcganSpec(), (1, 8, 8), 5),
    )
    default.discriminator.trunk.load_state_dict(mad.trunk.state_dict())
    default.discriminator.head.score.linear.load_state_dict(mad.score.state_dict())
    default.discriminator.head.embed.load_state_dict(mad.embed.state_dict())
    x, y = torch.randn(4, 1, 8, 8), torch.arange(4)
    torch.testing.assert_close(mad(x, y).adversarial[:, 1], default.discriminator(x, y).adversarial)
    assert (mad(x, y).adversarial[:, 0] == 0).all()


def test_of_a_mixture_whose_learns_from_the_features_without_shaping_them():
    discriminator = build(arch="mixture-gan", generators=3).discriminator
    x, y = torch.randn(6, 1, 8, 8, requires_grad=True), torch.arange(6) % 5
    method = SimpleNamespace(
        generator=SimpleNamespace(num_generators=3), options=SimpleNamespace(generator_id_weight=1.0)
    )

    def loss():
        batch = SimpleNamespace(fake=x, on_fake=discriminator(x, y))
        return regularisers.generator_id(method, batch)["g_identity"]

    loss().backward()
    touched = {name for name, p in discriminator.named_parameters() if p.grad is not None and p.grad.any()}
    assert touched == {"whose.weight", "whose.bias"}
    discriminator.requires_grad_(False)
    x.grad = None
    loss().backward()
    assert x.grad.any()


@pytest.mark.parametrize(("arch", "shapes"), [("madgan", True), ("mixture-gan", False)])
def test_telling_generators_apart_shapes_the_features_of_madgan_only(arch, shapes):
    discriminator = build(arch=arch).discriminator
    real, fake = torch.rand(6, 1, 8, 8), torch.rand(6, 1, 8, 8)
    y, made_by = torch.arange(6) % 5, torch.tensor([0, 0, 1, 1, 2, 2])
    gradients = []
    for scale in (0.0, 3.0):
        torch.manual_seed(1)
        with torch.no_grad():
            weight = (discriminator.logits if shapes else discriminator.whose).weight[:3]
            weight.copy_(scale * torch.randn_like(weight))
        loss = madgan.discriminator_loss(
            discriminator(real, y).adversarial, discriminator(fake, y).adversarial, made_by
        )
        gradients.append(torch.autograd.grad(loss, discriminator.trunk.mix.weight)[0])
    assert torch.allclose(*gradients, rtol=1e-3, atol=1e-6) is not shapes
