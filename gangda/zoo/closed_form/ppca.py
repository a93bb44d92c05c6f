"""Probabilistic PCA of each class as a generator: the discarded directions come back as noise."""

import torch
from torch import Tensor

from gangda.config.architectures import PpcaSpec
from gangda.data.images import LabelledImages
from gangda.zoo.base import Generator
from gangda.zoo.closed_form.pca import empty_components, images_by_class


class PpcaGenerator(Generator):
    """x = W_y z + mean_y + e, clipped to [-1, 1]; z and e / sigma_y are standard normal.

    The generator's z holds both: the first n entries are the model's z, the other D its noise e / sigma_y. Clipping
    halves the noise of pixels that are black (or white) in every image.
    Buffers: mean (K, D), weight (K, n, D) whose rows are the columns of W_y, sigma (K,).
    Source: Tipping and Bishop 1999, equation 2.
    """

    conditional = True
    mean: Tensor
    weight: Tensor
    sigma: Tensor

    def __init__(
        self, mean: Tensor, weight: Tensor, sigma: Tensor, image_shape: tuple[int, int, int]
    ) -> None:
        super().__init__()
        self.num_classes, self.image_shape = len(mean), image_shape
        self.components = weight.shape[1]
        self.latent_dim = self.components + mean.shape[1]
        self.register_buffer("mean", mean)
        self.register_buffer("weight", weight)
        self.register_buffer("sigma", sigma)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(B, n + D), (B,) -> (B, C, H, W) in [-1, 1]."""
        z = z.flatten(0, -2)
        inner, noise = z[:, : self.components], z[:, self.components :]
        flat = self.mean[y] + torch.bmm(inner.unsqueeze(1), self.weight[y]).squeeze(1)
        flat = flat + self.sigma[y].unsqueeze(1) * noise
        images: Tensor = flat.clamp(-1, 1).unflatten(1, self.image_shape)
        return images


def fit(spec: PpcaSpec, images: LabelledImages) -> PpcaGenerator:
    """The maximum of the likelihood for each class, from its own images in [-1, 1].

    With the eigenvalues l_1 >= l_2 >= ... of the covariance (n in its denominator, as the likelihood has it),
    sigma^2 is the mean of the D - q discarded ones, zeros included, and W = U (L - sigma^2)^(1/2), the rotation left
    out. Source: Tipping and Bishop 1999, equations 7 and 8. A class of n images has at most n - 1 components.
    """
    mean, weight = empty_components(images, spec.components)
    sigma = torch.zeros(images.num_classes)
    size = mean.shape[1]
    for label, x in enumerate(images_by_class(images)):
        if len(x) == 0:
            continue
        mean[label] = x.mean(0)
        _, singular, rows = torch.linalg.svd(x - x.mean(0), full_matrices=False)
        eigenvalues = singular.square() / len(x)
        count = min(weight.shape[1], len(x) - 1)
        variance = eigenvalues[count:].sum() / max(1, size - count)
        scale = (eigenvalues[:count] - variance).clamp(min=0).sqrt()
        weight[label, :count] = scale[:, None] * rows[:count]
        sigma[label] = variance.sqrt()
    return PpcaGenerator(mean, weight, sigma, images.image_shape)


def empty(image_shape: tuple[int, int, int], tensors: dict[str, Tensor]) -> PpcaGenerator:
    """A generator of the right shapes, to load saved tensors into."""
    mean, weight, sigma = (torch.zeros_like(tensors[name]) for name in ("mean", "weight", "sigma"))
    return PpcaGenerator(mean, weight, sigma, image_shape)
