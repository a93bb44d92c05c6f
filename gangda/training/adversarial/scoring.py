"""What every game stands on: scoring images for both players, and what one turn's terms are made of."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gangda.config.schema import Recipe
from gangda.runtime.distributed import ALONE
from gangda.training.adversarial.diffaugment import augment
from gangda.zoo.base import Networks, Scores

Terms = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Turn:
    """One turn of a player.

    Attributes:
        real: (B, C, H, W) in [-1, 1]; y: int64 (B,).
        fake: (F, C, H, W) with F <= B, made for the first F labels of y.
        number: turns that the discriminator has had before.
        rng: the stream of this turn's draws.
        on_real, on_fake: their scores. Where the generator has a turn of its own, `on_real` is the fakes' unless the
            loss is paired.
    """

    real: Tensor
    y: Tensor
    fake: Tensor
    number: int
    rng: torch.Generator
    on_real: Scores
    on_fake: Scores

    @property
    def y_fake(self) -> Tensor:
        """Labels that the fakes were made for, int64 (F,)."""
        return self.y[: len(self.fake)]


class Arena:
    """Two networks, a recipe, and what lasts from turn to turn.

    Attributes:
        strength: how much the class counts, 0 to 1; the training loop raises it in transitional conditioning.
        memory: tensors that are carried from step to step, saved and restored with the run.
        seen: detached figures of the discriminator's last turn, for the log.
        mean_over_ranks: of a mean over a rank's images, that over all ranks'; what it gives has no gradient.
    """

    def __init__(self, networks: Networks, recipe: Recipe) -> None:
        self.networks, self.recipe = networks, recipe
        self.strength = 1.0
        self.memory: dict[str, Tensor] = {}
        self.seen: Terms = {}
        self.mean_over_ranks: Callable[[Tensor], Tensor] = ALONE.mean

    def score(self, images: Tensor, y: Tensor, turn: int, rng: torch.Generator) -> Scores:
        """The discriminator's answer, through DiffAugment where it is on."""
        seen = augment(images, self.recipe.diffaugment, turn, rng) if self.recipe.diffaugment else images
        scores: Scores = self.networks.discriminator(seen, y)
        return scores

    def score_both(
        self, real: Tensor, y: Tensor, fake: Tensor, turn: int, rng: torch.Generator
    ) -> tuple[Scores, Scores]:
        """Scores of real and fake: one joined pass, or two where the batch's images must not mix."""
        if getattr(self.networks.discriminator, "separate_batches", False):
            return self.score_apart(real, y, fake, turn, rng)
        both = self.score(torch.cat([real, fake]), torch.cat([y, y[: len(fake)]]), turn, rng)
        return rows_of(both, slice(0, len(real))), rows_of(both, slice(len(real), None))

    def score_apart(
        self, real: Tensor, y: Tensor, fake: Tensor, turn: int, rng: torch.Generator
    ) -> tuple[Scores, Scores]:
        """Scores of real and fake from a pass each, so that gradients of the fakes need not walk the real ones'."""
        return self.score(real, y, turn, rng), self.score(fake, y[: len(fake)], turn, rng)

    def rescore(self, turn: Turn, y: Tensor) -> Callable[[Tensor], Tensor]:
        """One number an image, anew: images -> (B,), for labels y."""
        return lambda images: self.real_score(self.score(images, y, turn.number, turn.rng).adversarial)

    def real_score(self, adversarial: Tensor) -> Tensor:
        """One number an image, the higher the more real: (B,)."""
        return adversarial

    def made_by(self, fake: Tensor) -> Tensor:
        """Which generator made each row, int64 (B,)."""
        k = self.networks.generator.num_generators
        return torch.arange(k, device=fake.device).repeat_interleave(len(fake) // k)

    def by_strength(self, term: Tensor) -> Tensor:
        """A term of the class, which counts as much as the class does."""
        return term if self.strength == 1.0 else self.strength * term


def rows_of(scores: Scores, rows: slice) -> Scores:
    """Some rows of an answer."""
    parts = {name: value[rows] for name, value in vars(scores).items() if value is not None}
    return replace(scores, **parts)
