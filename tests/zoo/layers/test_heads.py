"""What the discriminators end in, by hand."""

import pytest
import torch
from torch import nn

from gangda.zoo.layers.blocks import Discriminator, MinibatchStdDev, ProjectionHead, ScoreHead


def test_projection_by_hand():
    head = ProjectionHead(2, 3)
    with torch.no_grad():
        head.score.linear.weight.copy_(torch.tensor([[1.0, 2.0]]))
        head.score.linear.bias.fill_(0.5)
        head.embed.weight.copy_(torch.tensor([[0.0, 0.0], [3.0, -1.0], [9.0, 9.0]]))
    h = torch.tensor([[1.0, 1.0], [2.0, 4.0]])
    scores = head(h, torch.tensor([0, 1]))
    assert scores.unconditional.tolist() == [3.5, 10.5]
    assert scores.adversarial.tolist() == [3.5, 10.5 + 3 * 2 - 4]
    assert scores.features is h


def test_the_spread_is_one_more_input():
    head = ScoreHead(2, spread=True)
    with torch.no_grad():
        head.linear.weight.copy_(torch.tensor([[0.0, 0.0, 1.0]]))
        head.linear.bias.zero_()
    h = torch.tensor([[1.0, 7.0], [5.0, 7.0]])  # one group: standard deviations 2 and 0
    assert head(h).tolist() == pytest.approx([1.0, 1.0], abs=1e-3)


@pytest.mark.parametrize(("outputs", "shape"), [(1, (4,)), (3, (4, 3))])
def test_scores_are_float32_under_autocast(outputs, shape):
    with torch.autocast("cpu", torch.bfloat16):
        scores = ScoreHead(2, outputs=outputs)(torch.randn(4, 2))
    assert (scores.shape, scores.dtype) == (shape, torch.float32)


@pytest.mark.parametrize(
    ("layer", "separate"),
    [
        (nn.Linear(2, 2), False),
        (nn.BatchNorm1d(2), True),
        (nn.BatchNorm2d(2), True),
        (MinibatchStdDev(), True),
    ],
)
def test_layers_that_see_the_batch_keep_real_and_fake_apart(layer, separate):
    discriminator = Discriminator()
    discriminator.layers = nn.Sequential(nn.Identity(), layer)
    assert discriminator.separate_batches is separate
