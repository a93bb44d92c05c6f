"""Virtual batch norm by hand, and the wrapper that carries its reference batch."""

import copy
import itertools

import pytest
import torch
from torch import nn
from training_setup import start

from gangda.config import architectures, catalog
from gangda.errors import UsageError
from gangda.zoo.base import Generator
from gangda.zoo.layers.options import HalfNorm, ReferenceGenerator, ReferenceNorm
from gangda.zoo.networks import build_networks

OPEN = [
    name
    for name in catalog.ARCHITECTURES
    if issubclass(architectures.spec_class(name), architectures.NetSpec)
    and architectures.spec_class(name).batch_norm
]


class Normed(Generator):
    """z as a 1x1 image of two channels, through batch norm."""

    latent_dim, num_classes, image_shape = 2, 3, (2, 1, 1)

    def __init__(self, norm):
        super().__init__()
        self.norm = norm

    def forward(self, z, y):
        return self.norm(z[:, :, None, None])


def built(virtual, arch="cdcgan", side=8):
    torch.manual_seed(0)
    spec = architectures.spec_class(arch)(virtual_batch_norm=virtual)
    return build_networks(arch, spec, (1, side, side), 3).generator


def test_reference_norm_by_hand():
    # Reference of two images, 1 and 3: mean 2, mean square 5. An image of 8 has c = 1/3: mean 2/3 * 2 + 1/3 * 8 = 4,
    # mean square 2/3 * 5 + 1/3 * 64 = 74/3, variance 74/3 - 16 = 26/3.
    norm = ReferenceNorm(1, eps=0.0)
    norm.recording = True
    reference = norm(torch.tensor([1.0, 3.0]).view(2, 1, 1, 1))
    assert reference.flatten().tolist() == pytest.approx([-1, 1])
    norm.recording = False
    image = norm(torch.tensor([8.0, 8.0, 2.0]).view(3, 1, 1, 1)).flatten()
    assert image[0].item() == image[1].item() == pytest.approx(4 / (26 / 3) ** 0.5)


def test_an_image_depends_on_the_reference_but_not_on_its_batch():
    generator = built("reference").train()
    z, y = torch.randn(6, 64), torch.arange(6) % 3
    together = generator(z, y)
    assert torch.allclose(together[:2], generator(z[:2], y[:2]), atol=1e-5)
    generator.reference_z.mul_(2)
    assert not torch.allclose(together, generator(z, y), atol=1e-3)


def test_nothing_of_the_pass_stays_behind():
    generator = built("reference").train()
    generator(torch.randn(2, 64), torch.zeros(2, dtype=torch.int64)).sum().backward()
    copy.deepcopy(generator)
    norms = [layer for layer in generator.modules() if isinstance(layer, ReferenceNorm)]
    assert norms
    assert all(norm.kept is None and not norm.recording for norm in norms)


@pytest.mark.parametrize("detached", [False, True])
def test_the_gradient_reaches_the_weights_through_the_reference_too(detached):
    inner = Normed(ReferenceNorm(2))
    scale = nn.Parameter(torch.ones(()))

    def forward(z, y):
        factor = scale.detach() if detached and inner.norm.recording else scale
        return inner.norm(factor * z[:, :, None, None])

    inner.forward = forward
    wrapped = ReferenceGenerator(inner)
    torch.manual_seed(0)
    wrapped(torch.randn(4, 2), torch.zeros(4, dtype=torch.int64)).square().sum().backward()
    # Normalised by statistics that scale along with it, an image hardly changes: without their part it would.
    size = scale.grad.abs().item()
    assert size > 1 if detached else size < 1e-3


