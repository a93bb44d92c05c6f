"""Muon: an optimizer for the weight matrices of hidden layers (Jordan 2024)."""

from collections import defaultdict
from collections.abc import Iterable
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
        """Change every matrix; those of one shape are worked on together."""
        for group in self.param_groups:
            own: list[Tensor] = group["params"]
            gradients: Any = [p.grad for p in own]
            for p in own:
                if "momentum" not in self.state[p]:
                    self.state[p]["momentum"] = torch.zeros_like(p)
            averages = [self.state[p]["momentum"] for p in own]
            torch._foreach_lerp_(averages, gradients, 1 - group["momentum"])
            ahead = torch._foreach_lerp(gradients, averages, group["momentum"])
            shapes: dict[tuple[int, int], list[int]] = defaultdict(list)
            for number, p in enumerate(own):
                shapes[len(p), p[0].numel()].append(number)
            for (rows, columns), numbers in shapes.items():
                updates = orthogonalised(torch.stack([ahead[number].flatten(1) for number in numbers]))
                updates = updates * (group["lr"] * max(1.0, rows / columns) ** 0.5)
                for number, update in zip(numbers, updates, strict=True):
                    own[number].mul_(1 - group["lr"] * group["weight_decay"]).sub_(
                        update.view_as(own[number])
                    )


def orthogonalised(matrices: Tensor) -> Tensor:
    """Matrices float32 (N, R, C) with singular values near 1 (0.7 to 1.2) and the same singular vectors."""
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    result: Tensor = x.mT if tall else x
    return result


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
