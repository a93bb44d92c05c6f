"""What every architecture builds, and what every discriminator answers."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Scores:
    """A discriminator's answer to a batch of B images.

    Attributes:
        adversarial: (B,) logits of "real", or (B, K+1) with K generators (the last one is "real").
        classes: (B, num_classes) logits of an auxiliary classifier, where the architecture has one.
        features: (B, F) activations before the head, where the architecture exposes them.
        unconditional: as adversarial, before the class is taken into account; None where the two are one.
    """

    adversarial: Tensor
    classes: Tensor | None = None
    features: Tensor | None = None
    unconditional: Tensor | None = None


class Generator(nn.Module):
    """Maps noise and labels to images.

    `forward(z, y)`: z float32 (B, latent_dim) standard normal, y int64 (B,) in [0, num_classes) (ignored unless
    `conditional`) -> (B, C, H, W) in [-1, 1]. An ensemble of K > 1 generators takes B = K * n rows, the first n for
    generator 0 and so on (z may come as (K, n, d)); `select(k)` gives one of them with B rows of its own.
    """

    latent_dim: int
    num_classes: int
    image_shape: tuple[int, int, int]
    conditional: bool = False
    num_generators: int = 1

    @property
    def available(self) -> tuple[int, ...] | None:
        """How many different samples of each class there are; None for a generator that draws them."""
        return None

    def select(self, k: int) -> "Generator":
        """The k-th generator on its own; itself where there is only one."""
        if k != 0 or self.num_generators != 1:
            raise IndexError(f"generator {k} of {self.num_generators}")
        return self

    def noise(self, count: int, rng: torch.Generator) -> Tensor:
        """`count` draws of z, float32 (count, latent_dim) on the CPU."""
        return torch.randn(count, self.latent_dim, generator=rng)

    def noise_of(self, label: int, first: int, count: int, rng: torch.Generator) -> Tensor:
        """The z of samples `first`, `first` + 1, ... of a class: drawn, unless they are `available` ones."""
        return self.noise(count, rng)

    def parents_of(self, label: int, first: int, count: int) -> Tensor | None:
        """Row ids of the real images that these samples are made of, int64 (count,) on the CPU; None for new ones."""
        return None


class Wrapped(Generator):
    """Another generator with something changed; by itself, it makes the same images."""

    def __init__(self, inner: Generator) -> None:
        super().__init__()
        self.inner = inner
        self.latent_dim, self.num_classes = inner.latent_dim, inner.num_classes
        self.image_shape, self.conditional = inner.image_shape, inner.conditional
        self.num_generators = inner.num_generators

    def noise(self, count: int, rng: torch.Generator) -> Tensor:
        """The inner generator's noise."""
        return self.inner.noise(count, rng)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(B, latent_dim), (B,) -> (B, C, H, W) in [-1, 1]."""
        images: Tensor = self.inner(z, y)
        return images


class Truncated(Wrapped):
    """A generator whose noise lies within [-limit, limit]: values beyond are drawn again, the others stay.

    A smaller limit gives more typical, less varied images. Source: Brock 2019, section 3.1 (the truncation trick).
    """

    def __init__(self, inner: Generator, limit: float) -> None:
        super().__init__(inner)
        self.limit = limit

    def noise(self, count: int, rng: torch.Generator) -> Tensor:
        """`count` draws of z, float32 (count, latent_dim) on the CPU, none beyond the limit."""
        z = self.inner.noise(count, rng)
        while (beyond := z.abs() > self.limit).any():
            z = torch.where(beyond, self.inner.noise(count, rng), z)
        return z

    def select(self, k: int) -> Generator:
        """The k-th generator, truncated likewise."""
        return Truncated(self.inner.select(k), self.limit)


@dataclass(frozen=True)
class Networks:
    """The two players. `discriminator(x, y)` returns `Scores`."""

    generator: Generator
    discriminator: nn.Module


Build = Callable[..., Networks]  # build(spec, image_shape, num_classes) -> Networks


def set_strength(module: nn.Module, value: float) -> int:
    """How much the class counts in the conditional layers, from 0 (not at all) to 1; how many such layers there are.

    They are the submodules with an attribute `strength`. Source: Shahbazi 2022 (transitional conditioning).
    """
    layers = [layer for layer in module.modules() if hasattr(layer, "strength")]
    for layer in layers:
        layer.strength = value  # type: ignore[assignment]
    return len(layers)
