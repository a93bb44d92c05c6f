"""Shared layers, by hand."""

import pytest
import torch

from gangda.zoo.layers.blocks import MinibatchStdDev


def test_spread_by_hand():
    # Four rows, one group: standard deviations of the columns are 2 and 0, their mean is 1.
    x = torch.tensor([[1.0, 7.0], [5.0, 7.0], [1.0, 7.0], [5.0, 7.0]])
    y = MinibatchStdDev()(x)
    assert torch.equal(y[:, :2], x)
    assert y[:, 2].tolist() == pytest.approx([1.0] * 4, abs=1e-3)


def test_groups_take_every_second_row_of_eight():
    x = torch.zeros(8, 1)
    x[1::2] = torch.tensor([[1.0], [3.0], [1.0], [3.0]])  # rows 1, 3, 5, 7
    spread = MinibatchStdDev()(x)[:, 1]
    assert spread[1::2].tolist() == pytest.approx([1.0] * 4, abs=1e-3)
    assert spread[::2].tolist() == pytest.approx([0.0] * 4, abs=1e-3)


@pytest.mark.parametrize(("rows", "group"), [(8, 4), (6, 3), (10, 2), (7, 1), (1, 1)])
def test_the_group_is_the_largest_that_divides_the_batch(rows, group):
    x = torch.arange(float(rows)).unsqueeze(1)
    spread = MinibatchStdDev()(x)[:, 1]
    steps = torch.arange(float(group)) * (rows // group)
    assert spread.tolist() == pytest.approx([float(steps.std(unbiased=False))] * rows, abs=1e-3)


def test_identical_images_give_a_finite_gradient():
    x = torch.ones(4, 3, requires_grad=True)
    MinibatchStdDev()(x).sum().backward()
    assert torch.isfinite(x.grad).all()
