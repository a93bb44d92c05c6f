"""Generators that are fitted to each class in closed form, without training steps: PCA and probabilistic PCA."""

import abc
import math
from typing import Any

import torch
from torch import Tensor

from gangda.config.architectures import PcaSpec, PpcaSpec
from gangda.config.sampler_options import SamplerOptions
from gangda.data.images import LabelledImages
from gangda.zoo.base import Generator, ImageShape, Latents, Networks


class ComponentsGenerator(Generator, abc.ABC):
    """Base: x = mean_y + sum_i z_i w_yi, clipped to [-1, 1], with z standard normal.

    Buffers: `mean` (K, D), and the w_yi (K, n, D), whose name is `directions`; rows that a class is too small for
    are zero.
    """

    conditional = True
    mean: Tensor
    directions: str  # name of the buffer of the w_yi

    def __init__(self, components: int, image_shape: ImageShape, num_classes: int) -> None:
        super().__init__()
        size = math.prod(image_shape)
        self.components, self.num_classes, self.image_shape = min(components, size), num_classes, image_shape
        self.latent_dim = self.components
        self.register_buffer("mean", torch.zeros(num_classes, size))
        self.register_buffer(self.directions, torch.zeros(num_classes, self.components, size))

    def fit(self, images: LabelledImages) -> None:
        """Fit each class to its own images in [-1, 1]; a class of n images has at most n - 1 components."""
        for label, x in enumerate(images_by_class(images)):
            if len(x):
                self.mean[label] = x.mean(0)
                _, singular, rows = torch.linalg.svd(x - x.mean(0), full_matrices=False)
                self.fit_class(label, singular, rows, min(self.components, len(x) - 1), len(x))

    @abc.abstractmethod
    def fit_class(self, label: int, singular: Tensor, rows: Tensor, count: int, n: int) -> None:
        """Set `count` directions of a class of n images from the singular values and right vectors, float64."""

    def combined(self, z: Tensor, y: Tensor) -> Tensor:
        """z (B, n), y (B,) -> mean_y + sum_i z_i w_yi, (B, D)."""
        directions: Tensor = getattr(self, self.directions)
        return self.mean[y] + torch.bmm(z.unsqueeze(1), directions[y]).squeeze(1)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(B, latent_dim), (B,) -> (B, C, H, W) in [-1, 1]."""
        return self.combined(z.flatten(0, -2), y).clamp(-1, 1).unflatten(1, self.image_shape)  # type: ignore[no-any-return]


class PcaGenerator(ComponentsGenerator):
    """w_yi = sigma_yi u_yi, the principal components scaled by their standard deviations (n - 1 in the denominator).

    Source: principal components (Hotelling 1933); the Gaussian is ours.
    """

    directions = "basis"
    basis: Tensor

    def fit_class(self, label: int, singular: Tensor, rows: Tensor, count: int, n: int) -> None:
        """See the base."""
        self.basis[label, :count] = (singular[:count, None] * rows[:count]) / max(1, n - 1) ** 0.5


class PcaReconstructor(PcaGenerator):
    """Sample i of a class is its i-th training image, rebuilt from its first n components: nothing new.

    The z of sample i are the image's own coordinates, so that x = mean_y + sum_i <x0 - mean_y, u_yi> u_yi, clipped;
    other z still give draws from the Gaussian. Source: report R3, which classifies such images with a LeNet.
    """

    sized_by_data = ("codes", "rows")
    codes: Tensor  # (N, n), class after class in the order of the training set
    rows: Tensor  # (N,), their row ids
    ends: Tensor  # (K,), where each class ends in them

    def __init__(self, components: int, image_shape: ImageShape, num_classes: int) -> None:
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

    def latents(self, label: int, rows: range, rng: torch.Generator, options: SamplerOptions) -> Latents:
        """The coordinates of the class's training images number `rows`; after the last they begin again."""
        has = self.available[label]
        if has == 0:
            return Latents(torch.zeros(len(rows), self.latent_dim))
        places = torch.arange(rows.start, rows.stop, device=self.ends.device) % has + self.ends[label] - has
        return Latents(self.codes[places].cpu(), self.rows[places].cpu())

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(B, n), (B,) -> (B, C, H, W) in [-1, 1], in full precision: what is lost is lost to the components."""
        with torch.autocast(z.device.type, enabled=False):
            return super().forward(z, y)


class PpcaGenerator(ComponentsGenerator):
    """Probabilistic PCA: x = W_y z + mean_y + e, clipped to [-1, 1]; z and e / sigma_y are standard normal.

    The generator's z holds both: the first n entries are the model's z, the other D its noise e / sigma_y. Clipping
    (ours) halves the noise of pixels that are black, or white, in every image. Buffer: sigma (K,), too.
    Source: Tipping and Bishop 1999, equation 2.
    """

    directions = "weight"
    weight: Tensor
    sigma: Tensor

    def __init__(self, components: int, image_shape: ImageShape, num_classes: int) -> None:
        super().__init__(components, image_shape, num_classes)
        self.latent_dim = self.components + math.prod(image_shape)
        self.register_buffer("sigma", torch.zeros(num_classes))

    def fit_class(self, label: int, singular: Tensor, rows: Tensor, count: int, n: int) -> None:
        """Maximise the likelihood of a class, with the eigenvalues L of the covariance (n in its denominator).

        sigma^2 is the mean of the D - q that are discarded, zeros included; W = U (L - sigma^2)^(1/2), the rotation
        left out. Source: Tipping and Bishop 1999, equations 7 and 8.
        """
        eigenvalues = singular.square() / n
        variance = eigenvalues[count:].sum() / max(1, self.mean.shape[1] - count)
        scale = (eigenvalues[:count] - variance).clamp(min=0).sqrt()
        self.weight[label, :count] = scale[:, None] * rows[:count]
        self.sigma[label] = variance.sqrt()

    def combined(self, z: Tensor, y: Tensor) -> Tensor:
        """z (B, n + D), y (B,) -> (B, D), the noise included."""
        inner, noise = z[:, : self.components], z[:, self.components :]
        return super().combined(inner, y) + self.sigma[y].unsqueeze(1) * noise


def build(spec: PcaSpec | PpcaSpec, image_shape: ImageShape, num_classes: int) -> Networks:
    """A generator that is still to be fitted."""
    kind: type[ComponentsGenerator] = PpcaGenerator
    if isinstance(spec, PcaSpec):
        kind = PcaReconstructor if spec.reconstruct else PcaGenerator
    return Networks(kind(spec.components, image_shape, num_classes))


def images_by_class(images: LabelledImages) -> list[Tensor]:
    """Each class's images in [-1, 1], float64 (n_k, D), in their order."""
    flat = torch.tensor(images.pixels).permute(0, 3, 1, 2).flatten(1)
    labels = torch.tensor(images.labels)
    return [flat[labels == label].double() / 127.5 - 1 for label in range(images.num_classes)]
