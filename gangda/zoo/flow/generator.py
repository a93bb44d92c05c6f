"""Generators that follow a learnt flow from noise to images, and the solvers of dx/dt = v(x, t)."""

import itertools
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from gangda.config.architectures import FlowSpec
from gangda.config.sampler_options import SamplerOptions
from gangda.zoo.base import DEFAULT_OPTIONS, Generator, Networks
from gangda.zoo.flow.backbone import CHANGES, Backbone
from gangda.zoo.flow.dit import DiT
from gangda.zoo.flow.unet import UNet

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


def solve(velocity: Velocity, x: Tensor, solver: str, times: Sequence[float], at_zero: bool = True) -> Tensor:
    """Follow the flow from x at the first of these times to the last.

    `at_zero`: the velocity is known at t = 0; otherwise Heun's last step is Euler's (Karras 2022, algorithm 1).
    """
    for t, after in itertools.pairwise(times):
        rule = euler if solver == "heun" and after == 0 and not at_zero else SOLVERS[solver]
        x = rule(velocity, x, t, t - after)
    return x


class FlowGenerator(Generator):
    """x_t = (1 - t) x + t e with noise e: the network predicts e - x, and samples go from t = 1 to t = 0.

    Source: Lipman 2023, section 4.1; Liu 2023, equation 1.
    """

    at_zero = True  # whether the velocity is known at t = 0

    def __init__(
        self, network: Backbone, image_shape: tuple[int, int, int], num_classes: int, conditional: bool
    ) -> None:
        super().__init__()
        self.network = network
        self.image_shape, self.num_classes, self.conditional = image_shape, num_classes, conditional
        channels, height, width = image_shape
        self.latent_dim = channels * height * width

    def velocity(self, x: Tensor, t: Tensor, y: Tensor, changes: Tensor) -> Tensor:
        """dx/dt at x (B, C, H, W) and t (B,), for y int64 (B,) and changes (B, CHANGES): like x."""
        predicted: Tensor = self.network(x, t, y, changes)
        return predicted

    def times(self, steps: int, share: float = 1.0) -> list[float]:
        """Where a solver of so many steps stops: from noise to 0, or from this share of the way, in (0, 1), to 0."""
        return [share * (1 - step / steps) for step in range(steps + 1)]

    def noised(self, images: Tensor, noise: Tensor, t: float) -> Tensor:
        """x_t of images in [-1, 1] and draws of e, both (B, C, H, W): like them."""
        return (1 - t) * images + t * noise

    def noise(self, count: int, rng: torch.Generator) -> Tensor:
        """`count` draws of e, standard normal, float32 (count, C, H, W) on the CPU."""
        return torch.randn(count, *self.image_shape, generator=rng)

    def sample(self, y: Tensor, noise: Tensor, options: SamplerOptions = DEFAULT_OPTIONS) -> Tensor:
        """Labels int64 (B,) and noise (B, C, H, W) -> images (B, C, H, W) in [-1, 1]."""
        times = self.times(options.sampler_steps)
        return self.follow(times[0] * noise, y, times, options)

    def follow(self, x: Tensor, y: Tensor, times: Sequence[float], options: SamplerOptions) -> Tensor:
        """From x (B, C, H, W) at the first of these times to images (B, C, H, W) in [-1, 1]; y: int64 (B,).

        With `guidance` g other than 1, v = v(no class) + g (v(class) - v(no class)). Source: Ho 2022, equation 6, with
        w = g - 1, for velocities as in Zheng 2023.
        """
        unchanged = x.new_zeros(x.shape[0], CHANGES)
        no_class = torch.full_like(y, self.num_classes)
        labels = y if self.conditional else no_class

        def velocity(x: Tensor, t: float) -> Tensor:
            at = x.new_full((x.shape[0],), t)
            found = self.velocity(x, at, labels, unchanged)
            if self.conditional and options.guidance != 1.0:
                without = self.velocity(x, at, no_class, unchanged)
                found = without + options.guidance * (found - without)
            return found.float()

        return solve(velocity, x, options.sampler, times, self.at_zero).clamp(-1, 1)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """As `sample` with the default options."""
        return self.sample(y, z)


class EdmGenerator(FlowGenerator):
    """x_t = x + t n with noise n of standard deviation t: the network denoises x_t, from t = 80 to 0.

    The network's input, output and skip connection are scaled by t so that all have variance 1. Source: Karras 2022
    (EDM), table 1 and equation 5 for the times; dx/dt = (x - D(x; t)) / t is their equations 1 and 3 with sigma(t) = t.
    """

    at_zero = False

    def scales(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """c_skip, c_out and c_in of times (B,), each (B, 1, 1, 1)."""
        t = t[:, None, None, None]
        whole = t.square() + SIGMA_DATA**2
        return SIGMA_DATA**2 / whole, t * SIGMA_DATA / whole.sqrt(), 1 / whole.sqrt()

    def velocity(self, x: Tensor, t: Tensor, y: Tensor, changes: Tensor) -> Tensor:
        """See `FlowGenerator.velocity`."""
        skip, out, scale_in = self.scales(t)
        denoised = skip * x + out * self.network(scale_in * x, t.log() / 4, y, changes).float()
        slope: Tensor = (x - denoised) / t[:, None, None, None]
        return slope

    def noised(self, images: Tensor, noise: Tensor, t: float) -> Tensor:
        """See `FlowGenerator.noised`."""
        return images + t * noise

    def times(self, steps: int, share: float = 1.0) -> list[float]:
        """Closer to each other the smaller they are; a share of the way counts in their seventh roots, evenly spaced.

        So 1 is t = 80, and 0.5 is t = 2.5: five times the spread of pixels.
        """
        least = SIGMA_MIN ** (1 / RHO)
        most = share * SIGMA_MAX ** (1 / RHO) + (1 - share) * least
        return [(most + step / max(1, steps - 1) * (least - most)) ** RHO for step in range(steps)] + [0.0]


SIGMA_DATA, SIGMA_MIN, SIGMA_MAX, RHO = 0.5, 0.002, 80.0, 7  # Karras 2022, table 1

BACKBONES: Mapping[str, Callable[[FlowSpec, tuple[int, int, int], int], Backbone]] = {
    "unet": UNet,
    "dit": DiT,
}


def build(
    spec: FlowSpec,
    image_shape: tuple[int, int, int],
    num_classes: int,
    kind: type[FlowGenerator] = FlowGenerator,
) -> Networks:
    """The generator over the backbone that the options name; nothing opposes it."""
    network = BACKBONES[spec.backbone](spec, image_shape, num_classes)
    return Networks(kind(network, image_shape, num_classes, spec.conditional))


def build_edm(spec: FlowSpec, image_shape: tuple[int, int, int], num_classes: int) -> Networks:
    """The same for EDM."""
    return build(spec, image_shape, num_classes, EdmGenerator)
