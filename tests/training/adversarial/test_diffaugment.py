"""DiffAugment, LeCam and consistency against values worked by hand."""

from types import SimpleNamespace

import pytest
import torch
from training_setup import draws

from gangda.config.catalog import POLICIES
from gangda.training.adversarial import regularisers
from gangda.training.adversarial.diffaugment import augment, colour, cutout, cutout_probability, translate
from gangda.zoo.base import Scores


def test_translate_moves_whole_pixels_and_keeps_gradients():
    images = torch.full((64, 1, 8, 8), -1.0)
    images[:, :, 3, 4] = 1.0
    moved = translate(images.requires_grad_(True), draws())
    spots = (moved > 0).nonzero()
    assert len(spots) == 64
    assert set((spots[:, 2] - 3).tolist()) == {-1, 0, 1}
    assert set((spots[:, 3] - 4).tolist()) == {-1, 0, 1}
    moved.sum().backward()
    assert images.grad is not None
    assert images.grad.max() == 1


def test_translate_fills_with_black():
    moved = translate(torch.ones(32, 3, 16, 16), draws())
    assert set(moved.unique().tolist()) == {-1.0, 1.0}


def test_colour_of_grey_images_is_brightness_and_contrast():
    images = torch.tensor([-0.5, 0.5]).view(1, 1, 1, 2).repeat(300, 1, 1, 1)
    changed = colour(images, draws())
    means, spans = changed.mean((1, 2, 3)), (changed[:, 0, 0, 1] - changed[:, 0, 0, 0])
    assert means.min().item() == pytest.approx(-0.5, abs=0.02)
    assert means.max().item() == pytest.approx(0.5, abs=0.02)
    assert spans.min().item() == pytest.approx(0.5, abs=0.02)
    assert spans.max().item() == pytest.approx(1.5, abs=0.02)


def test_colour_saturates_rgb_around_each_pixels_mean():
    images = torch.tensor([-0.3, 0.0, 0.3]).view(1, 3, 1, 1).expand(300, 3, 4, 4)
    changed = colour(images, draws())
    # Contrast and saturation both scale the channels' distance; their factors' product goes up to 1.5 * 2.
    factors = (changed[:, 2] - changed[:, 0])[:, 0, 0] / 0.6
    assert factors.min() < 0.1
    assert 2.5 < factors.max() <= 3.0


def test_cutout_holes_a_share_of_the_images():
    images = torch.ones(400, 2, 8, 8)
    holed = cutout(images, draws(), probability=0.25)
    with_hole = (holed == -1).flatten(1).any(1)
    assert with_hole.float().mean().item() == pytest.approx(0.25, abs=0.07)
    assert torch.equal(holed[:, 0], holed[:, 1])
    assert (holed == -1)[:, 0].sum((1, 2)).max() == 16  # half of each side
    assert torch.equal(cutout(images, draws(), probability=0.0), images)


def test_cutout_comes_in_slowly():
    assert [cutout_probability(turn) for turn in (0, 1000, 2000, 9000)] == [0.0, 0.25, 0.5, 0.5]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", POLICIES)
def test_policies_keep_the_shape_draw_from_the_stream_and_let_gradients_through(name, channels):
    images = torch.linspace(-1, 1, 6 * channels * 64).view(6, channels, 8, 8).requires_grad_(True)
    one, two = (augment(images, (name,), draws(2000)) for _ in range(2))
    assert one.shape == images.shape
    assert torch.equal(one, two)
    assert not torch.equal(one, images)
    one.sum().backward()
    assert images.grad.abs().sum() > 0


def test_change_flips_only_if_asked():
    images = torch.full((64, 1, 8, 8), -1.0)
    images[:, :, :, 1] = 1.0
    columns = lambda changed: set((changed[:, 0, 4] > 0).nonzero()[:, 1].tolist())  # noqa: E731
    assert columns(regularisers.change(images, draws())) == {0, 1, 2}
    assert columns(regularisers.change(images, draws(), flip=True)) == {0, 1, 2, 5, 6, 7}


def test_ct_term():
    # Rows: (1 - 0)^2 + 0.1 * (0 + 4) / 2 = 1.2 and (3 - 1)^2 + 0 = 4.
    once = Scores(torch.tensor([1.0, 3.0]), features=torch.tensor([[1.0, 2.0], [0.0, 0.0]]))
    again = Scores(torch.tensor([0.0, 1.0]), features=torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    method = SimpleNamespace(
        options=SimpleNamespace(ct=2.0), score=lambda *of: again, real_score=lambda scores: scores
    )
    batch = SimpleNamespace(real=None, y=None, draws=None, on_real=once)
    assert float(regularisers.consistency_term(method, batch)["d_ct"]) == pytest.approx(1.2 + 4)


def test_lecam_anchors_and_penalty():
    method = SimpleNamespace(
        options=SimpleNamespace(lecam=0.5),
        context=draws().context,
        buffers={},
        real_score=lambda scores: scores,
    )
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([-1.0, -2.0])

    def term(real):
        batch = SimpleNamespace(on_real=Scores(real), on_fake=Scores(fake))
        return float(regularisers.lecam(method, batch)["d_lecam"])

    # Real scores to the fakes' anchor and the reverse.
    expected = ((1 + 1.5) ** 2 + (3 + 1.5) ** 2) / 2 + ((-1 - 2) ** 2 + (-2 - 2) ** 2) / 2
    assert term(real) == pytest.approx(0.5 * expected)
    assert method.buffers["lecam"].tolist() == [2.0, -1.5]
    term(real + 1)
    assert method.buffers["lecam"].tolist() == pytest.approx([0.99 * 2 + 0.01 * 3, -1.5])


@pytest.mark.parametrize(("name", "expected"), [("cr", 0.25), ("bcr", 0.25 + 1.0)])
def test_consistency_terms_compare_scores_of_changed_images(name, expected):
    """A score that knows the batch alone: 0.5 for changed images, whose scores were 0 (real) and 1.5 (fake)."""
    method = SimpleNamespace(
        options=SimpleNamespace(cr=1.0, bcr=1.0, cr_flip=False),
        scorer=lambda y, drawn: lambda images: torch.full((len(images),), 0.5),
        real_score=lambda scores: scores,
    )
    images, y = torch.zeros(4, 1, 8, 8), torch.zeros(4, dtype=torch.int64)
    scores = Scores(torch.zeros(4)), Scores(torch.full((2,), 1.5))
    batch = regularisers.DiscriminatorBatch(images, y, images[:2], y[:2], draws(), *scores)
    assert float(regularisers.DISCRIMINATOR[name](method, batch)[f"d_{name}"]) == pytest.approx(expected)
