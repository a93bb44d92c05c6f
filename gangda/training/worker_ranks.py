"""What is the same on every rank (the training loop), and the loop of the ranks other than 0."""

from collections.abc import Iterator
from typing import NoReturn

from gangda.config.schema import TrainConfig
from gangda.data.images import LabelledImages
from gangda.runtime.device import DeviceContext
from gangda.runtime.distributed import EXIT, LOAD_STATE, WorkerExitError
from gangda.runtime.signals import stop_request
from gangda.training.budget import step_budget
from gangda.training.image_batches import ResidentImages, batches
from gangda.training.loop import StepRecord, training_loop
from gangda.training.method import Method, make_method
from gangda.training.state import TrainState, new_state


def training_steps(method: Method, state: TrainState, stream_seed: int) -> Iterator[StepRecord]:
    """The training loop from `state` on, with random streams of `stream_seed`."""
    config, images = method.config, method.images
    method.streams.seed = stream_seed
    batch = batches(ResidentImages(images, stream_seed, method.context), config, method.share)
    return training_loop(state, method, batch, step_budget(config, len(images)).total_steps)


def run_worker(config: TrainConfig, images: LabelledImages, context: DeviceContext) -> NoReturn:
    """Take over the state that rank 0 sends, and train along with it until it ends the run.

    A signal to this rank alone is passed on to rank 0, which stops all ranks.
    Raises WorkerExitError: always, at the end, with rank 0's exit code; LostRankError: another rank is gone.
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
                method = make_method(config, images, context)
                state = new_state(method)
                state.load(received["state"])
                loop = training_steps(method, state, int(received["stream_seed"]))
            next(loop)
