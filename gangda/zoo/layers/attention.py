"""Self-attention over the pixels of a feature map."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SelfAttention(nn.Module):
    """Every pixel takes in a weighted mean of all pixels: x + gamma * attended, with gamma learned from 0.

    `forward(x)`: (B, C, H, W) -> the same shape. Memory and time grow with (H W)^2 pairs of pixels; with `pool` only
    the largest key and value of every pool x pool pixels are attended to, as in the authors' code (pool 2).
    Source: Zhang 2019, equations 1-3. Departure: the values keep all C channels and need no fourth convolution
    (the paper's has C/8 and brings them back to C); the 1x1 convolutions have biases.
    """

    def __init__(self, channels: int, reduction: int = 8, pool: int = 1) -> None:
        super().__init__()
        self.pool = pool
        inner = max(1, channels // reduction)
        self.query = nn.Conv2d(channels, inner, 1)
        self.key = nn.Conv2d(channels, inner, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Attend; row i of the weights is pixel i's softmax over all pixels, of unscaled dot products."""
        query, key, value = self.query(x).flatten(2), self._pooled(self.key(x)), self._pooled(self.value(x))
        weights = torch.softmax(query.transpose(1, 2) @ key, dim=2)
        attended = (value @ weights.transpose(1, 2)).view_as(x)
        return torch.addcmul(x, self.gamma.to(x.dtype), attended.to(x.dtype))

    def _pooled(self, x: Tensor) -> Tensor:
        return (F.max_pool2d(x, self.pool) if self.pool > 1 else x).flatten(2)
