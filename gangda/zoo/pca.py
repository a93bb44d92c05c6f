"""Per-class PCA as a generator: no network, no training steps; what a linear model of the pixels can do."""

import torch
from torch import Tensor

from gangda.data.images import LabelledImages
from gangda.specs import PcaSpec
from gangda.zoo.base import Generator


class PcaGenerator(Generator):
    """x = mean_y + sum_i z_i sigma_yi u_yi, clipped to [-1, 1], with z standard normal.

    Buffers: mean (K, D), basis (K, n, D) whose rows are sigma_yi u_yi (zero rows where a class has too few images).
    Source: principal components (Hotelling 1933); report R3 reconstructs real images with them, the Gaussian is ours.
    """

    conditional = True
    mean: Tensor
    basis: Tensor

    def __init__(self, mean: Tensor, basis: Tensor, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.latent_dim, self.num_classes, self.image_shape = basis.shape[1], len(mean), image_shape
        self.register_buffer("mean", mean)
        self.register_buffer("basis", basis)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(B, n), (B,) -> (B, C, H, W) in [-1, 1]."""
        flat = self.mean[y] + torch.bmm(z.flatten(0, -2).unsqueeze(1), self.basis[y]).squeeze(1)
        images: Tensor = flat.clamp(-1, 1).unflatten(1, self.image_shape)
        return images


def fit(spec: PcaSpec, images: LabelledImages) -> PcaGenerator:
    """The components of each class, from its own images in [-1, 1]; sigma with n - 1 in the denominator."""
    size = int(images.pixels[0].size)
    mean = torch.zeros(images.num_classes, size)
    basis = torch.zeros(images.num_classes, min(spec.components, size), size)
    flat = torch.tensor(images.pixels).permute(0, 3, 1, 2).flatten(1)
    labels = torch.tensor(images.labels)
    for label in range(images.num_classes):
        x = flat[labels == label].double() / 127.5 - 1
        if len(x) == 0:
            continue
        mean[label] = x.mean(0)
        _, sigma, rows = torch.linalg.svd(x - x.mean(0), full_matrices=False)
        count = min(basis.shape[1], len(x) - 1)
        basis[label, :count] = (sigma[:count, None] * rows[:count]) / max(1, len(x) - 1) ** 0.5
    return PcaGenerator(mean, basis, images.image_shape)


def empty(image_shape: tuple[int, int, int], tensors: dict[str, Tensor]) -> PcaGenerator:
    """A generator of the right shapes, to load saved tensors into."""
    return PcaGenerator(torch.zeros_like(tensors["mean"]), torch.zeros_like(tensors["basis"]), image_shape)
