"""The game: two networks and their objectives, as named loss terms. Nothing here optimises or logs."""

import abc
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from gangda.config import catalog
from gangda.config.schema import Recipe
from gangda.training.adversarial import losses, madgan, regularisers
from gangda.training.adversarial.scoring import Arena, Terms, Turn
from gangda.zoo.base import Networks, Scores

MADGAN_GENERATOR = {"minimax": madgan.minimax, "nonsaturating": madgan.nonsaturating}


class Game(Protocol):
    """What the training loop needs of a game. Each method returns named terms; their sum is minimised.

    The attributes are those of `Arena`: how much the class counts, what is remembered, figures for the log, and means
    over all ranks.
    """

    strength: float
    memory: dict[str, Tensor]
    seen: Terms
    mean_over_ranks: Callable[[Tensor], Tensor]

    def discriminator_terms(
        self, real: Tensor, y: Tensor, fake: Tensor, turn: int, rng: torch.Generator
    ) -> Terms:
        """Terms of the discriminator; `fake` is detached. real: (B, C, H, W) in [-1, 1]; y: int64 (B,).

        fake: (F, C, H, W) with F <= B, made for the first F labels of y; turn: turns it has had before.
        """

    def generator_terms(
        self, real: Tensor, y: Tensor, fake: Tensor, turn: int, rng: torch.Generator
    ) -> Terms:
        """Terms of the generator for the same images; the discriminator is frozen."""

    def simultaneous_terms(
        self, real: Tensor, y: Tensor, fake: Tensor, turn: int, rng: torch.Generator
    ) -> tuple[Terms, Terms]:
        """Terms of discriminator and generator from the same scores; `fake` is not detached, nothing is frozen.

        Each player's are to be differentiated in its own parameters only.
        """


class _Duel(Arena, abc.ABC):
    """The course of a turn, the same in both games: score, adversarial loss, optional terms."""

    paired = False
    threshold: float | None = 0.0

    def __init__(self, networks: Networks, recipe: Recipe) -> None:
        super().__init__(networks, recipe)
        self.d_extras = regularisers.asked_for(regularisers.DISCRIMINATOR, recipe)
        self.g_extras = regularisers.asked_for(regularisers.GENERATOR, recipe)

    @abc.abstractmethod
    def d_loss(self, fake: Tensor, real: Tensor) -> Tensor:
        """The discriminator's adversarial loss of adversarial scores."""

    @abc.abstractmethod
    def g_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        """The generator's; `real` is None unless the loss is `paired`."""

    def discriminator_terms(
        self, real: Tensor, y: Tensor, fake: Tensor, turn: int, rng: torch.Generator
    ) -> Terms:
        """Adversarial term, and what the recipe adds."""
        on_real, on_fake = self.score_both(real, y, fake, turn, rng)
        return self._of_discriminator(Turn(real, y, fake, turn, rng, on_real, on_fake))

    def generator_terms(
        self, real: Tensor, y: Tensor, fake: Tensor, turn: int, rng: torch.Generator
    ) -> Terms:
        """Adversarial term, and what the recipe adds. Real images are scored only where the loss is paired."""
        if self.paired:
            on_real, on_fake = self.score_both(real, y, fake, turn, rng)
        else:
            on_real = on_fake = self.score(fake, y[: len(fake)], turn, rng)
        return self._of_generator(Turn(real, y, fake, turn, rng, on_real, on_fake))

    def simultaneous_terms(
        self, real: Tensor, y: Tensor, fake: Tensor, turn: int, rng: torch.Generator
    ) -> tuple[Terms, Terms]:
        """One pass over the real images and one over the fakes serve both players: the same dropout and DiffAugment."""
        on_real, on_fake = self.score_apart(real, y, fake, turn, rng)
        taken = Turn(real, y, fake, turn, rng, on_real, on_fake)
        return self._of_discriminator(replace(taken, fake=fake.detach())), self._of_generator(taken)

    def _of_discriminator(self, taken: Turn) -> Terms:
        found = self._adversarial("d", self.d_loss, taken.on_fake, taken.on_real)
        for term in self.d_extras:
            found.update(term(self, taken))
        self.seen = {"d_accuracy": self._accuracy(taken.on_real, taken.on_fake)}
        return found

    def _of_generator(self, taken: Turn) -> Terms:
        found = self._adversarial("g", self.g_loss, taken.on_fake, taken.on_real if self.paired else None)
        for term in self.g_extras:
            found.update(term(self, taken))
        return found

    def _adversarial(
        self, player: str, loss: Callable[..., Tensor], fake: Scores, real: Scores | None = None
    ) -> Terms:
        """The adversarial term; in transitional conditioning the unconditional one, and a share of the conditional.

        Source: Shahbazi 2022 and the authors' loss.py: both players minimise unconditional + strength * conditional,
        also once the strength is 1.
        """
        whole = loss(fake.adversarial, real.adversarial if real else None)
        if not self.recipe.conditioning_warmup or fake.unconditional is None:
            return {f"{player}_loss": whole}
        without = loss(fake.unconditional, real.unconditional if real else None)
        return {f"{player}_loss": self.by_strength(whole), f"{player}_unconditional": without}

    def _accuracy(self, on_real: Scores, on_fake: Scores) -> Tensor:
        with torch.no_grad():
            real, fake = self.real_score(on_real.adversarial), self.real_score(on_fake.adversarial)
            return losses.accuracy(real, fake, self.threshold)


class TwoPlayerGame(_Duel):
    """One generator against real/fake scores, with a loss from the catalog."""

    known_losses = tuple(catalog.LOSSES)

    def __init__(self, networks: Networks, recipe: Recipe) -> None:
        super().__init__(networks, recipe)
        self.loss: losses.Loss = catalog.builder("loss", catalog.LOSSES, recipe.loss)()
        self.paired, self.threshold = self.loss.paired, self.loss.threshold

    def d_loss(self, fake: Tensor, real: Tensor) -> Tensor:
        """The catalog's loss, with smoothed labels where asked for."""
        loss, amount = self.loss.discriminator(real, fake), self.recipe.label_smoothing
        return loss + losses.label_smoothing(real, amount) if amount else loss

    def g_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        """The catalog's loss."""
        return self.loss.generator(fake, real)


class MadganGame(_Duel):
    """K generators, each with B/K of the fakes in order, against K+1 logits (Ghosh 2018)."""

    known_losses = tuple(MADGAN_GENERATOR)

    def real_score(self, adversarial: Tensor) -> Tensor:
        """Logit of "real" against all generators together."""
        return madgan.real_score(adversarial)

    def d_loss(self, fake: Tensor, real: Tensor) -> Tensor:
        """Cross-entropy over K+1 classes."""
        loss, amount = madgan.discriminator(real, fake, self.made_by(fake)), self.recipe.label_smoothing
        return loss + madgan.label_smoothing(real, amount) if amount else loss

    def g_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        """Each generator's own loss, averaged."""
        return MADGAN_GENERATOR[self.recipe.loss](fake)
