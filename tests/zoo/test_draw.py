import numpy as np
import pytest
import torch

from gangda.config import architectures
from gangda.config.sampler_options import SamplerOptions
from gangda.data.images import to_float, to_uint8
from gangda.zoo.base import Generator, Latents
from gangda.zoo.draw import BLOCK, draw_block
from gangda.zoo.networks import build_networks


@pytest.fixture(scope="module", params=["cdcgan", "dcgan", "madgan", "gan"])
def generator(request):
    torch.manual_seed(0)
    networks = build_networks(request.param, architectures.spec_class(request.param)(), (1, 8, 8), 4)
    return networks.generator.eval()


def test_pixels_survive_the_round_trip():
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    assert (to_uint8(to_float(pixels)).reshape(-1) == np.arange(256)).all()


def test_streams_differ_by_seed_class_block_and_attempt(generator, context):
    first = draw_block(generator, 0, 0, seed=0, context=context).pixels
    others = [
        draw_block(generator, 0, 0, seed=1, context=context),
        draw_block(generator, 1, 0, seed=0, context=context),
        draw_block(generator, 0, 1, seed=0, context=context),
        draw_block(generator, 0, 0, seed=0, context=context, attempt=1),
    ]
    assert (first == draw_block(generator, 0, 0, seed=0, context=context).pixels).all()
    assert all((first != other.pixels).any() for other in others)


def test_rows_are_dealt_to_the_generators_in_turn(context):
    torch.manual_seed(0)
    ensemble = build_networks("madgan", architectures.MadganSpec(generators=3), (1, 8, 8), 4).generator.eval()
    with torch.no_grad():  # paint each generator's images in a grey of its own
        ensemble.out.weight.zero_()
        ensemble.out.bias.copy_(torch.tensor([-2.0, 0.0, 2.0]))
    block = draw_block(ensemble, 0, 0, seed=0, context=context)
    assert len(block) == len(block.pixels) == len(block.generator) == BLOCK
    greys = {k: set(block.pixels[block.generator == k].ravel().tolist()) for k in range(3)}
    assert all(len(grey) == 1 for grey in greys.values())
    assert max(greys[0]) < max(greys[1]) < max(greys[2])
    only = draw_block(ensemble, 0, 0, seed=0, context=context, which=2)
    assert set(only.pixels.ravel().tolist()) == greys[2]
    assert (only.generator == 2).all()


def test_parents_are_dealt_with_their_rows(context):
    """An ensemble whose samples are flat images that show their parent's number."""

    class FromStored(Generator):
        latent_dim, num_classes, image_shape, num_generators = 1, 1, (1, 8, 8), 3

        def latents(self, label, rows, rng, options):
            parents = torch.arange(rows.start, rows.stop)
            return Latents((parents / 127.5 - 1)[:, None], parents)

        def forward(self, z, y):
            return z.view(-1, 1, 1, 1).expand(-1, 1, 8, 8)

    batch = draw_block(FromStored(), 0, 0, seed=0, context=context)
    assert batch.pixels[:, 0, 0, 0].tolist() == batch.parent.tolist()
    assert batch.parent[:4].tolist() == [0, 43, 86, 1]
    assert batch.take(slice(2)).parent.tolist() == [0, 43]


def test_options_reach_the_sampler_of_a_generator_with_draws_of_its_own_shape(context):
    class Steps(Generator):
        latent_dim, num_classes, image_shape = 1, 2, (1, 8, 8)

        def noise(self, count, rng):
            return torch.zeros(count, *self.image_shape)

        def sample(self, y, noise, options):
            return noise + y.view(-1, 1, 1, 1) * options.sampler_steps / 100

    options = SamplerOptions(sampler_steps=60)
    batch = draw_block(Steps(), 1, 0, seed=0, context=context, options=options)
    assert (batch.pixels == round(0.6 * 127.5 + 127.5)).all()
