"""A generator that follows a learnt flow from noise (t = 1) to images (t = 0), and the solvers of dx/dt = v(x, t)."""

import abc
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from gangda.config.sampler_options import SamplerOptions
from gangda.zoo.base import DEFAULT_OPTIONS, Generator

CHANGES = 3  # numbers that tell the network how an image was changed: mirrored, shifted down, shifted right


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


class FlowGenerator(Generator, abc.ABC):
    """Base of the velocity networks: x_t = (1 - t) x + t e with noise e, and the network predicts e - x.

    Label `num_classes` stands for "no class". Source: Lipman 2023, section 4.1; Liu 2023, equation 1.
    """

    def __init__(self, image_shape: tuple[int, int, int], num_classes: int, conditional: bool) -> None:
        super().__init__()
        self.image_shape, self.num_classes, self.conditional = image_shape, num_classes, conditional
        channels, height, width = image_shape
        self.latent_dim = channels * height * width

    @abc.abstractmethod
    def velocity(self, x: Tensor, t: Tensor, y: Tensor, changes: Tensor) -> Tensor:
        """x (B, C, H, W), t (B,) in [0, 1], y int64 (B,), changes (B, CHANGES) -> e - x as predicted, like x."""

    def noise(self, count: int, rng: torch.Generator) -> Tensor:
        """`count` draws of e, standard normal, float32 (count, C, H, W) on the CPU."""
        return torch.randn(count, *self.image_shape, generator=rng)

    def sample(self, y: Tensor, noise: Tensor, options: SamplerOptions = DEFAULT_OPTIONS) -> Tensor:
        """Labels int64 (B,) and noise (B, C, H, W) -> images (B, C, H, W) in [-1, 1].

        With `guidance` g other than 1, v = v(no class) + g (v(class) - v(no class)). Source: Ho 2022, equation 6, with
        w = g - 1, for velocities as in Zheng 2023.
        """
        unchanged = noise.new_zeros(len(noise), CHANGES)
        nobody = torch.full_like(y, self.num_classes)
        labels = y if self.conditional else nobody

        def velocity(x: Tensor, t: float) -> Tensor:
            times = x.new_full((len(x),), t)
            found = self.velocity(x, times, labels, unchanged)
            if self.conditional and options.guidance != 1.0:
                without = self.velocity(x, times, nobody, unchanged)
                found = without + options.guidance * (found - without)
            return found.float()

        return solve(velocity, noise, options.sampler, options.sampler_steps).clamp(-1, 1)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """As `sample` with the default options."""
        return self.sample(y, z)
