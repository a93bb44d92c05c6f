"""How this process was started: alone, or by torchrun as one of several. Knows no torch, since --help asks as well."""

from collections.abc import Mapping
from dataclasses import dataclass

from gangda.errors import UsageError

NAMES = {"rank": "RANK", "world": "WORLD_SIZE", "local_rank": "LOCAL_RANK", "local_world": "LOCAL_WORLD_SIZE"}
PORTS = range(1, 65536)


@dataclass(frozen=True)
class DistributedEnv:
    """This process among those that were started together.

    Attributes:
        rank, world: its number and theirs, over all machines.
        local_rank, local_world: the same on this machine.
        attempt: how often torchrun has started them anew (`--max-restarts`).
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1
    attempt: int = 0

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0


ONE_PROCESS = DistributedEnv()


def later_rank(environ: Mapping[str, str]) -> int:
    """The rank of a process that is not the first of several; 0 of all others, whatever the environment says."""
    try:
        return launched(environ).rank
    except UsageError:
        return 0


def launched(environ: Mapping[str, str]) -> DistributedEnv:
    """What torchrun says in the environment; one process alone without it.

    Raises:
        UsageError: WORLD_SIZE tells of several processes, but the rest is missing or makes no sense.
    """
    if environ.get("WORLD_SIZE", "1") == "1":
        return ONE_PROCESS
    given = {field: environ.get(name, "") for field, name in NAMES.items()}
    wrong = [NAMES[field] for field, value in given.items() if not value.isdecimal()]
    if wrong:
        raise UsageError(
            f"{', '.join(wrong)}: not set to a number, but WORLD_SIZE is {environ['WORLD_SIZE']!r}; "
            "start with torchrun, or unset WORLD_SIZE"
        )
    _refuse_no_meeting_place(environ)
    attempt = environ.get("TORCHELASTIC_RESTART_COUNT", "")
    numbers = {field: int(value) for field, value in given.items()}
    launch = DistributedEnv(**numbers, attempt=int(attempt) if attempt.isdecimal() else 0)
    if launch.rank >= launch.world or launch.local_rank >= launch.local_world:
        raise UsageError(
            f"RANK {launch.rank} of WORLD_SIZE {launch.world}, LOCAL_RANK {launch.local_rank} of LOCAL_WORLD_SIZE "
            f"{launch.local_world}: there are no such processes; start with torchrun"
        )
    return launch


def _refuse_no_meeting_place(environ: Mapping[str, str]) -> None:
    """The ranks find each other at an address and a port."""
    port = environ.get("MASTER_PORT", "")
    wrong = [] if environ.get("MASTER_ADDR") else ["MASTER_ADDR: not set"]
    if not port.isdecimal() or int(port) not in PORTS:
        wrong.append(f"MASTER_PORT: {port!r} is no port")
    if wrong:
        raise UsageError(
            f"{'; '.join(wrong)}, but WORLD_SIZE is {environ['WORLD_SIZE']!r}; start with torchrun, or unset WORLD_SIZE"
        )
