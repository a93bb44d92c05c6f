"""Probabilistic PCA of each class as a generator: the discarded directions come back as noise."""

import math

import torch
from torch import Tensor

from gangda.config.architectures import PpcaSpec
from gangda.data.images import LabelledImages
from gangda.zoo.base import Generator, Networks
from gangda.zoo.closed_form.pca import images_by_class


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

    def __init__(self, components: int, image_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        size = math.prod(image_shape)
        self.num_classes, self.image_shape = num_classes, image_shape
        self.components = min(components, size)
        self.latent_dim = self.components + size
        self.register_buffer("mean", torch.zeros(num_classes, size))
        self.register_buffer("weight", torch.zeros(num_classes, self.components, size))
        self.register_buffer("sigma", torch.zeros(num_classes))

    def fit(self, images: LabelledImages) -> None:
        """Maximise the likelihood of each class, from its own images in [-1, 1].

        With the eigenvalues l_1 >= l_2 >= ... of the covariance (n in its denominator, as the likelihood has it),
        sigma^2 is the mean of the D - q discarded ones, zeros included, and W = U (L - sigma^2)^(1/2), the rotation
        left out. Source: Tipping and Bishop 1999, equations 7 and 8. A class of n images has at most n - 1 components.
        """
        size = self.mean.shape[1]
        for label, x in enumerate(images_by_class(images)):
            if len(x) == 0:
                continue
            self.mean[label] = x.mean(0)
            _, singular, rows = torch.linalg.svd(x - x.mean(0), full_matrices=False)
            eigenvalues = singular.square() / len(x)
            count = min(self.components, len(x) - 1)
            variance = eigenvalues[count:].sum() / max(1, size - count)
            scale = (eigenvalues[:count] - variance).clamp(min=0).sqrt()
            self.weight[label, :count] = scale[:, None] * rows[:count]
            self.sigma[label] = variance.sqrt()

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(B, n + D), (B,) -> (B, C, H, W) in [-1, 1]."""
        z = z.flatten(0, -2)
        inner, noise = z[:, : self.components], z[:, self.components :]
        flat = self.mean[y] + torch.bmm(inner.unsqueeze(1), self.weight[y]).squeeze(1)
        flat = flat + self.sigma[y].unsqueeze(1) * noise
        images: Tensor = flat.clamp(-1, 1).unflatten(1, self.image_shape)
        return images


def build(spec: PpcaSpec, image_shape: tuple[int, int, int], num_classes: int) -> Networks:
    """A generator that is still to be fitted."""
    return Networks(PpcaGenerator(spec.components, image_shape, num_classes))
