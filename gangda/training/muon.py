"""Muon: an optimizer for the weight matrices of hidden layers (Jordan 2024)."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

# Coefficients of the quintic Newton-Schulz iteration: Jordan 2024, the authors' `zeropower_via_newtonschulz5`.
COEFFICIENTS, ITERATIONS = (3.4445, -4.7750, 2.0315), 5


class Muon(torch.optim.Optimizer):
    """Each matrix is changed by the nearest orthogonal matrix to its momentum (Nesterov's): all directions count alike.

    A convolution's kernel (O, I, h, w) is the matrix (O, I h w). A matrix with more rows than columns is changed
    sqrt(rows / columns) times as much. Source: Jordan 2024 (algorithm 2 and the authors' code); the weight decay is
    decoupled, as in Loshchilov 2019.
    """

    def __init__(
        self, parameters: Iterable[dict[str, Any]], lr: float | Tensor, momentum: float, weight_decay: float
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Change every matrix."""
        for group in self.param_groups:
            own: list[Tensor] = group["params"]
            gradients: Any = [p.grad for p in own]
            for p in own:
                if "momentum" not in self.state[p]:
                    self.state[p]["momentum"] = torch.zeros_like(p)
            averages = [self.state[p]["momentum"] for p in own]
            torch._foreach_lerp_(averages, gradients, 1 - group["momentum"])
            ahead = torch._foreach_lerp(gradients, averages, group["momentum"])
            updates: Any = orthogonalised([matrix.flatten(1) for matrix in ahead])
            torch._foreach_mul_(updates, [max(1.0, len(u) / u.shape[1]) ** 0.5 for u in updates])
            torch._foreach_mul_(updates, group["lr"])
            torch._foreach_mul_(own, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_sub_(own, [u.view_as(p) for u, p in zip(updates, own, strict=True)])


def orthogonalised(matrices: Sequence[Tensor]) -> list[Tensor]:
    """Matrices float32 (R, C) with the same singular vectors and singular values near 1.

    Those of at least 0.0015 of the matrix's norm become 0.68 to 1.21, smaller ones at most 485 (a^5) times that share.
    Each step of the iteration multiplies x by a polynomial Q of x x^T. All steps are taken on these small products,
    those of one size together, and x is multiplied once, by the product of all Q: the same function, in fewer and, for
    wide matrices, smaller products (with errors of up to 3e-4 for ill-conditioned ones, not 1e-5). x x^T has to be
    exact to float32, not TF32: an eigenvalue that rounding makes negative grows twelvefold a step.
    """
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        return _orthogonalised(matrices)
    finally:
        torch.set_float32_matmul_precision(precision)


def _orthogonalised(matrices: Sequence[Tensor]) -> list[Tensor]:
    tall = [len(matrix) > matrix.shape[1] for matrix in matrices]
    wide = [matrix.T if turned else matrix for matrix, turned in zip(matrices, tall, strict=True)]
    norms: Any = torch._foreach_add(torch._foreach_norm(wide), 1e-7)
    wide = list(torch._foreach_div(wide, norms))
    sizes: dict[int, list[int]] = defaultdict(list)
    for number, x in enumerate(wide):
        sizes[len(x)].append(number)
    for numbers in sizes.values():
        factors = _newton_schulz(torch.stack([wide[number] @ wide[number].T for number in numbers]))
        for number, factor in zip(numbers, factors, strict=True):
            wide[number] = factor @ wide[number]
    return [x.T if turned else x for x, turned in zip(wide, tall, strict=True)]


def _newton_schulz(square: Tensor) -> Tensor:
    """From x x^T of several x, (N, R, R), what the iterations multiply them by, (N, R, R)."""
    a, b, c = COEFFICIENTS
    one = a * torch.eye(square.shape[1], device=square.device)
    whole: Tensor | None = None
    for last in range(ITERATIONS):
        factor = torch.baddbmm(one + b * square, square, square, alpha=c)
        whole = factor if whole is None else factor @ whole
        if last < ITERATIONS - 1:
            square = factor @ square @ factor
    assert whole is not None
    return whole


class Joint:
    """Several optimizers of one network, whose steps are one."""

    def __init__(self, optimizers: list[torch.optim.Optimizer]) -> None:
        self.optimizers = optimizers

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Those of all."""
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none)

    def step(self) -> None:
        """One step of each."""
        for optimizer in self.optimizers:
            optimizer.step()
