"""What the losses of a step are computed from."""

from dataclasses import dataclass

from torch import Tensor

from gangda.training.draws import Draws
from gangda.zoo.base import Scores


@dataclass(frozen=True, eq=False)
class DiscriminatorBatch:
    """Images and scores of one discriminator step, or of one generator step.

    Attributes:
        real: (B, C, H, W) in [-1, 1]; y: int64 (B,).
        fake: (F, C, H, W) with F <= B, made for the first F labels of y.
        draws: further randomness of this step; `draws.number` counts discriminator steps.
        on_real, on_fake: the discriminator's scores. In a generator step `on_real` is that of the fakes unless the
            loss is paired.
    """

    real: Tensor
    y: Tensor
    fake: Tensor
    draws: Draws
    on_real: Scores
    on_fake: Scores

    @property
    def y_fake(self) -> Tensor:
        """Labels that the fakes were made for, int64 (F,)."""
        return self.y[: len(self.fake)]
