"""The training loop: a function over `TrainState` that yields a record per step. The caller logs, saves and stops.

Every random draw of step s comes from streams named (seed, purpose, s), and every epoch's order from (seed, "order",
epoch). A resumed run is therefore the uninterrupted run, bit for bit, with no generator state to save.

Several ranks (`Machine.ranks`) share a step's batch, as `share.py` deals it. Each draws for all and keeps what is its
own; before an optimiser moves, gradients and figures are averaged over the ranks, so that all stay the same network.
That is done here in one message, and not by wrapping networks in DistributedDataParallel: its hooks expect one backward
pass for each forward pass, where a penalty differentiates twice, the discriminator is frozen for half of the step, and
one pass of it serves several terms. What depends on the number of ranks is batch norm in
training, which sees a rank's own images, and the noise of dropout.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from gangda import catalog
from gangda.configs import Recipe
from gangda.moves import course
from gangda.moves.arena import Terms
from gangda.moves.game import Game
from gangda.moves.resident import ResidentImages, batches
from gangda.moves.share import Share, deal, groups_of, running_statistics
from gangda.objectives.gradient import clip_weights
from gangda.runtime.device import Machine
from gangda.runtime.seeding import draw, seed_device, shared_stream, torch_stream
from gangda.specs import ArchSpec
from gangda.zoo.base import Generator, Networks, set_strength


@dataclass(eq=False)
class TrainState:
    """Everything that changes while training.

    `dump` gives one plain dict of tensors and numbers that loads with `weights_only=True`.
    """

    networks: Networks
    ema: Generator
    optimiser_g: torch.optim.Optimizer
    optimiser_d: torch.optim.Optimizer
    step: int = 0
    pretrained: int = 0  # turns of the discriminator's pre-training done, which come before step 1
    memory: dict[str, Tensor] = field(default_factory=dict)  # the game's, such as moving averages of scores

    def dump(self) -> dict[str, Any]:
        """All state, by reference."""
        return {
            "step": self.step,
            "pretrained": self.pretrained,
            "generator": self.networks.generator.state_dict(),
            "discriminator": self.networks.discriminator.state_dict(),
            "ema": self.ema.state_dict(),
            "optimiser_g": self.optimiser_g.state_dict(),
            "optimiser_d": self.optimiser_d.state_dict(),
            "memory": dict(self.memory),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave."""
        self.networks.generator.load_state_dict(state["generator"])
        self.networks.discriminator.load_state_dict(state["discriminator"])
        self.ema.load_state_dict(state["ema"])
        self.optimiser_g.load_state_dict(state["optimiser_g"])
        self.optimiser_d.load_state_dict(state["optimiser_d"])
        self.step, self.pretrained = int(state["step"]), int(state["pretrained"])
        self.memory.clear()
        self.memory.update(state["memory"])


@dataclass(frozen=True)
class StepRecord:
    """What one step did: its number, the named loss terms, and images seen so far.

    Steps are numbered from 1; each turn of the discriminator's pre-training is a record of step 0.
    """

    step: int
    terms: Terms
    images: int

    def numbers(self) -> dict[str, float]:
        """The terms as plain numbers (waits for the device)."""
        return {name: float(value) for name, value in self.terms.items()}


def new_state(networks: Networks, recipe: Recipe, machine: Machine) -> TrainState:
    """Networks on the device in the fast layout, their optimisers, and the average's first copy."""
    layout = torch.channels_last if machine.channels_last else torch.contiguous_format
    for module in (networks.generator, networks.discriminator):
        module.to(machine.device, memory_format=layout)  # type: ignore[call-overload]
    ema = _average_of(networks.generator, recipe)
    optimiser_g = _adam(networks.generator, recipe.lr, recipe)
    optimiser_d = _adam(networks.discriminator, course.d_lr(recipe), recipe)
    return TrainState(networks, ema, optimiser_g, optimiser_d)


def _average_of(generator: Generator, recipe: Recipe) -> Generator:
    """What the weight average begins with: a copy. Without an average, a view, so that no step need copy anything."""
    average = copy.deepcopy(generator).requires_grad_(False).eval()
    if not recipe.ema:
        own, live = ([*net.parameters(), *net.buffers()] for net in (average, generator))
        for mine, theirs in zip(own, live, strict=True):
            if theirs.is_floating_point():
                mine.data = theirs.data
    return average


def _adam(module: nn.Module, lr: float, recipe: Recipe) -> torch.optim.Optimizer:
    parameters = [p for p in module.parameters() if p.requires_grad]
    fused = all(p.device.type in ("cpu", "cuda") for p in parameters)  # elsewhere not in every torch
    return torch.optim.Adam(parameters, lr=lr, betas=(recipe.beta1, recipe.beta2), fused=fused)


def make_game(spec: ArchSpec, networks: Networks, recipe: Recipe) -> Game:
    """The game that the architecture plays."""
    game: Game = catalog.builder("game", catalog.GAMES, spec.game)(networks, recipe)
    return game


