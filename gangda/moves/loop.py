"""The training loop: a function over `TrainState` that yields a record per step. The caller logs, saves and stops.

Every random draw of step s comes from streams named (seed, purpose, s), and every epoch's order from (seed, "order",
epoch). A resumed run is therefore the uninterrupted run, bit for bit, with no generator state to save.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from gangda import catalog
from gangda.configs import Recipe
from gangda.data.images import LabelledImages
from gangda.moves import course
from gangda.moves.arena import Terms
from gangda.moves.curriculum import Curriculum
from gangda.moves.draw import to_float
from gangda.moves.game import Game
from gangda.objectives.gradient import clip_weights
from gangda.runtime.device import Machine
from gangda.runtime.seeding import seed_device, torch_stream
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
    ema = copy.deepcopy(networks.generator).requires_grad_(False).eval()
    optimiser_g = _adam(networks.generator, recipe.lr, recipe)
    optimiser_d = _adam(networks.discriminator, course.d_lr(recipe), recipe)
    return TrainState(networks, ema, optimiser_g, optimiser_d)


def _adam(module: nn.Module, lr: float, recipe: Recipe) -> torch.optim.Optimizer:
    parameters = [p for p in module.parameters() if p.requires_grad]
    return torch.optim.Adam(parameters, lr=lr, betas=(recipe.beta1, recipe.beta2), fused=True)


def make_game(spec: ArchSpec, networks: Networks, recipe: Recipe) -> Game:
    """The game that the architecture plays."""
    game: Game = catalog.builder("game", catalog.GAMES, spec.game)(networks, recipe)
    return game


class ResidentImages:
    """The whole uint8 set on the device, handed out in shuffled batches; the order depends on (seed, epoch) only."""

    def __init__(self, images: LabelledImages, seed: int, machine: Machine) -> None:
        self.pixels = torch.tensor(images.pixels).permute(0, 3, 1, 2).to(machine.device)
        self.labels = torch.tensor(images.labels).to(machine.device)
        self.seed, self.epoch, self.order = seed, -1, torch.empty(0, dtype=torch.int64)

    def batch(self, step: int, size: int) -> tuple[Tensor, Tensor]:
        """Batch of step 0, 1, ...: float32 (size, C, H, W) in [-1, 1] and int64 (size,). Epochs run into each other."""
        start = step * size
        rows = torch.cat(list(self._rows(start, start + size)))
        return self.take(rows)

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """These rows as a batch."""
        return to_float(self.pixels[rows]), self.labels[rows]

    def _rows(self, start: int, stop: int) -> Iterator[Tensor]:
        count = len(self.labels)
        while start < stop:
            epoch, offset = divmod(start, count)
            if epoch != self.epoch:
                rng = torch_stream(self.seed, "order", epoch)
                self.epoch, self.order = epoch, torch.randperm(count, generator=rng).to(self.labels.device)
            taken = min(stop - start, count - offset)
            yield self.order[offset : offset + taken]
            start += taken


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
    batch = _batches(images, recipe)
    while True:
        _set_out(state, game, recipe, horizon)
        if not state.step and state.pretrained < recipe.d_pretrain:
            terms = play.extra_turn(batch(state.pretrained), state.pretrained)
            state.pretrained += 1
            yield _record(state, {**terms, **game.seen}, state.pretrained * recipe.batch_size)
            continue
        last = course.turns_before(recipe, state.step + 1) - 1
        terms = {}
        for turn in range(course.turns_before(recipe, state.step), last):
            terms.update(play.extra_turn(batch(turn), turn))
        rng = torch_stream(images.seed, "step", state.step)
        seed_device(machine.device, images.seed, "dropout", state.step)
        real, y = batch(last)
        fake = play.fakes(y, rng)
        terms.update(play.learn(real, y, fake.detach(), last, rng))
        discriminator.requires_grad_(False)
        with machine.autocast():
            g_terms = game.generator_terms(real, y, fake, last, rng)
        _descend(state.optimiser_g, g_terms)
        discriminator.requires_grad_(True)
        state.step += 1
        with torch.no_grad():
            torch._foreach_lerp_(averaged, live, 1 - course.ema_decay(recipe, state.step))
        yield _record(state, {**terms, **g_terms, **game.seen}, (last + 1) * recipe.batch_size)


def _record(state: TrainState, terms: Terms, images: int) -> StepRecord:
    return StepRecord(state.step, {name: value.detach() for name, value in terms.items()}, images)


@dataclass(frozen=True, eq=False)
class _Play:
    """The discriminator's turns."""

    state: TrainState
    game: Game
    seed: int
    recipe: Recipe
    machine: Machine

    def fakes(self, y: Tensor, rng: torch.Generator) -> Tensor:
        """(F, C, H, W) for the first F labels, F the most that all generators can share evenly."""
        generator = self.state.networks.generator
        count = len(y) // generator.num_generators * generator.num_generators
        with self.machine.autocast():
            fake: Tensor = generator(generator.noise(count, rng).to(self.machine.device), y[:count])
        return fake

    def learn(self, real: Tensor, y: Tensor, fake: Tensor, turn: int, rng: torch.Generator) -> Terms:
        """A turn with these images, `fake` detached; its terms, detached."""
        with self.machine.autocast():
            terms = self.game.discriminator_terms(real, y, fake, turn, rng)
        _descend(self.state.optimiser_d, terms)
        if self.recipe.clip:
            clip_weights(self.state.networks.discriminator.parameters(), self.recipe.clip)
        return {name: value.detach() for name, value in terms.items()}

    def extra_turn(self, batch: tuple[Tensor, Tensor], turn: int) -> Terms:
        """A turn of the discriminator alone, with images and fakes of its own."""
        real, y = batch
        rng = torch_stream(self.seed, "extra turn", turn)
        seed_device(self.machine.device, self.seed, "extra dropout", turn)
        with torch.no_grad():
            fake = self.fakes(y, rng)
        return self.learn(real, y, fake, turn, rng)


def _batches(images: ResidentImages, recipe: Recipe) -> Callable[[int], tuple[Tensor, Tensor]]:
    """Batch of the discriminator's turn 0, 1, ...: epoch by epoch, or by the curriculum while it lasts."""
    if not recipe.curriculum:
        return lambda turn: images.batch(turn, recipe.batch_size)
    turns = course.turns_before(recipe, recipe.curriculum)
    # Ranked on the CPU: its doubles and decompositions are not to be had on every device.
    easy = Curriculum(images.pixels.cpu(), images.labels.cpu(), images.seed, turns)

    def batch(turn: int) -> tuple[Tensor, Tensor]:
        if turn < turns:
            return images.take(easy.rows(turn, recipe.batch_size).to(images.labels.device))
        return images.batch(turn, recipe.batch_size)

    return batch


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


def _descend(optimiser: torch.optim.Optimizer, terms: Terms) -> None:
    optimiser.zero_grad(set_to_none=True)
    torch.stack(list(terms.values())).sum().backward()
    optimiser.step()


def float_tensors(module: nn.Module) -> list[Tensor]:
    """Weights and running statistics, sharing memory with the module: what the weight average covers."""
    return [tensor for tensor in module.state_dict().values() if tensor.is_floating_point()]
