"""Samples of a flow that start from noisy training images in place of noise alone."""

import numpy as np
import torch
from torch import Tensor

from gangda.config.sampler_options import SamplerOptions
from gangda.data.images import REAL, LabelledImages, to_float
from gangda.errors import DataError
from gangda.zoo.base import DEFAULT_OPTIONS, Latents, Wrapped
from gangda.zoo.flow.generator import FlowGenerator


class StartFromReal(Wrapped):
    """x_T of a real training image x and noise, followed from T to 0: near 0 a copy of x, its parent, near 1 new.

    The share T, in (0, 1), is of the solver's way from 0 to noise. Of `flow` it is the time itself, and
    x_T = (1 - T) x + T e; of `edm` it counts along its grid of times, and x_T = x + t_T e. Parents are real images of
    the wanted class, or any where the generator knows no classes.

    Source: Meng 2022 (SDEdit), section 3, where the same share is called t_0; along the flow in place of an SDE.

    Raises DataError: a class without a real image.
    """

    inner: FlowGenerator

    def __init__(self, inner: FlowGenerator, images: LabelledImages, share: float) -> None:
        super().__init__(inner)
        self.images, self.share = images.take(np.flatnonzero(images.origin == REAL)), share
        missing = self.images.missing_class()
        if missing is not None and (inner.conditional or not len(self.images)):
            what = f"class '{missing}' has no real training image to start from"
            raise DataError(f"--start-from-real {share:g}: {what}; leave it out")
        self.train(inner.training)

    def latents(self, label: int, rows: range, rng: torch.Generator, options: SamplerOptions) -> Latents:
        """x_T, and the row ids of the parents; the noise is that of plain samples.

        Parents come in a random order of each block, all of them before one comes again.
        """
        noise = self.inner.noise(len(rows), rng)
        everyone = np.ones(len(self.images), dtype=np.bool_)
        choice = np.flatnonzero(self.images.labels == label if self.conditional else everyone)
        rounds = -(-len(rows) // len(choice))
        order = torch.cat([torch.randperm(len(choice), generator=rng) for _ in range(rounds)])
        parents = self.images.take(choice[order[: len(rows)].numpy()])
        pixels = to_float(torch.tensor(parents.pixels).permute(0, 3, 1, 2))
        start = self.inner.noised(pixels, noise, self._times(options)[0])
        return Latents(start, torch.tensor(parents.row_id))

    def sample(self, y: Tensor, noise: Tensor, options: SamplerOptions = DEFAULT_OPTIONS) -> Tensor:
        """Labels int64 (B,) and their x_T (B, C, H, W) from `latents` -> images (B, C, H, W) in [-1, 1]."""
        return self.inner.follow(noise, y, self._times(options), options)

    def _times(self, options: SamplerOptions) -> list[float]:
        """Where the solver stops, from T to 0."""
        return self.inner.times(options.sampler_steps, self.share)
