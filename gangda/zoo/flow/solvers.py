"""Solvers of dx/dt = v(x, t) from t = 1 (noise) to t = 0 (images)."""

from collections.abc import Callable, Mapping

from torch import Tensor

Velocity = Callable[[Tensor, float], Tensor]  # x (B, C, H, W), t -> dx/dt
Solver = Callable[[Velocity, Tensor, float, float], Tensor]


def euler(velocity: Velocity, x: Tensor, t: float, step: float) -> Tensor:
    """x at t - step, by Euler's rule: one evaluation, first order."""
    return x - step * velocity(x, t)


def midpoint(velocity: Velocity, x: Tensor, t: float, step: float) -> Tensor:
    """x at t - step, by the midpoint rule: two evaluations, second order."""
    middle = x - step / 2 * velocity(x, t)
    return x - step * velocity(middle, t - step / 2)


def heun(velocity: Velocity, x: Tensor, t: float, step: float) -> Tensor:
    """x at t - step, by Heun's rule: two evaluations, second order. Source: Karras 2022 (EDM), algorithm 1."""
    before = velocity(x, t)
    after = velocity(x - step * before, t - step)
    return x - step / 2 * (before + after)


SOLVERS: Mapping[str, Solver] = {"euler": euler, "midpoint": midpoint, "heun": heun}


def solve(velocity: Velocity, x: Tensor, solver: str, steps: int, start: float = 1.0) -> Tensor:
    """Follow the flow from x at t = `start` to t = 0 in equal steps."""
    rule, step = SOLVERS[solver], start / steps
    for i in range(steps):
        x = rule(velocity, x, start - i * step, step)
    return x
