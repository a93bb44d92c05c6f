import numpy as np
import pytest
import torch

from gangda.config import architectures
from gangda.training.saved_model import build_networks
from gangda.zoo.draw import BLOCK, draw_block, draw_class, generator_of_rows, to_float, to_uint8


@pytest.fixture(scope="module", params=["cdcgan", "dcgan", "madgan", "gan"])
def generator(request):
    torch.manual_seed(0)
    networks = build_networks(request.param, architectures.spec_class(request.param)(), (1, 8, 8), 4)
    return networks.generator.eval()


def test_pixels_survive_the_round_trip():
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    assert (to_uint8(to_float(pixels)).reshape(-1) == np.arange(256)).all()


def test_a_longer_draw_begins_with_the_shorter_one(generator, context):
    few = np.concatenate(list(draw_class(generator, 1, 10, seed=3, context=context)))
    many = np.concatenate(list(draw_class(generator, 1, BLOCK + 5, seed=3, context=context)))
    assert few.shape == (10, 8, 8, 1)
    assert many.shape == (BLOCK + 5, 8, 8, 1)
    assert (many[:10] == few).all()


def test_streams_differ_by_seed_class_block_and_attempt(generator, context):
    first = draw_block(generator, 0, 0, seed=0, context=context)
    others = [
        draw_block(generator, 0, 0, seed=1, context=context),
        draw_block(generator, 1, 0, seed=0, context=context),
        draw_block(generator, 0, 1, seed=0, context=context),
        draw_block(generator, 0, 0, seed=0, context=context, attempt=1),
    ]
    assert (first == draw_block(generator, 0, 0, seed=0, context=context)).all()
    assert all((first != other).any() for other in others)


def test_rows_are_dealt_to_the_generators_in_turn(context):
    torch.manual_seed(0)
    ensemble = build_networks("madgan", architectures.MadganSpec(generators=3), (1, 8, 8), 4).generator.eval()
    with torch.no_grad():  # paint each generator's images in a grey of its own
        ensemble.out.weight.zero_()
        ensemble.out.bias.copy_(torch.tensor([-2.0, 0.0, 2.0]))
    block = draw_block(ensemble, 0, 0, seed=0, context=context)
    made_by = generator_of_rows(3)
    assert block.shape[0] == len(made_by) == BLOCK
    greys = {k: set(block[made_by == k].ravel().tolist()) for k in range(3)}
    assert all(len(grey) == 1 for grey in greys.values())
    assert max(greys[0]) < max(greys[1]) < max(greys[2])
    only = draw_block(ensemble, 0, 0, seed=0, context=context, which=2)
    assert set(only.ravel().tolist()) == greys[2]
