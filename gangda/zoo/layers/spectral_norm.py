"""Spectral normalisation: a weight divided by its largest singular value."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

WARM_UP = 15  # power iterations at the start, so that the first step already sees the right value
LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


class SpectralNorm(nn.Module):
    """W -> W / sigma(W), with W taken as a matrix of one row per output (per class for an embedding).

    One power iteration per call from the kept left vector `u` (rows,), which is updated in training only. Unlike
    torch's own it iterates in evaluation too: the `u` of a weight average is no unit vector. Source: Miyato 2018,
    algorithm 1.
    """

    u: Tensor

    def __init__(self, weight: Tensor, transposed: bool = False) -> None:
        super().__init__()
        self.transposed = transposed  # transposed convolutions keep their outputs in dimension 1
        with torch.no_grad():
            matrix = self._matrix(weight)
            u = F.normalize(torch.randn(len(matrix)), dim=0).to(weight)
            for _ in range(WARM_UP):
                u = F.normalize(matrix @ F.normalize(matrix.T @ u, dim=0), dim=0)
        self.register_buffer("u", u)

    def forward(self, weight: Tensor) -> Tensor:
        """The weight with its largest singular value brought to 1 (float32, also under autocast)."""
        device = "cpu" if weight.is_meta else weight.device.type  # of shapes without numbers
        with torch.autocast(device, enabled=False):
            matrix = self._matrix(weight)
            v = F.normalize(matrix.detach().T @ self.u, dim=0)
            image = matrix @ v
            u = F.normalize(image.detach(), dim=0)
            if self.training:
                with torch.no_grad():
                    self.u.copy_(u)
            return weight / (u @ image)

    def _matrix(self, weight: Tensor) -> Tensor:
        return (weight.transpose(0, 1) if self.transposed else weight).flatten(1)


def add_spectral_norm(network: nn.Module, embeddings: bool = True) -> None:
    """Normalise every convolution and linear layer of a network, and (with `embeddings`) of embeddings, in place.

    A generator's embeddings are better left out: those of conditional batch norm are gains, which would shrink.
    A weight of 0, as in the embeddings of projection discriminators, has no direction: it starts from N(0, 1) instead.
    """
    kinds = (*LAYERS, nn.Embedding) if embeddings else LAYERS
    for layer in list(network.modules()):
        if isinstance(layer, kinds) and not parametrize.is_parametrized(layer, "weight"):
            weight = layer.weight
            if not weight.is_meta and not weight.detach().any():
                nn.init.normal_(weight)
            norm = SpectralNorm(weight.detach(), isinstance(layer, nn.ConvTranspose2d))
            parametrize.register_parametrization(layer, "weight", norm)