def steps(
    state: TrainState,
    game: Game,
    images: ResidentImages,
    recipe: Recipe,
    machine: Machine,
    horizon: int | None = None,
) -> Iterator[StepRecord]:
    """Train for ever, one record per step; the caller breaks off. `horizon`: steps of the run, for the cosine.

    First come the turns of the discriminator's pre-training, each a record of step 0. A step: the discriminator's
    extra turns, if any; then one batch of fakes serves both players: the discriminator learns from real and detached
    fakes, and, frozen, it judges the same fakes for the generator (Goodfellow 2014, algorithm 1).
    """
    generator, discriminator = state.networks.generator.train(), state.networks.discriminator.train()
    averaged, live = float_tensors(state.ema), float_tensors(generator)
    game.memory = state.memory
    play = _Play(state, game, images.seed, recipe, machine)
    batch = batches(images, recipe, play.share)
    while True:
        _set_out(state, game, recipe, horizon)
        if not state.step and state.pretrained < recipe.d_pretrain:
            terms = play.extra_turn(batch(state.pretrained), state.pretrained)
            play.align()
            state.pretrained += 1
            yield _record(state, {**terms, **game.seen}, state.pretrained * recipe.batch_size)
            continue
        last = course.turns_before(recipe, state.step + 1) - 1
        terms = {}
        for turn in range(course.turns_before(recipe, state.step), last):
            terms.update(play.extra_turn(batch(turn), turn))
        rng = play.stream("step", state.step)
        seed_device(machine.device, images.seed, "dropout", state.step, *machine.ranks.key)
        real, y = batch(last)
        fake = play.fakes(y, rng)
        terms.update(play.learn(real, y, fake.detach(), last, rng))
        discriminator.requires_grad_(False)
        with machine.autocast():
            g_terms = game.generator_terms(real, y, fake, last, rng)
        play.descend(state.optimiser_g, g_terms)
        play.align()
        discriminator.requires_grad_(True)
        state.step += 1
        if recipe.ema:
            with torch.no_grad():
                torch._foreach_lerp_(averaged, live, 1 - course.ema_decay(recipe, state.step))
        yield _record(state, {**terms, **g_terms, **game.seen}, (last + 1) * recipe.batch_size)


def _record(state: TrainState, terms: Terms, images: int) -> StepRecord:
    return StepRecord(state.step, {name: value.detach() for name, value in terms.items()}, images)


@dataclass(eq=False)
class _Play:
    """The discriminator's turns, and what all ranks do together."""

    state: TrainState
    game: Game
    seed: int
    recipe: Recipe
    machine: Machine
    share: Share | None = None  # of each batch, where several ranks train

    def __post_init__(self) -> None:
        self.statistics: list[Tensor] = []
        ranks, networks = self.machine.ranks, self.state.networks
        if ranks.many:
            groups = groups_of(networks.discriminator)
            count = networks.generator.num_generators
            launch = ranks.launch
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
        generator = self.state.networks.generator
        noise = generator.noise
        count = len(y) // generator.num_generators * generator.num_generators
        with self.machine.autocast():
            z = draw(rng, lambda shape, generator: noise(shape[0], generator), (count,))
            fake: Tensor = generator(self.machine.put(z), y[:count])
        return fake

    def learn(self, real: Tensor, y: Tensor, fake: Tensor, turn: int, rng: torch.Generator) -> Terms:
        """A turn with these images, `fake` detached; its terms, detached."""
        with self.machine.autocast():
            terms = self.game.discriminator_terms(real, y, fake, turn, rng)
        self.descend(self.state.optimiser_d, terms, self.game.seen)
        if self.recipe.clip:
            clip_weights(self.state.networks.discriminator.parameters(), self.recipe.clip)
        return {name: value.detach() for name, value in terms.items()}

    def descend(self, optimiser: torch.optim.Optimizer, terms: Terms, seen: Terms | None = None) -> None:
        """A step down the sum of the terms. Over several ranks; `terms` and `seen` are then the means over them."""
        optimiser.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        if self.share is not None:
            self._unite(optimiser, terms, {} if seen is None else seen)
        optimiser.step()

    def _unite(self, optimiser: torch.optim.Optimizer, *figures: Terms) -> None:
        """Average over the ranks, in place, the gradients and the figures that each has found for its own images."""
        numbers = torch.stack([value.detach() for several in figures for value in several.values()])
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        gradients = [p.grad for p in parameters if p.grad is not None]
        self.machine.ranks.average([*gradients, numbers])
        means = iter(numbers)
        for several in figures:
            several.update({name: next(means) for name in several})

    def align(self) -> None:
        """Average the running statistics over the ranks, which leaves all of them the same.

        They take part in no training step, so that once before each record is enough; and not while a backward pass is
        to come, which holds on to them.
        """
        if self.statistics:
            self.machine.ranks.average(self.statistics)

    def extra_turn(self, batch: tuple[Tensor, Tensor], turn: int) -> Terms:
        """A turn of the discriminator alone, with images and fakes of its own."""
        real, y = batch
        rng = self.stream("extra turn", turn)
        seed_device(self.machine.device, self.seed, "extra dropout", turn, *self.machine.ranks.key)
        with torch.no_grad():
            fake = self.fakes(y, rng)
        return self.learn(real, y, fake, turn, rng)


def _set_out(state: TrainState, game: Game, recipe: Recipe, horizon: int | None) -> None:
    """Bring what changes in the course of training to where it is at this step."""
    if recipe.lr_schedule != "constant":
        rates = course.learning_rates(recipe, state.step, horizon)
        for optimiser, lr in zip((state.optimiser_g, state.optimiser_d), rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = lr
    if recipe.transition:
        game.strength = course.strength(recipe, state.step)
        for network in (state.networks.generator, state.networks.discriminator, state.ema):
            set_strength(network, game.strength)


def float_tensors(module: nn.Module) -> list[Tensor]:
    """Weights and running statistics, sharing memory with the module: what the weight average covers."""
    return [tensor for tensor in module.state_dict().values() if tensor.is_floating_point()]
