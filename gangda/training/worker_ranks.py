"""What a rank does that does not lead: the same steps on its own images, at the leader's word."""

from dataclasses import dataclass
from typing import NoReturn

from gangda.config.schema import TrainConfig
from gangda.data.images import LabelledImages
from gangda.runtime.device import DeviceContext
from gangda.runtime.distributed import GO, OVER, TAKE, RankOverError
from gangda.runtime.signals import StopRequest, stop_request
from gangda.training.budget import make_schedule
from gangda.training.checkpoints import fresh_state
from gangda.training.image_batches import ResidentImages
from gangda.training.loop import TrainState, make_game, steps


def hand_over(state: TrainState, seed: int, context: DeviceContext) -> None:
    """As the leader: have all ranks go on from this state, with streams of this seed."""
    if context.ranks.many:
        context.ranks.sync_signal(word=TAKE)
        context.ranks.broadcast({**state.dump(), "stream_seed": seed})


@dataclass(frozen=True, eq=False)
class WorkerRank:
    """One rank's work from the first word to the last. It keeps nothing and decides nothing.

    A signal that comes to this rank alone is passed on: the leader stops all of them.
    """

    config: TrainConfig
    images: LabelledImages
    context: DeviceContext

    def follow(self) -> NoReturn:
        """Work until it is over.

        Raises:
            RankOverError: always, at the end, with the leader's exit code.
            LostRankError: another rank is gone.
        """
        with stop_request(patient=True) as stop:
            word = self._listen(stop)
            while word == TAKE:
                word = self._train(stop)
            # Inside the request: at its end a signal to this rank would speak instead of the leader.
            raise RankOverError(word - OVER)

    def _train(self, stop: StopRequest) -> int:
        """Take the leader's state and step along; the word that ends it."""
        config, context = self.config, self.context
        taken = context.ranks.broadcast(None)
        state = fresh_state(config, self.images, context)
        state.load(taken)
        game = make_game(config.spec, state.networks, config.recipe)
        resident = ResidentImages(self.images, int(taken["stream_seed"]), context)
        total_steps = make_schedule(config, len(self.images)).wanted
        loop = steps(state, game, resident, config.recipe, context, total_steps)
        word = GO
        while word == GO:
            next(loop)
            word = self._listen(stop)
        return word

    def _listen(self, stop: StopRequest) -> int:
        return self.context.ranks.sync_signal(signal=stop.signal or 0)[1]
