"""What is the same on every rank (first state, training loop), and the loop of the ranks other than 0."""

from collections.abc import Iterator
from typing import NoReturn

import torch

from gangda.config.schema import TrainConfig
from gangda.data.images import LabelledImages
from gangda.runtime.device import DeviceContext
from gangda.runtime.distributed import EXIT, LOAD_STATE, WorkerExitError
from gangda.runtime.seeding import seed_device
from gangda.runtime.signals import stop_request
from gangda.training.budget import step_budget
from gangda.training.image_batches import ResidentImages
from gangda.training.loop import StepRecord, TrainState, make_game, new_state, steps
from gangda.training.saved_model import build_networks


def fresh_state(config: TrainConfig, images: LabelledImages, context: DeviceContext) -> TrainState:
    """The state before the first step; the same configuration and images give the same weights."""
    seed_device(torch.device("cpu"), config.runtime.seed, "networks")
    networks = build_networks(config.arch, config.spec, images.image_shape, images.num_classes)
    return new_state(networks, config.recipe, context)


def training_steps(
    config: TrainConfig, images: LabelledImages, state: TrainState, stream_seed: int, context: DeviceContext
) -> Iterator[StepRecord]:
    """The training loop from `state` on, with random streams of `stream_seed`."""
    game = make_game(config.spec, state.networks, config.recipe)
    resident = ResidentImages(images, stream_seed, context)
    total_steps = step_budget(config, len(images)).total_steps
    return steps(state, game, resident, config.recipe, context, total_steps)


def run_worker(config: TrainConfig, images: LabelledImages, context: DeviceContext) -> NoReturn:
    """Take over the state that rank 0 sends, and train along with it until it ends the run.

    Nothing is saved or decided here. A signal to this rank alone is passed on to rank 0, which stops all ranks.

    Raises:
        WorkerExitError: always, at the end, with rank 0's exit code.
        LostRankError: another rank is gone.
    """
    ranks = context.ranks
    with stop_request(patient=True) as stop:
        while True:
            word = ranks.sync_signal(signal=stop.signal or 0)[1]
            if word >= EXIT:
                # Raised inside the request: at its end a signal to this rank would be reported in place of rank 0's.
                raise WorkerExitError(word - EXIT)
            if word == LOAD_STATE:
                received = ranks.broadcast(None)
                state = fresh_state(config, images, context)
                state.load(received["state"])
                loop = training_steps(config, images, state, int(received["stream_seed"]), context)
            next(loop)
