"""The training loop: a function over `TrainState` that yields a record per step. The caller logs, saves and stops.

Every random draw of step s comes from streams named (seed, purpose, s), and every epoch's order from (seed, "order",
epoch). A resumed run is therefore the uninterrupted run, bit for bit, with no generator state to save.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from gangda.config import catalog
from gangda.config.architectures import ArchSpec
from gangda.config.schema import Recipe
from gangda.runtime.device import DeviceContext
from gangda.runtime.seeding import seed_device
from gangda.training import schedules
from gangda.training.adversarial.method import Game
from gangda.training.adversarial.scoring import Terms
from gangda.training.adversarial.steps import Play
from gangda.training.image_batches import ResidentImages, batches
from gangda.zoo.base import Generator, Networks, set_strength


@dataclass(eq=False)
class TrainState:
    """Everything that changes while training.

    `dump` gives one plain dict of tensors and numbers that loads with `weights_only=True`.
    """

    networks: Networks
    ema: Generator
    optimizer_g: torch.optim.Optimizer
    optimizer_d: torch.optim.Optimizer
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
            "optimizer_g": self.optimizer_g.state_dict(),
            "optimizer_d": self.optimizer_d.state_dict(),
            "memory": dict(self.memory),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave."""
        self.networks.generator.load_state_dict(state["generator"])
        self.networks.discriminator.load_state_dict(state["discriminator"])
        self.ema.load_state_dict(state["ema"])
        self.optimizer_g.load_state_dict(state["optimizer_g"])
        self.optimizer_d.load_state_dict(state["optimizer_d"])
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


def new_state(networks: Networks, recipe: Recipe, context: DeviceContext) -> TrainState:
    """Networks on the device in the fast layout, their optimizers, and the average's first copy."""
    layout = torch.channels_last if context.channels_last else torch.contiguous_format
    for module in (networks.generator, networks.discriminator):
        module.to(context.device, memory_format=layout)  # type: ignore[call-overload]
    ema = _average_of(networks.generator, recipe)
    optimizer_g = _adam(networks.generator, recipe.lr, recipe)
    optimizer_d = _adam(networks.discriminator, schedules.d_lr(recipe), recipe)
    return TrainState(networks, ema, optimizer_g, optimizer_d)


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
    context: DeviceContext,
    total_steps: int | None = None,
) -> Iterator[StepRecord]:
    """Train for ever, one record per step; the caller breaks off. `horizon`: steps of the run, for the cosine.

    First come the turns of the discriminator's pre-training, each a record of step 0. A step: the discriminator's
    extra turns, if any; then one batch of fakes serves both players, `alternately` or `simultaneously`.
    """
    generator = state.networks.generator.train()
    state.networks.discriminator.train()
    averaged, live = float_tensors(state.ema), float_tensors(generator)
    game.memory = state.memory
    play = Play(state.networks, state.optimizer_g, state.optimizer_d, game, images.seed, recipe, context)
    both_learn = play.simultaneously if recipe.simultaneous else play.alternately
    batch = batches(images, recipe, play.share)
    while True:
        _set_out(state, game, recipe, total_steps)
        if not state.step and state.pretrained < recipe.d_pretrain:
            terms = play.extra_turn(batch(state.pretrained), state.pretrained)
            play.align()
            state.pretrained += 1
            yield StepRecord(state.step, {**terms, **game.seen}, state.pretrained * recipe.batch_size)
            continue
        last = schedules.turns_before(recipe, state.step + 1) - 1
        terms = {}
        for turn in range(schedules.turns_before(recipe, state.step), last):
            terms.update(play.extra_turn(batch(turn), turn))
        rng = play.stream("step", state.step)
        seed_device(context.device, images.seed, "dropout", state.step, *context.ranks.key)
        real, y = batch(last)
        terms.update(both_learn(real, y, play.fakes(y, rng), last, rng))
        play.align()
        state.step += 1
        if recipe.ema:
            with torch.no_grad():
                torch._foreach_lerp_(averaged, live, 1 - schedules.ema_decay(recipe, state.step))
        yield StepRecord(state.step, {**terms, **game.seen}, (last + 1) * recipe.batch_size)


def _set_out(state: TrainState, game: Game, recipe: Recipe, total_steps: int | None) -> None:
    """Bring what changes in the course of training to where it is at this step."""
    if recipe.lr_schedule != "constant":
        rates = schedules.learning_rates(recipe, state.step, total_steps)
        for optimizer, lr in zip((state.optimizer_g, state.optimizer_d), rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = lr
    if recipe.conditioning_warmup:
        game.strength = schedules.strength(recipe, state.step)
        for network in (state.networks.generator, state.networks.discriminator, state.ema):
            set_strength(network, game.strength)


def float_tensors(module: nn.Module) -> list[Tensor]:
    """Weights and running statistics, sharing memory with the module: what the weight average covers."""
    return [tensor for tensor in module.state_dict().values() if tensor.is_floating_point()]
