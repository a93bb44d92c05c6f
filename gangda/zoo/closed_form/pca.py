"""Per-class PCA as a generator: no network, no training steps; what a linear model of the pixels can do."""

import math
from typing import Any

import torch
from torch import Tensor

from gangda.config.architectures import PcaSpec
from gangda.config.sampler_options import SamplerOptions
from gangda.data.images import LabelledImages
from gangda.zoo.base import DEFAULT_OPTIONS, Draws, Generator, Networks


class PcaGenerator(Generator):
    """x = mean_y + sum_i z_i sigma_yi u_yi, clipped to [-1, 1], with z standard normal.

    Buffers: mean (K, D), basis (K, n, D) whose rows are sigma_yi u_yi (zero rows where a class has too few images).
    Source: principal components (Hotelling 1933); the Gaussian is ours.
    """

    conditional = True
    mean: Tensor
    basis: Tensor

    def __init__(self, components: int, image_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        size = math.prod(image_shape)
        self.latent_dim, self.num_classes, self.image_shape = min(components, size), num_classes, image_shape
        self.register_buffer("mean", torch.zeros(num_classes, size))
        self.register_buffer("basis", torch.zeros(num_classes, self.latent_dim, size))

    def fit(self, images: LabelledImages) -> None:
        """Take the components of each class from its own images in [-1, 1]; sigma with n - 1 in the denominator."""
        for label, x in enumerate(images_by_class(images)):
            if len(x) == 0:
                continue
            self.mean[label] = x.mean(0)
            _, sigma, rows = torch.linalg.svd(x - x.mean(0), full_matrices=False)
            count = min(self.latent_dim, len(x) - 1)
            self.basis[label, :count] = (sigma[:count, None] * rows[:count]) / max(1, len(x) - 1) ** 0.5

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(B, n), (B,) -> (B, C, H, W) in [-1, 1]."""
        flat = self.mean[y] + torch.bmm(z.flatten(0, -2).unsqueeze(1), self.basis[y]).squeeze(1)
        images: Tensor = flat.clamp(-1, 1).unflatten(1, self.image_shape)
        return images


class PcaReconstructor(PcaGenerator):
    """Sample i of a class is its i-th training image, rebuilt from its first n components: nothing new.

    The z of sample i are the image's own coordinates, so that x = mean_y + sum_i <x0 - mean_y, u_yi> u_yi, clipped;
    other z still give draws from the Gaussian.
    Buffers: codes (N, n), class after class in the order of the training set, and rows (N,), their row ids;
    ends (K,), where each class ends in them.
    Source: report R3, which classifies such images with a LeNet.
    """

    sized_by_data = ("codes", "rows")
    codes: Tensor
    rows: Tensor
    ends: Tensor

    def __init__(self, components: int, image_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__(components, image_shape, num_classes)
        self.register_buffer("codes", torch.zeros(0, self.latent_dim))
        self.register_buffer("rows", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("ends", torch.zeros(num_classes, dtype=torch.int64))

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *others: Any) -> None:
        for name in self.sized_by_data:
            setattr(self, name, torch.zeros_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *others)

    def fit(self, images: LabelledImages) -> None:
        """The components, and the coordinates of the images in units of sigma."""
        super().fit(images)
        codes = []
        for label, x in enumerate(images_by_class(images)):
            basis = self.basis[label].double()
            length = basis.square().sum(1)
            along = (x - self.mean[label]) @ basis.T
            codes.append(torch.where(length > 0, along / length, 0.0).float())
        labels = torch.tensor(images.labels)
        self.codes = torch.cat(codes)
        self.rows = torch.tensor(images.row_id)[torch.argsort(labels, stable=True)]
        self.ends = torch.bincount(labels, minlength=images.num_classes).cumsum(0)

    @property
    def available(self) -> tuple[int, ...]:
        """Training images of each class."""
        return tuple(torch.diff(self.ends, prepend=self.ends.new_zeros(1)).tolist())

    def draws(
        self,
        label: int,
        first: int,
        count: int,
        rng: torch.Generator,
        options: SamplerOptions = DEFAULT_OPTIONS,
    ) -> Draws:
        """The coordinates of training images `first`, ... of a class; after the last they begin again."""
        has = self.available[label]
        if has == 0:
            return Draws(torch.zeros(count, self.latent_dim))
        places = torch.arange(first, first + count, device=self.ends.device) % has + self.ends[label] - has
        return Draws(self.codes[places].cpu(), self.rows[places].cpu())

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(B, n), (B,) -> (B, C, H, W) in [-1, 1], in full precision: what is lost is lost to the components."""
        with torch.autocast(z.device.type, enabled=False):
            return super().forward(z, y)


def build(spec: PcaSpec, image_shape: tuple[int, int, int], num_classes: int) -> Networks:
    """A generator that is still to be fitted."""
    kind = PcaReconstructor if spec.reconstruct else PcaGenerator
    return Networks(kind(spec.components, image_shape, num_classes))


def images_by_class(images: LabelledImages) -> list[Tensor]:
    """Each class's images in [-1, 1], float64 (n_k, D), in their order."""
    flat = torch.tensor(images.pixels).permute(0, 3, 1, 2).flatten(1)
    labels = torch.tensor(images.labels)
    return [flat[labels == label].double() / 127.5 - 1 for label in range(images.num_classes)]
