"""Several processes that train one model: how they meet, share numbers, decide together and part.

Rank 0 leads: it alone reads and writes the run folder, logs and speaks. The others follow its word, which comes at
every step's end together with a wish to stop from anywhere, so that all ranks do the same and none waits for ever.
"""

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed
from torch.distributed.rendezvous import rendezvous

from gangda.errors import GangdaError, RunError, UsageError
from gangda.runtime.launch import ONE_PROCESS, DistributedEnv
from gangda.runtime.signals import EndedError

TIMEOUT = timedelta(minutes=30)  # a rank that is silent for longer is lost; looking at samples takes less
# The leader's words: go on; take the state that comes now; it is over, with exit code word - OVER.
GO, TAKE, OVER = 0, 1, 2


class LostRankError(RunError):
    """Another rank has died or cannot be reached."""


class RankOverError(GangdaError):
    """This rank's part is over, and another one has told what there is to tell: the message is empty."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("")
        self.exit_code = exit_code


@dataclass(frozen=True, eq=False)
class Ranks:
    """The processes that train together. Of one process alone every method is the plain thing, at no cost."""

    launch: DistributedEnv = ONE_PROCESS

    @property
    def many(self) -> bool:
        """Whether there is more than one."""
        return self.launch.world > 1

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0."""
        return self.launch.is_main

    @property
    def key(self) -> tuple[int, ...]:
        """Ends the names of streams that each rank has for itself; empty for rank 0."""
        return () if self.is_main else (self.launch.rank,)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Put the mean over the ranks in place of each float32 tensor; all of them travel in one message.

        Every rank must bring the same shapes in the same order, on the same kind of device, and gets the same bits.
        """
        if not self.many:
            return
        with torch.no_grad():
            flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
            with _in_touch():
                distributed.all_reduce(flat)
            flat.div_(self.launch.world)
            parts = flat.split([tensor.numel() for tensor in tensors])
            for tensor, part in zip(tensors, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def mean(self, tensor: Tensor) -> Tensor:
        """The mean of a float32 tensor over the ranks; has no gradient."""
        found = tensor.detach().clone()
        self.average([found])
        return found

    def sync_signal(self, signal: int = 0, word: int = GO) -> tuple[int, int]:
        """Say the last signal this rank has got, and, as the leader, a word; hear the largest of all."""
        if not self.many:
            return signal, word
        said = torch.tensor([signal, word])
        with _in_touch():
            distributed.all_reduce(said, distributed.ReduceOp.MAX)
        return int(said[0]), int(said[1])

    def broadcast(self, state: dict[str, Any] | None) -> dict[str, Any]:
        """The leader's plain dict of tensors and numbers, on the CPU; the followers give None."""
        buffer = io.BytesIO()
        if state is not None:
            torch.save(state, buffer)
        size = torch.tensor(len(buffer.getbuffer()))
        with _in_touch():
            distributed.broadcast(size, 0)
            data = (
                torch.frombuffer(buffer.getbuffer(), dtype=torch.uint8)
                if self.is_main
                else torch.empty(int(size), dtype=torch.uint8)
            )
            distributed.broadcast(data, 0)
        received = io.BytesIO(data.numpy().tobytes())
        found: dict[str, Any] = torch.load(received, weights_only=True, map_location="cpu")
        return found

    @contextlib.contextmanager
    def agreeing(self) -> Iterator[None]:
        """What is done inside succeeds on every rank or on none; the first of those that failed says why.

        Raises:
            GangdaError, EndedError: this rank's own error or signal, if it is the first.
            RankOverError: another rank has failed.
        """
        if not self.many:
            yield
            return
        failure: GangdaError | EndedError | None = None
        try:
            yield
        except (GangdaError, EndedError) as error:
            failure = error
        codes = torch.zeros(self.launch.world, dtype=torch.int64)
        codes[self.launch.rank] = failure.exit_code if failure else 0
        with _in_touch():
            distributed.all_reduce(codes)
        failed = codes.nonzero().flatten().tolist()
        if failure is not None and failed[0] == self.launch.rank:
            raise failure
        if failed:
            raise RankOverError(int(codes[failed[0]]))

    @contextlib.contextmanager
    def dismissing(self) -> Iterator[None]:
        """The leader's work, at whose end, however it comes, the followers hear that it is over.

        Inside they wait for a word or take part in a step. A signal does not end the work in mid-step, any other error
        may: they learn of that by losing touch.
        """
        try:
            yield
        except LostRankError:
            raise
        except (GangdaError, EndedError) as error:
            self.sync_signal(word=OVER + error.exit_code)
            raise
        self.sync_signal(word=OVER)


ALONE = Ranks()


@contextlib.contextmanager
def joined(launch: DistributedEnv, pick_device: Callable[[], torch.device]) -> Iterator[Ranks]:
    """Meet the other ranks, and part from them at the end. A process alone meets nobody.

    Gradients travel by NCCL between GPUs and by gloo between CPUs; words and states always by gloo, so that no GPU is
    waited for. The names under which ranks find each other carry the attempt: torchrun may hand the ranks that it has
    started anew the same store as before, with the addresses of the dead in it.

    Raises:
        LostRankError: the others cannot be reached.
        RunError: there is no device for this rank.
    """
    if launch.world == 1:
        yield ALONE
        return
    try:
        device = pick_device()
    except UsageError as error:  # perhaps of this machine alone
        raise RunError(str(error)) from None
    if device.type == "cuda":
        torch.cuda.set_device(device)
    with _in_touch():
        store, rank, world = next(rendezvous("env://", timeout=TIMEOUT))
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
            store=distributed.PrefixStore(f"attempt-{launch.attempt}", store),  # type: ignore[attr-defined]
            rank=rank,
            world_size=world,
            timeout=TIMEOUT,
        )
    try:
        yield Ranks(launch)
    except LostRankError:
        raise  # what is left of the group could only be waited for
    except BaseException:
        distributed.destroy_process_group()
        raise
    else:
        distributed.destroy_process_group()


@contextlib.contextmanager
def _in_touch() -> Iterator[None]:
    """Turn what torch says of a broken connection into one line.

    Raises:
        LostRankError: with what to do.
    """
    try:
        yield
    except RuntimeError as error:
        said = str(error).split("\n")[0][:160]
        raise LostRankError(
            f"another rank has died or cannot be reached ({said}); the last checkpoint is kept: run the same command "
            "again, or give torchrun --max-restarts 3"
        ) from error
