"""Muon against singular value decompositions and a step by hand."""

import pytest
import torch

from gangda.training.muon import Joint, Muon, orthogonalised


@pytest.mark.parametrize("shape", [(8, 8), (4, 12), (12, 4)])
def test_singular_vectors_stay_and_singular_values_become_about_one(shape):
    matrix = torch.randn(*shape, generator=torch.Generator().manual_seed(1))
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    rotated = u.T @ orthogonalised([matrix])[0] @ v.T
    values = rotated.diagonal()
    assert values.min() > 0.5
    assert values.max() < 1.3
    torch.testing.assert_close(rotated, torch.diag(values), atol=1e-4, rtol=0)


def test_which_singular_values_become_what():
    values = torch.tensor([0.9, 0.4, 0.15, 0.05, 0.01, 0.0016, 2e-4, 0.0])
    values = values / values.norm()
    found = orthogonalised([torch.diag(values)])[0].diagonal()
    assert found[:6].min() > 0.67
    assert found[:6].max() < 1.21
    assert (found[6:] <= 3.4445**5 * values[6:]).all()


def test_matrices_of_all_shapes_together_against_the_plain_iteration():
    """Keller Jordan's `zeropower_via_newtonschulz5`, in float64."""
    rng = torch.Generator().manual_seed(2)
    shapes = [(4, 12), (12, 4), (8, 8), (4, 6), (4, 12), (30, 8), (1, 5)]
    matrices = [torch.randn(*shape, generator=rng) for shape in shapes]
    torch.set_float32_matmul_precision("high")
    try:
        found = orthogonalised(matrices)
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")
    for matrix, result in zip(matrices, found, strict=True):
        x = matrix.double() / matrix.double().norm()
        x = x.T if len(x) > x.shape[1] else x
        for _ in range(5):
            a = x @ x.T
            x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
        expected = x if x.shape == result.shape else x.T
        torch.testing.assert_close(result.double(), expected, atol=2e-4, rtol=0)


def test_two_steps_by_hand():
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(6, 1, 3, 1))
    start, gradients = weight.detach().clone(), torch.randn(2, 6, 1, 3, 1)
    optimizer = Muon([{"params": [weight]}], lr=0.1, momentum=0.9, weight_decay=0.5)
    expected, average = start.flatten(1), torch.zeros(6, 3)
    for gradient in gradients:
        weight.grad = gradient.clone()
        optimizer.step()
        average = 0.9 * average + 0.1 * gradient.flatten(1)
        ahead = 0.1 * gradient.flatten(1) + 0.9 * average
        expected = expected * (1 - 0.1 * 0.5) - 0.1 * 2**0.5 * orthogonalised([ahead])[0]
    torch.testing.assert_close(weight.detach().flatten(1), expected)


def test_equal_shapes_are_worked_on_together_and_alike():
    torch.manual_seed(0)
    weights = [torch.nn.Parameter(torch.randn(3, 5)) for _ in range(3)] + [
        torch.nn.Parameter(torch.randn(5, 3))
    ]
    alone = [torch.nn.Parameter(weight.detach().clone()) for weight in weights]
    gradients = [torch.randn_like(weight) for weight in weights]
    for group in (weights, *([one] for one in alone)):
        for weight in group:
            place = next(n for n, w in enumerate([*weights, *alone]) if w is weight) % 4
            weight.grad = gradients[place].clone()
        Muon([{"params": list(group)}], lr=0.1, momentum=0.9, weight_decay=0.0).step()
    for together, single in zip(weights, alone, strict=True):
        torch.testing.assert_close(together, single)


def test_joint_optimizers_are_stepped_and_cleared_together():
    parameters = [torch.nn.Parameter(torch.ones(2)) for _ in range(2)]
    joint = Joint([torch.optim.SGD([p], lr=lr) for p, lr in zip(parameters, (0.1, 0.2), strict=True)])
    assert [group["lr"] for group in joint.param_groups] == [0.1, 0.2]
    for parameter in parameters:
        parameter.grad = torch.ones(2)
    joint.step()
    assert [float(parameter.detach()[0]) for parameter in parameters] == pytest.approx([0.9, 0.8])
    joint.zero_grad()
    assert all(parameter.grad is None for parameter in parameters)
