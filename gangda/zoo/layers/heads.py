"""The last layers of the discriminators, and whether they score a batch as a whole."""

from collections.abc import Callable

from torch import Tensor, nn

from gangda.zoo.base import Scores
from gangda.zoo.layers.blocks import MinibatchStdDev

BATCHWISE = (nn.BatchNorm1d, nn.BatchNorm2d, MinibatchStdDev)  # layers where images of a batch see each other


class Discriminator(nn.Module):
    """Scores images: `forward(x, y)`, x (B, C, H, W) in [-1, 1], y int64 (B,) -> `Scores`."""

    __call__: Callable[..., Scores]

    @property
    def separate_batches(self) -> bool:
        """Whether real and fake images must come in batches of their own, since a score depends on the whole batch."""
        return any(isinstance(layer, BATCHWISE) for layer in self.modules())


class ScoreHead(nn.Module):
    """Features to one score, or several: (B, F) -> float32 (B,) or (B, outputs), also under autocast.

    `spread` adds `MinibatchStdDev` before the linear layer.
    """

    def __init__(self, features: int, spread: bool = False, outputs: int = 1) -> None:
        super().__init__()
        self.spread = MinibatchStdDev() if spread else nn.Identity()
        self.linear = nn.Linear(features + spread, outputs)

    def forward(self, h: Tensor) -> Tensor:
        """Score the features."""
        scores: Tensor = self.linear(self.spread(h))
        return scores.squeeze(1).float()


class ProjectionHead(nn.Module):
    """A score plus <embed(y), features>.

    `forward(h, y)`: h (B, F), y int64 (B,) -> `Scores` with adversarial, unconditional (B,), float32, and the features.
    Source: Miyato and Koyama 2018, equation 3.
    """

    __call__: Callable[..., Scores]

    def __init__(self, features: int, num_classes: int, spread: bool = False) -> None:
        super().__init__()
        self.score = ScoreHead(features, spread)
        self.embed = nn.Embedding(num_classes, features)

    def forward(self, h: Tensor, y: Tensor) -> Scores:
        """Score the features for their class."""
        unconditional = self.score(h)
        match = (self.embed(y) * h).sum(1)
        return Scores((unconditional + match).float(), features=h, unconditional=unconditional)
