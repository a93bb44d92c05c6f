"""Where samples of a flow start that begin with a training image, and where they then go."""

import numpy as np
import pytest
import torch

from gangda.config.sampler_options import SamplerOptions
from gangda.data.images import GENERATED, real_images
from gangda.errors import DataError
from gangda.zoo.base import DEFAULT_OPTIONS
from gangda.zoo.draw import BLOCK, draw_block
from gangda.zoo.flow.generator import EdmGenerator, FlowGenerator
from gangda.zoo.flow.start_from_real import StartFromReal

KINDS = [FlowGenerator, EdmGenerator]


def still(kind, conditional=True):
    """A flow that goes nowhere, for the four classes of `blobs`."""
    generator = kind(torch.nn.Identity(), (1, 8, 8), 4, conditional)
    generator.velocity = lambda x, t, y, changes: torch.zeros_like(x)
    return generator


def floats(images):
    return torch.tensor(images.pixels).permute(0, 3, 1, 2).double() / 127.5 - 1


def by_row(images):
    return {int(row): image for row, image in zip(images.row_id, floats(images), strict=True)}


def latents(generator, images, share, label=0, count=50):
    stream = torch.Generator().manual_seed(3)
    return StartFromReal(generator, images, share).latents(label, range(count), stream, DEFAULT_OPTIONS)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", KINDS)
