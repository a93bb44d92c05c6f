"""The game: two networks and their objectives, as named loss terms. Nothing here optimises or logs."""

from typing import Protocol

import torch
from torch import Tensor

from gangda import catalog
from gangda.configs import Recipe
from gangda.objectives import losses
from gangda.objectives.limited_data import translate
from gangda.objectives.penalties import r1
from gangda.zoo.base import Networks, Scores

Terms = dict[str, Tensor]
MADGAN_GENERATOR = {"minimax": losses.madgan_minimax, "nonsaturating": losses.madgan_nonsaturating}


class Game(Protocol):
    """What the training loop needs of a game. Each method returns named terms; their sum is minimised."""

    def discriminator_terms(
        self, real: Tensor, y: Tensor, fake: Tensor, step: int, rng: torch.Generator
    ) -> Terms:
        """Terms of the discriminator; `fake` is detached. real: (B, C, H, W) in [-1, 1]; y: int64 (B,).

        fake: (F, C, H, W) with F <= B, made for the first F labels of y.
        """

    def generator_terms(self, fake: Tensor, y: Tensor, rng: torch.Generator) -> Terms:
        """Terms of the generator; the discriminator is frozen."""


class _Arena:
    """What both games share: scoring images, with DiffAugment where it is on, and the lazy R1 penalty."""

    def __init__(self, networks: Networks, recipe: Recipe) -> None:
        self.networks, self.recipe = networks, recipe

    def score(self, images: Tensor, y: Tensor, rng: torch.Generator) -> Scores:
        seen = translate(images, rng) if self.recipe.diffaugment else images
        scores: Scores = self.networks.discriminator(seen, y)
        return scores

    def score_both(
        self, real: Tensor, y: Tensor, fake: Tensor, rng: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Scores of real and fake: one joined pass, or two where batch norm must not mix them."""
        y_fake = y[: len(fake)]
        if getattr(self.networks.discriminator, "separate_batches", False):
            return self.score(real, y, rng).adversarial, self.score(fake, y_fake, rng).adversarial
        both = self.score(torch.cat([real, fake]), torch.cat([y, y_fake]), rng).adversarial
        return both[: len(real)], both[len(real) :]

    def penalty_terms(self, real: Tensor, y: Tensor, step: int, rng: torch.Generator) -> Terms:
        """gamma/2 |grad|^2 every `r1_every` steps, scaled up to keep its mean (Karras 2020)."""
        if self.recipe.r1 == 0 or step % self.recipe.r1_every != 0:
            return {}
        weight = self.recipe.r1 * self.recipe.r1_every
        return {"d_r1": weight * r1(lambda x: self.real_score(self.score(x, y, rng).adversarial), real)}

    def real_score(self, adversarial: Tensor) -> Tensor:
        return adversarial


class TwoPlayerGame(_Arena):
    """One generator against real/fake scores, with a loss from the catalog."""

    known_losses = tuple(catalog.LOSSES)

    def __init__(self, networks: Networks, recipe: Recipe) -> None:
        super().__init__(networks, recipe)
        self.loss: losses.Loss = catalog.builder("loss", catalog.LOSSES, recipe.loss)()

    def discriminator_terms(
        self, real: Tensor, y: Tensor, fake: Tensor, step: int, rng: torch.Generator
    ) -> Terms:
        """Adversarial term, and R1 when it is due."""
        on_real, on_fake = self.score_both(real, y, fake, rng)
        return {"d_loss": self.loss.discriminator(on_real, on_fake), **self.penalty_terms(real, y, step, rng)}

    def generator_terms(self, fake: Tensor, y: Tensor, rng: torch.Generator) -> Terms:
        """Adversarial term."""
        return {"g_loss": self.loss.generator(self.score(fake, y, rng).adversarial)}


class MadganGame(_Arena):
    """K generators, each with B/K of the fakes in order, against K+1 logits (Ghosh 2018)."""

    known_losses = tuple(MADGAN_GENERATOR)

    def made_by(self, fake: Tensor) -> Tensor:
        """Which generator made each row, int64 (B,)."""
        k = self.networks.generator.num_generators
        return torch.arange(k, device=fake.device).repeat_interleave(len(fake) // k)

    def real_score(self, adversarial: Tensor) -> Tensor:
        """Logit of "real" against all generators together."""
        return adversarial[:, -1] - torch.logsumexp(adversarial[:, :-1], dim=1)

    def discriminator_terms(
        self, real: Tensor, y: Tensor, fake: Tensor, step: int, rng: torch.Generator
    ) -> Terms:
        """Cross-entropy over K+1 classes, and R1 when it is due."""
        on_real, on_fake = self.score_both(real, y, fake, rng)
        loss = losses.madgan_discriminator(on_real, on_fake, self.made_by(fake))
        return {"d_loss": loss, **self.penalty_terms(real, y, step, rng)}

    def generator_terms(self, fake: Tensor, y: Tensor, rng: torch.Generator) -> Terms:
        """Each generator's own loss, averaged."""
        loss = MADGAN_GENERATOR[self.recipe.loss]
        return {"g_loss": loss(self.score(fake, y, rng).adversarial)}
