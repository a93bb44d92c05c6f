"""What every architecture builds, and what every discriminator answers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from gangda.config.sampler_options import SamplerOptions

DEFAULT_OPTIONS = SamplerOptions()
ImageShape = tuple[int, int, int]  # (C, H, W)


@dataclass(frozen=True)
class Scores:
    """A discriminator's answer to a batch of B images; what the architecture does not have is None."""

    adversarial: Tensor  # (B,) logits of "real", or (B, K+1) with K generators (the last one is "real")
    classes: Tensor | None = None  # (B, num_classes) logits of an auxiliary classifier
    features: Tensor | None = None  # (B, F) activations before the head
    unconditional: Tensor | None = None  # as adversarial, before the class is taken into account

    def rows(self, rows: slice) -> "Scores":
        """The scores of some rows of the batch."""
        parts = {name: value[rows] for name, value in vars(self).items() if value is not None}
        return replace(self, **parts)


@dataclass(frozen=True, eq=False)
class Latents:
    """The inputs of n samples, drawn on the CPU."""

    noise: Tensor  # float32 (n, ...), what `Generator.sample` takes
    # Int64 (n,), row ids of the training images that they are made of; None for new ones.
    parents: Tensor | None = None


class Generator(nn.Module):
    """Maps random draws and labels to images.

    A new generator sets the attributes below and defines `forward(z, y)`: z float32 (B, latent_dim) standard normal, y
    int64 (B,) in [0, num_classes) (ignored unless `conditional`) -> float (B, C, H, W) in [-1, 1]. That is all that a
    GAN needs. It overrides

    - `noise`, if its draws are not (B, latent_dim): those of a flow have the shape of images;
    - `sample`, if an image takes more than one pass, as the solver of a flow does;
    - `latents`, if its samples start from stored training images: they are then the `parents`;
    - `available`, if there are only so many different samples; `select`, if it holds several generators.

    Its `ArchSpec.sampler_options` names the fields of `SamplerOptions` that it understands: others are refused before
    anything is drawn, and these are part of a sample set's identity and metadata. A sample may depend on its draw, its
    label, the weights and the options only (not on the batch that it is made in), and all randomness comes from the
    given stream, so that a block of samples is the same wherever it is drawn.

    An ensemble of K > 1 generators takes B = K * n rows, the first n for generator 0 and so on (z may come as
    (K, n, d)); `select(k)` gives one of them, which has all B rows.
    """

    latent_dim: int
    num_classes: int
    image_shape: ImageShape
    conditional: bool = False
    num_generators: int = 1
    __call__: Callable[..., Tensor]

    @property
    def available(self) -> tuple[int, ...] | None:
        """How many different samples of each class there are; None for a generator that draws them."""
        return None

    def select(self, k: int) -> "Generator":
        """The k-th generator on its own, sharing no memory with an ensemble; here, where there is only one, itself.

        Raises:
            IndexError: there is no generator k.
        """
        if not 0 <= k < self.num_generators:
            raise IndexError(f"generator {k} of {self.num_generators}")
        return self

    def noise(self, count: int, rng: torch.Generator) -> Tensor:
        """`count` draws of z, standard normal, float32 (count, latent_dim) on the CPU."""
        return torch.randn(count, self.latent_dim, generator=rng)

    def latents(self, label: int, rows: range, rng: torch.Generator, options: SamplerOptions) -> Latents:
        """Inputs of samples number `rows` of a class, all from `rng`.

        With `truncation`, values of the noise beyond it are drawn again, the others stay (Brock 2019, section 3.1).
        """
        z = self.noise(len(rows), rng)
        if options.truncation is not None:
            while (beyond := z.abs() > options.truncation).any():
                z = torch.where(beyond, self.noise(len(rows), rng), z)
        return Latents(z)

    def sample(self, y: Tensor, noise: Tensor, options: SamplerOptions = DEFAULT_OPTIONS) -> Tensor:
        """Labels int64 (B,) and their noise (B, ...), both on the generator's device -> (B, C, H, W) in [-1, 1]."""
        return self(noise, y)


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
        return self.inner(z, y)


@dataclass(frozen=True)
class Networks:
    """What an architecture builds. `discriminator(x, y)` returns `Scores`; None where nothing opposes the generator."""

    generator: Generator
    discriminator: nn.Module | None = None

    def modules(self) -> dict[str, nn.Module]:
        """Those that there are, by name."""
        return {name: module for name, module in vars(self).items() if module is not None}


Build = Callable[[Any, ImageShape, int], Networks]  # build(spec, image_shape, num_classes)


def builder_of(
    generator: type[Generator],
    discriminator: type[nn.Module],
    initialise: Callable[[nn.Module], None] = lambda network: None,
) -> Build:
    """The `build` of two classes that are made as kind(spec, image_shape, num_classes) and initialised alike."""

    def build(spec: Any, image_shape: ImageShape, num_classes: int) -> Networks:
        wanted = (spec, image_shape, num_classes)
        networks = Networks(generator(*wanted), discriminator(*wanted))
        for network in networks.modules().values():
            initialise(network)
        return networks

    return build


def set_conditioning_scale(module: nn.Module, value: float) -> int:
    """Set how much the class counts, 0 (not at all) to 1, in layers with a `conditioning_scale`; their number.

    Source: Shahbazi 2022 (transitional conditioning).
    """
    layers = [layer for layer in module.modules() if hasattr(layer, "conditioning_scale")]
    for layer in layers:
        layer.conditioning_scale = value  # type: ignore[assignment]
    return len(layers)