def test_the_starting_point_by_hand(blobs, kind, share):
    found = latents(still(kind), blobs, share, label=2)
    noise = torch.randn(50, 1, 8, 8, generator=torch.Generator().manual_seed(3)).double()
    originals = torch.stack([by_row(blobs)[row] for row in found.parents.tolist()])
    if kind is FlowGenerator:
        expected = (1 - share) * originals + share * noise
    else:
        t = (0.002 ** (1 / 7) + share * (80 ** (1 / 7) - 0.002 ** (1 / 7))) ** 7
        expected = originals + t * noise
    assert torch.allclose(found.noise.double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_velocity_a_sample_is_its_starting_point(blobs, kind, context):
    generator = StartFromReal(still(kind), blobs, 0.2)
    start = generator.latents(1, range(9), torch.Generator().manual_seed(0), DEFAULT_OPTIONS)
    images = generator.sample(torch.ones(9, dtype=torch.int64), start.noise)
    assert torch.equal(images, start.noise.clamp(-1, 1))
    batch = draw_block(generator, 1, 0, seed=0, context=context)
    assert len(batch) == len(batch.parent) == BLOCK


@pytest.mark.parametrize(("solver", "evaluations"), [("euler", 4), ("midpoint", 8)])
@pytest.mark.parametrize("kind", KINDS)
def test_the_solver_takes_its_steps_between_the_start_and_zero(blobs, kind, solver, evaluations):
    generator, asked = still(kind), []
    generator.velocity = lambda x, t, y, changes: asked.append(t[0].item()) or torch.zeros_like(x)
    options = SamplerOptions(sampler=solver, sampler_steps=4)
    StartFromReal(generator, blobs, 0.3).sample(torch.tensor([0]), torch.zeros(1, 1, 8, 8), options)
    assert len(asked) == evaluations
    assert asked[:: evaluations // 4] == pytest.approx(generator.times(4, 0.3)[:4])
    assert asked == sorted(asked, reverse=True)
    assert asked[-1] > 0


def test_times_of_a_share_of_the_way():
    flow, edm = still(FlowGenerator), still(EdmGenerator)
    assert flow.times(4, 0.5) == pytest.approx([0.5, 0.375, 0.25, 0.125, 0])
    assert edm.times(18, 0.5)[0] == pytest.approx(2.515, abs=1e-3)
    assert edm.times(18, 0.5)[-2:] == pytest.approx([0.002, 0])
    assert edm.times(19, 0.5)[0] == pytest.approx(edm.times(19)[9])  # half of the way of 19 times
    for generator in (flow, edm):
        assert generator.times(7, 1.0) == generator.times(7)


def ideal(kind, images):
    """The flow to these very images: at x_t it points from their mean, weighted by Bayes' rule, to the noise."""
    generator, flat = still(kind), floats(images).flatten(1).float()

    def velocity(x, t, y, changes):
        scale = 1 - t[0] if kind is FlowGenerator else 1.0
        weights = (-torch.cdist(x.flatten(1), scale * flat).square() / (2 * t[0] ** 2)).softmax(1)
        return (x - (weights @ flat).unflatten(1, (1, 8, 8))) / t[0]

    generator.velocity = velocity
    return generator


@pytest.mark.parametrize("kind", KINDS)
def test_the_nearest_image_is_the_parent_only_where_the_start_is_near_it(blobs, kind, context):
    shares = {}
    for share in (0.1, 0.95):
        generator = StartFromReal(ideal(kind, blobs), blobs, share)
        options = SamplerOptions(sampler_steps=20)
        batch = draw_block(generator, 3, 0, seed=0, context=context, options=options)
        samples = torch.tensor(batch.pixels).flatten(1).float()
        nearest = torch.cdist(samples, torch.tensor(blobs.pixels).flatten(1).float()).argmin(1)
        shares[share] = (blobs.row_id[nearest.numpy()] == batch.parent).mean()
    assert shares[0.1] > 0.95
    assert shares[0.95] < 0.1


@pytest.mark.parametrize("conditional", [True, False])
def test_parents_are_of_the_class_and_all_come_before_one_comes_again(blobs, conditional):
    found = latents(still(FlowGenerator, conditional), blobs, 0.5, label=2, count=400).parents.numpy()
    choice = blobs.row_id[blobs.labels == 2] if conditional else blobs.row_id
    rounds = [found[start : start + len(choice)] for start in range(0, 400, len(choice))]
    assert all(sorted(one) == sorted(choice) for one in rounds[:-1])
    assert len(set(rounds[-1])) == len(rounds[-1])
    assert not np.array_equal(rounds[0], rounds[1])
    assert not np.array_equal(rounds[0], choice)


def test_only_real_images_are_parents(blobs):
    origin = np.where(blobs.row_id % 8 < 4, GENERATED, 0).astype(np.uint8)
    mixed = real_images(blobs.pixels, blobs.labels, blobs.class_names)
    object.__setattr__(mixed, "origin", origin)
    assert set(latents(still(FlowGenerator), mixed, 0.5, 1).parents.tolist()) == set(range(5, 160, 8))


@pytest.mark.parametrize("conditional", [True, False])
def test_a_class_without_a_real_image_is_refused(blobs, conditional):
    generator = still(FlowGenerator, conditional)
    some, none = blobs.take(np.flatnonzero(blobs.labels != 1)), blobs.take([])
    words = "--start-from-real 0.5: class '{}' has no real training image to start from; leave it out"
    with pytest.raises(DataError, match=words.format("a")):
        StartFromReal(generator, none, 0.5)
    if conditional:
        with pytest.raises(DataError, match=words.format("b")):
            StartFromReal(generator, some, 0.5)
    else:
        assert len(StartFromReal(generator, some, 0.5).images) == 120


def test_guidance_acts_on_the_way_from_the_start(blobs):
    """With velocity = label / 100, an image is x_T - T guidance label / 100."""
    generator = still(FlowGenerator)
    generator.velocity = lambda x, t, y, changes: (
        torch.where(y == 4, 0.0, y / 100)[:, None, None, None] + 0 * x
    )
    started, start = StartFromReal(generator, blobs, 0.4), torch.full((1, 1, 8, 8), 0.5)
    images = started.sample(torch.tensor([3]), start, SamplerOptions(guidance=2.0, sampler_steps=3))
    assert images[0, 0, 0, 0].item() == pytest.approx(0.5 - 0.4 * 2 * 0.03)
