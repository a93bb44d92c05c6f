"""What the players do in a step: their turns, alone or together, and what several ranks do in common.

Several ranks (`DeviceContext.ranks`) share a step's batch, as `rank_batches.py` deals it. Each draws for all and
keeps what is its own; before an optimizer moves, gradients and figures are averaged over the ranks, so that all stay
the same network. That is done here in one message, and not by wrapping networks in DistributedDataParallel: its hooks
expect one backward pass for each forward pass, where a penalty differentiates twice, the discriminator is frozen for
half of the step, and one pass of it serves several terms. What depends on the number of ranks is batch norm in
training, which sees a rank's own images, and the noise of dropout.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gangda.config.schema import Recipe
from gangda.runtime.device import DeviceContext
from gangda.runtime.seeding import draw, seed_device, shared_stream, torch_stream
from gangda.training.adversarial.gradient_penalties import clip_weights
from gangda.training.adversarial.method import Game
from gangda.training.adversarial.scoring import Terms
from gangda.training.rank_batches import Share, deal, groups_of, running_statistics
from gangda.zoo.base import Networks


@dataclass(eq=False)
class Play:
    """The players' turns, and what all ranks do together."""

    networks: Networks
    optimizer_g: torch.optim.Optimizer
    optimizer_d: torch.optim.Optimizer
    game: Game
    seed: int
    recipe: Recipe
    context: DeviceContext
    share: Share | None = None  # of each batch, where several ranks train

    def __post_init__(self) -> None:
        self.statistics: list[Tensor] = []
        ranks, networks = self.context.ranks, self.networks
        if ranks.many:
            groups = groups_of(networks.discriminator)
            count = networks.generator.num_generators
            launch = ranks.env
            self.share = deal(self.recipe.batch_size, count, groups, launch.rank, launch.world)
            self.statistics = running_statistics(networks.generator, networks.discriminator)
            self.game.mean_over_ranks = ranks.mean

    def stream(self, *key: int | str) -> torch.Generator:
        """The stream of this key; with several ranks, dealt out to them."""
        if self.share is None:
            return torch_stream(self.seed, *key)
        return shared_stream(self.share.deals, self.seed, *key)

    def fakes(self, y: Tensor, rng: torch.Generator) -> Tensor:
        """(F, C, H, W) for the first F labels, F the most that all generators can share evenly."""
        generator = self.networks.generator
        noise = generator.noise
        count = len(y) // generator.num_generators * generator.num_generators
        with self.context.autocast():
            z = draw(rng, lambda shape, generator: noise(shape[0], generator), (count,))
            fake: Tensor = generator(self.context.put(z), y[:count])
        return fake

    def alternately(self, real: Tensor, y: Tensor, fake: Tensor, turn: int, rng: torch.Generator) -> Terms:
        """The discriminator learns; then, frozen, it judges the same fakes for the generator. All terms, detached.

        Source: Goodfellow 2014, algorithm 1, but for the fakes, which are not drawn anew.
        """
        discriminator = self.networks.discriminator
        terms = self.learn(real, y, fake.detach(), turn, rng)
        discriminator.requires_grad_(False)
        with self.context.autocast():
            g_terms = self.game.generator_terms(real, y, fake, turn, rng)
        self.descend((self.optimizer_g, g_terms))
        discriminator.requires_grad_(True)
        return {**terms, **_figures(g_terms)}

    def simultaneously(self, real: Tensor, y: Tensor, fake: Tensor, turn: int, rng: torch.Generator) -> Terms:
        """Both learn from the same scores, their gradients taken before either moves. All terms, detached.

        It saves a pass over the fakes. Source: Nowozin 2016 (f-GAN), algorithm 1, the single-step method; it is how
        the Keras tutorial's DCGAN trains.
        """
        with self.context.autocast():
            d_terms, g_terms = self.game.simultaneous_terms(real, y, fake, turn, rng)
        self.descend((self.optimizer_d, d_terms), (self.optimizer_g, g_terms))
        self.clip()
        return _figures({**d_terms, **g_terms})

    def learn(self, real: Tensor, y: Tensor, fake: Tensor, turn: int, rng: torch.Generator) -> Terms:
        """A turn of the discriminator alone with these images, `fake` detached; its terms, detached."""
        with self.context.autocast():
            terms = self.game.discriminator_terms(real, y, fake, turn, rng)
        self.descend((self.optimizer_d, terms))
        self.clip()
        return _figures(terms)

    def clip(self) -> None:
        """Bound the discriminator's weights, where the recipe does."""
        if self.recipe.clip:
            clip_weights(self.networks.discriminator.parameters(), self.recipe.clip)

    def descend(self, *players: tuple[torch.optim.Optimizer, Terms]) -> None:
        """A step of each down the sum of its terms, all gradients first. Terms of several ranks become their means.

        Each sum is differentiated in its own player's parameters only, through a graph that all may share.
        """
        for optimizer, terms in players:
            optimizer.zero_grad(set_to_none=True)
            loss, shared = torch.stack(list(terms.values())).sum(), terms is not players[-1][1]
            loss.backward(inputs=_parameters(optimizer), retain_graph=shared)
        if self.share is not None:
            self._unite(players)
        for optimizer, _ in players:
            optimizer.step()

    def _unite(self, players: Sequence[tuple[torch.optim.Optimizer, Terms]]) -> None:
        """Average over the ranks, in place, the gradients and the figures that each has found for its own images."""
        figures = [terms for _, terms in players]
        if players[0][0] is self.optimizer_d:
            figures.append(self.game.seen)  # of this turn of the discriminator
        numbers = torch.stack([value.detach() for several in figures for value in several.values()])
        parameters = [p for optimizer, _ in players for p in _parameters(optimizer)]
        gradients = [p.grad for p in parameters if p.grad is not None]
        self.context.ranks.average([*gradients, numbers])
        means = iter(numbers)
        for several in figures:
            several.update({name: next(means) for name in several})

    def align(self) -> None:
        """Average the running statistics over the ranks, which leaves all of them the same.

        They take part in no training step, so that once before each record is enough; and not while a backward pass is
        to come, which holds on to them.
        """
        if self.statistics:
            self.context.ranks.average(self.statistics)

    def extra_turn(self, batch: tuple[Tensor, Tensor], turn: int) -> Terms:
        """A turn of the discriminator alone, with images and fakes of its own."""
        real, y = batch
        rng = self.stream("extra turn", turn)
        seed_device(self.context.device, self.seed, "extra dropout", turn, *self.context.ranks.key)
        with torch.no_grad():
            fake = self.fakes(y, rng)
        return self.learn(real, y, fake, turn, rng)


def _figures(terms: Terms) -> Terms:
    """The terms without the graphs behind them, which would last until the next step."""
    return {name: value.detach() for name, value in terms.items()}


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
