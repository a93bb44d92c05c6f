"""Whether this process was started alone or by torchrun as one of several. Imports no torch: --help needs it too."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

from gangda.errors import UsageError

NAMES = {"rank": "RANK", "world": "WORLD_SIZE", "local_rank": "LOCAL_RANK", "local_world": "LOCAL_WORLD_SIZE"}


@dataclass(frozen=True)
class DistributedEnv:
    """Rank of this process in a `world`; `local_...`: on this machine; `attempt`: restarts by torchrun so far."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1
    attempt: int = 0

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes and prints."""
        return self.rank == 0


ONE_PROCESS = DistributedEnv()


def worker_rank(environ: Mapping[str, str]) -> int:
    """The rank of a worker process; 0 for the main process, a single process, and an invalid environment."""
    with contextlib.suppress(UsageError):
        return distributed_env(environ).rank
    return 0


def distributed_env(environ: Mapping[str, str]) -> DistributedEnv:
    """What torchrun has put into the environment; without it, a single process.

    Raises UsageError: WORLD_SIZE means several processes, but the rest is missing or makes no sense.
    """
    size = environ.get("WORLD_SIZE", "1")
    if size == "1":
        return ONE_PROCESS
    cure = f"but WORLD_SIZE is {size!r}; start with torchrun, or unset WORLD_SIZE"
    given = {field: environ.get(name, "") for field, name in NAMES.items()}
    wrong = [NAMES[field] for field, value in given.items() if not value.isdecimal()]
    if wrong:
        raise UsageError(f"{', '.join(wrong)}: not set to a number, {cure}")
    port, attempt = environ.get("MASTER_PORT", ""), environ.get("TORCHELASTIC_RESTART_COUNT", "")
    wrong = [] if environ.get("MASTER_ADDR") else ["MASTER_ADDR: not set"]
    if not port.isdecimal() or not 1 <= int(port) <= 65535:
        wrong.append(f"MASTER_PORT: {port!r} is no port")
    if wrong:
        raise UsageError(f"{'; '.join(wrong)}, {cure}")
    numbers = {field: int(value) for field, value in given.items()}
    env = DistributedEnv(**numbers, attempt=int(attempt) if attempt.isdecimal() else 0)
    if env.rank >= env.world or env.local_rank >= env.local_world:
        what = f"RANK {env.rank} of WORLD_SIZE {env.world}, LOCAL_RANK {env.local_rank} of {env.local_world}"
        raise UsageError(f"{what}: there are no such processes; start with torchrun")
    return env
