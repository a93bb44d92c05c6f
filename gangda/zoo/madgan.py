"""MAD-GAN (Ghosh 2018): K generators on a shared trunk, computed together, and a (K+1)-way discriminator."""

import dataclasses
from itertools import pairwise

import torch
from torch import Tensor, nn

from gangda.specs import MadganSpec
from gangda.zoo.base import Generator, Networks, Scores
from gangda.zoo.blocks import ScoreTrunk, batch_norm, crop, grid_plan, stages


class GeneratorEnsemble(Generator):
    """K generators: the early layers are shared, the last two are each generator's own.

    The own layers run as one grouped convolution over all K, so that a step costs about the same for any K.
    Batch norm is shared, since its statistics over B/K images would be noisy. Every head starts from its own weights.
    Source: Ghosh 2018, section 3.1 (shared initial layers); class conditioning (conditional batch norm) is ours.
    """

    def __init__(self, spec: MadganSpec, image_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        self.spec = spec
        self.latent_dim, self.num_classes, self.image_shape = spec.latent_dim, num_classes, image_shape
        self.conditional, self.num_generators = spec.conditional, spec.generators
        self.base, doublings = grid_plan(max(image_shape[1:]))
        widths = stages(spec.width or 32, doublings)[::-1]
        self.linear = nn.Linear(spec.latent_dim, widths[0] * self.base**2, bias=False)
        shared = list(pairwise(widths))[:-1]
        self.ups = nn.ModuleList([nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False) for a, b in shared])
        self.norms = nn.ModuleList([batch_norm(width, num_classes, spec.conditional) for width in widths])
        k, channels = spec.generators, image_shape[0]
        self.own_up = nn.ConvTranspose2d(k * widths[-2], k * widths[-1], 4, 2, 1, bias=False, groups=k)
        self.own_out = nn.Conv2d(k * widths[-1], k * channels, 3, 1, 1, groups=k)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(K, n, latent_dim) or (K n, latent_dim), labels (K n,) -> (K n, C, H, W); row k n + i is generator k's."""
        x = self.linear(z.flatten(0, -2)).unflatten(1, (-1, self.base, self.base))
        x = torch.relu_(self.norms[0](x, y))
        for up, norm in zip(self.ups, list(self.norms)[1:-1], strict=True):
            x = torch.relu_(norm(up(x), y))
        x = self._each(self.own_up, x)
        x = self._each(self.own_out, torch.relu_(self.norms[-1](x, y)))
        return crop(torch.tanh(x), *self.image_shape[1:])

    def _each(self, grouped: nn.Module, x: Tensor) -> Tensor:
        """Apply generator k's part of a grouped layer to its rows: (K n, C, H, W) -> (K n, C', H', W')."""
        k = self.num_generators
        side_by_side = x.unflatten(0, (k, -1)).transpose(0, 1).flatten(1, 2)
        images: Tensor = grouped(side_by_side).unflatten(1, (k, -1)).transpose(0, 1).flatten(0, 1)
        return images

    def select(self, k: int) -> Generator:
        """The k-th generator as a network of its own (it shares no memory with the ensemble)."""
        if not 0 <= k < self.num_generators:
            raise IndexError(f"generator {k} of {self.num_generators}")
        if self.num_generators == 1:
            return self
        alone = GeneratorEnsemble(
            dataclasses.replace(self.spec, generators=1), self.image_shape, self.num_classes
        )
        state = dict(self.state_dict())
        for name in ("own_up.weight", "own_out.weight", "own_out.bias"):
            state[name] = state[name].chunk(self.num_generators)[k]
        alone.load_state_dict(state)
        device = next(self.parameters()).device
        return alone.to(device).train(self.training).requires_grad_(False)


class IdentityDiscriminator(nn.Module):
    """Which generator made it, or real: K+1 logits, the last one real, on the layers of the cdcgan's discriminator.

    With labels, <embed(y), features> is added to the real logit only: added to all K+1 it would cancel in the softmax.
    """

    def __init__(self, spec: MadganSpec, image_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        self.trunk = ScoreTrunk(spec.d_width or 64, image_shape, spread=spec.minibatch_stddev)
        self.separate_batches = spec.minibatch_stddev
        self.scores = nn.Linear(self.trunk.features, spec.generators + 1)
        self.embed = nn.Embedding(num_classes, self.trunk.features) if spec.conditional else None
        if self.embed is not None:
            nn.init.zeros_(self.embed.weight)

    def forward(self, x: Tensor, y: Tensor) -> Scores:
        """(B, C, H, W) in [-1, 1], (B,) -> `Scores` with adversarial (B, K+1)."""
        h = self.trunk(x)
        logits: Tensor = self.scores(h)
        if self.embed is not None:
            match = (self.embed(y) * h).sum(1, keepdim=True)
            logits = torch.cat([logits[:, :-1], logits[:, -1:] + match], dim=1)
        return Scores(logits.float(), features=h)


def build(spec: MadganSpec, image_shape: tuple[int, int, int], num_classes: int) -> Networks:
    """Fresh networks for (C, H, W) images of `num_classes` classes."""
    return Networks(
        GeneratorEnsemble(spec, image_shape, num_classes),
        IdentityDiscriminator(spec, image_shape, num_classes),
    )
