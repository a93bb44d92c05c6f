"""Several processes ("ranks") that train one model: how they connect, average, decide together and end.

Rank 0 is the main rank: it alone reads and writes the run folder, logs and prints. The others, the worker ranks, obey
its commands, which are exchanged at the end of every step together with signals: all ranks do the same, and none waits
for ever.
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

TIMEOUT = timedelta(minutes=30)  # a rank that is silent for longer is lost; evaluating samples takes less
# Commands of the main rank: continue; load the state that follows; exit, with exit code command - EXIT.
CONTINUE, LOAD_STATE, EXIT = 0, 1, 2


class LostRankError(RunError):
    """Another rank has died or cannot be reached."""


class WorkerExitError(GangdaError):
    """This rank ends because another one has ended and reported why: the message is empty."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("")
        self.exit_code = exit_code


@dataclass(frozen=True, eq=False)
class Ranks:
    """The processes that train together. For a single process every method does nothing, or the plain operation."""

    env: DistributedEnv = ONE_PROCESS

    @property
    def many(self) -> bool:
        """Whether there is more than one."""
        return self.env.world > 1

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0."""
        return self.env.is_main

    @property
    def key(self) -> tuple[int, ...]:
        """Ends the names of random streams that each rank has for itself; empty for rank 0."""
        return () if self.is_main else (self.env.rank,)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each float32 tensor by its mean over the ranks; all of them are sent in one message.

        Every rank must give the same shapes in the same order, on the same kind of device, and gets the same bits.
        """
        if not self.many:
            return
        with torch.no_grad():
            flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
            with _connection():
                distributed.all_reduce(flat)
            flat.div_(self.env.world)
            parts = flat.split([tensor.numel() for tensor in tensors])
            for tensor, part in zip(tensors, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def mean(self, tensor: Tensor) -> Tensor:
        """The mean of a float32 tensor over the ranks, without gradient."""
        found = tensor.detach().clone()
        self.average([found])
        return found

    def sync_signal(self, signal: int = 0, command: int = CONTINUE) -> tuple[int, int]:
        """Exchange the last signal of each rank and the main rank's command: the largest of each, on every rank."""
        if not self.many:
            return signal, command
        largest = torch.tensor([signal, command])
        with _connection():
            distributed.all_reduce(largest, distributed.ReduceOp.MAX)
        return int(largest[0]), int(largest[1])

    def broadcast(self, state: dict[str, Any] | None) -> dict[str, Any]:
        """The main rank's plain dict of tensors and numbers, on the CPU; workers give None."""
        buffer = io.BytesIO()
        if state is not None:
            torch.save(state, buffer)
        size = torch.tensor(len(buffer.getbuffer()))
        with _connection():
            distributed.broadcast(size, 0)
            data = torch.empty(int(size), dtype=torch.uint8)
            if self.is_main:
                data = torch.frombuffer(buffer.getbuffer(), dtype=torch.uint8)
            distributed.broadcast(data, 0)
        received = io.BytesIO(data.numpy().tobytes())
        found: dict[str, Any] = torch.load(received, weights_only=True, map_location="cpu")
        return found

    @contextlib.contextmanager
    def all_or_none(self) -> Iterator[None]:
        """The block inside succeeds on every rank or on none: the first that failed raises its error or signal.

        The others raise WorkerExitError.
        """
        if not self.many:
            yield
            return
        failure: GangdaError | EndedError | None = None
        try:
            yield
        except (GangdaError, EndedError) as error:
            failure = error
        codes = torch.zeros(self.env.world, dtype=torch.int64)
        codes[self.env.rank] = failure.exit_code if failure else 0
        with _connection():
            distributed.all_reduce(codes)
        failed = codes.nonzero().flatten().tolist()
        if failure is not None and failed[0] == self.env.rank:
            raise failure
        if failed:
            raise WorkerExitError(int(codes[failed[0]]))

    @contextlib.contextmanager
    def ending_workers(self) -> Iterator[None]:
        """The main rank's work. When it ends, with or without an error, the workers are told to exit.

        Meanwhile they wait for a command or take part in a step. A signal does not end the work within a step; another
        error may, and the workers then lose the connection.
        """
        try:
            yield
        except LostRankError:
            raise
        except (GangdaError, EndedError) as error:
            self.sync_signal(command=EXIT + error.exit_code)
            raise
        self.sync_signal(command=EXIT)


ALONE = Ranks()


@contextlib.contextmanager
def process_group(env: DistributedEnv, pick_device: Callable[[], torch.device]) -> Iterator[Ranks]:
    """Connect to the other ranks, and disconnect at the end. A single process has nothing to connect to.

    Gradients are sent by NCCL between GPUs and by gloo between CPUs; commands and states always by gloo, so that no GPU
    is waited for. The store's prefix holds the attempt: torchrun may give restarted ranks the store of the attempt
    before, with the addresses of dead processes in it.

    Raises RunError: there is no device for this rank; LostRankError: the others cannot be reached.
    """
    if env.world == 1:
        yield ALONE
        return
    try:
        device = pick_device()
    except UsageError as error:  # perhaps on this machine only
        raise RunError(str(error)) from None
    if device.type == "cuda":
        torch.cuda.set_device(device)
    with _connection():
        store, rank, world = next(rendezvous("env://", timeout=TIMEOUT))
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
            store=distributed.PrefixStore(f"attempt-{env.attempt}", store),  # type: ignore[attr-defined]
            rank=rank,
            world_size=world,
            timeout=TIMEOUT,
        )
    lost = False
    try:
        yield Ranks(env)
    except LostRankError:
        lost = True
        raise
    finally:
        if not lost:  # destroying what is left of the group could wait for ever
            distributed.destroy_process_group()


@contextlib.contextmanager
def _connection() -> Iterator[None]:
    """Turn torch's errors of a broken connection into one line."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).split("\n")[0][:160]
        raise LostRankError(
            f"another rank has died or cannot be reached ({reason}); the last checkpoint is kept: run the same command "
            "again, or give torchrun --max-restarts 3"
        ) from error