def test_half_norm_by_hand(monkeypatch):
    # Rows 0, 2 are 1 and 3 (mean 2, variance 1), rows 1, 3 are 10 and 14 (mean 12, variance 4).
    monkeypatch.setattr(torch, "randperm", lambda n, device=None: torch.tensor([0, 2, 1, 3]))
    norm = HalfNorm(1, eps=0.0, momentum=0.5).train()
    y = norm(torch.tensor([1.0, 10.0, 3.0, 14.0]).view(4, 1, 1, 1)).flatten()
    assert y.tolist() == pytest.approx([(1 - 12) / 2, 10 - 2, (3 - 12) / 2, 14 - 2])
    # The running statistics are those of the whole batch, as in plain batch norm.
    plain = nn.BatchNorm2d(1, momentum=0.5).train()
    plain(torch.tensor([1.0, 10.0, 3.0, 14.0]).view(4, 1, 1, 1))
    assert norm.running_mean.item() == pytest.approx(plain.running_mean.item())
    assert norm.running_var.item() == pytest.approx(plain.running_var.item())


def test_halves_are_drawn_from_torchs_stream():
    norm, x = HalfNorm(2).train(), torch.randn(8, 2, 3, 3)
    torch.manual_seed(1)
    one = norm(x)
    assert not torch.equal(one, norm(x))
    torch.manual_seed(1)
    assert torch.equal(one, norm(x))


def test_sampling_with_halves_is_plain_batch_norm():
    half, plain = built("half").eval(), built("none").eval()
    z, y = torch.randn(4, 64), torch.arange(4) % 3
    assert torch.equal(half(z, y), plain(z, y))


def test_halves_of_a_flat_layer_and_of_one_row():
    norm = HalfNorm(3).train()
    assert norm(torch.randn(5, 3)).shape == (5, 3)
    assert torch.isfinite(norm(torch.randn(1, 3, 2, 2))).all()


@pytest.mark.parametrize("virtual", ["half", "reference"])
@pytest.mark.parametrize("arch", OPEN)
def test_every_batch_norm_of_every_generator_is_replaced(arch, virtual):
    side = 28 if architectures.spec_class(arch).size_range[0] > 8 else 8
    generator = built(virtual, arch, side)
    norms = [layer for layer in generator.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    kind = {"half": HalfNorm, "reference": ReferenceNorm}[virtual]
    assert norms
    assert all(type(norm) is kind for norm in norms)
    again = built(virtual, arch, side)
    again.load_state_dict(generator.state_dict())


def test_an_ensembles_generator_alone_makes_the_same_images():
    torch.manual_seed(0)
    spec = architectures.MadganSpec(generators=3, virtual_batch_norm="reference")
    ensemble = build_networks("madgan", spec, (1, 8, 8), 5).generator.eval()
    z, y = torch.randn(12, ensemble.latent_dim), torch.arange(12) % 5
    together = ensemble(z, y)
    for k in range(3):
        rows = slice(4 * k, 4 * k + 4)
        assert torch.allclose(ensemble.select(k)(z[rows], y[rows]), together[rows], atol=1e-5)
    with pytest.raises(IndexError):
        ensemble.select(3)


def test_a_generator_without_batch_norm_has_nothing_to_replace():
    with pytest.raises(UsageError, match="no batch norm"):
        architectures.GanSpec(virtual_batch_norm="half")


OPTIONS = {
    "spectral norm": {"spectral_norm": True},
    "reference": {"virtual_batch_norm": "reference"},
    "half": {"virtual_batch_norm": "half"},
    "spread": {"minibatch_stddev": True},
    "depth": {"depth": 2},
}


@pytest.mark.parametrize("option", list(OPTIONS))
def test_a_resumed_run_is_the_uninterrupted_one(option, blobs, context):
    def fresh():
        return start("cdcgan", blobs, context, OPTIONS[option], batch_size=8, seed=0)

    def train(run, count):
        state, loop = run
        for _ in itertools.islice(loop, count):
            pass
        return state

    whole = train(fresh(), 4).dump()
    half = copy.deepcopy(train(fresh(), 2).dump())
    resumed = fresh()
    resumed[0].load(half)
    again = train(resumed, 2).dump()
    for one, other in (
        (whole["ema"], again["ema"]),
        *zip(whole["modules"].values(), again["modules"].values(), strict=True),
    ):
        assert all(torch.equal(one[name], other[name]) for name in one)
