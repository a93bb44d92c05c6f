"""Whether this process was started alone, or by torchrun or srun as one of several. Imports no torch: --help needs it.

Under srun the variables that torchrun would set are set from Slurm's, and everything else is the same.
"""

import contextlib
import re
from collections.abc import Mapping, MutableMapping
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
LOWEST_PORT, PORTS = 20000, 20000  # of those where rank 0 is met, by the number of the job and its step


def adopt_slurm(environ: MutableMapping[str, str]) -> None:
    """Set torchrun's variables in a step of several tasks that srun has started, unless WORLD_SIZE is set.

    Raises UsageError: Slurm's variables are not complete.
    """
    world = environ.get("SLURM_STEP_NUM_TASKS", "1")
    if "WORLD_SIZE" in environ or world == "1":
        return
    try:
        job, step, node = (int(environ[f"SLURM_{name}"]) for name in ("JOB_ID", "STEP_ID", "NODEID"))
        own = {
            "RANK": environ["SLURM_PROCID"],
            "WORLD_SIZE": world,
            # With a GPU bound to each task, a task sees that one alone.
            "LOCAL_RANK": "0"
            if environ.get("CUDA_VISIBLE_DEVICES", "").isdecimal()
            else environ["SLURM_LOCALID"],
            "LOCAL_WORLD_SIZE": str(_tasks_per_node(environ["SLURM_STEP_TASKS_PER_NODE"])[node]),
        }
        meeting = {
            "MASTER_ADDR": _first_host(environ["SLURM_STEP_NODELIST"]),
            "MASTER_PORT": str(LOWEST_PORT + (7 * job + step) % PORTS),
        }
    except (KeyError, ValueError, IndexError) as error:
        what = f"srun has started {world} tasks, but its variables are not complete ({error})"
        raise UsageError(f"{what}; set WORLD_SIZE=1 to train in each task by itself") from None
    environ.update({**{name: value for name, value in meeting.items() if name not in environ}, **own})


def idle_tasks(environ: Mapping[str, str]) -> str:
    """What to say in a job of several tasks of which this is the only one that works; empty elsewhere."""
    tasks = environ.get("SLURM_NTASKS", "1")
    if tasks == "1" or "SLURM_STEP_NUM_TASKS" in environ or "WORLD_SIZE" in environ:
        return ""
    return (
        f"this job has {tasks} tasks, and one of them trains: start it with srun, or give sbatch --ntasks=1"
    )


def _tasks_per_node(text: str) -> list[int]:
    """Slurm's "2(x3),1" -> [2, 2, 2, 1]."""
    found: list[int] = []
    for part in text.split(","):
        count, _, times = part.partition("(x")
        found += [int(count)] * int(times.rstrip(")") or 1)
    return found


def _first_host(text: str) -> str:
    """The first of Slurm's list of hosts: "node[07-09,12],login" -> "node07"."""
    match = re.match(r"([^,\[]+)(?:\[(\d+)[^\]]*\]([^,]*))?", text)
    if match is None:
        raise ValueError(f"SLURM_STEP_NODELIST {text!r}")
    return "".join(part or "" for part in match.groups())


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
