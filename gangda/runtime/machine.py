"""The machine's cores: how many are ours, and whether other processes use them. Imports no torch: it must come first.

OpenMP's threads wait for each other by spinning, for milliseconds. That is fastest where each has a core to itself;
where not, it takes the cores from all others, those of their own process too. They read how to wait as torch loads.
"""

import contextlib
import math
import os
import time
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path

POLICIES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
WINDOW = 0.3  # seconds over which the load of others is measured
REMARK = "busy machine: other processes are using its cores, so this takes longer; --threads N uses fewer"


def runnable() -> int | None:
    """Threads of the whole machine that run or could run, this one not counted; None where the system does not tell."""
    try:
        lines = Path("/proc/stat").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) - 1 for line in lines if line.startswith("procs_running")), None)


def cores_in_use() -> float:
    """Cores that all processes of the machine use, mean over `WINDOW`, while this one sleeps."""
    used = []
    for pause in (WINDOW, 0.0):
        user, nice, system = map(int, Path("/proc/stat").read_text().split()[1:4])
        used.append((user + nice + system, time.monotonic()))
        time.sleep(pause)
    (before, began), (after, ended) = used
    return (after - before) / os.sysconf("SC_CLK_TCK") / (ended - began)


def is_busy(
    own: int,
    cores: int | None = None,
    running: Callable[[], int | None] = runnable,
    in_use: Callable[[], float] = cores_in_use,
) -> bool:
    """Whether over a quarter of `own` threads would share a core with what others run now: at once, and for a while."""
    most = max(0, (cores or os.cpu_count() or 1) - own) + own / 4
    return (running() or 0) > most and in_use() > most


def sleep_while_waiting(environ: MutableMapping[str, str]) -> None:
    """Let OpenMP's threads sleep while they wait, unless the user has said how they should."""
    if not any(name in environ for name in POLICIES):
        environ["OMP_WAIT_POLICY"] = "PASSIVE"


def mps_runs(environ: Mapping[str, str]) -> bool:
    """Whether NVIDIA's multi-process service (MPS) is there: the pipe by which programs find its control daemon."""
    return (Path(environ.get("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps")) / "control").exists()


def thread_count(requested: int | None, environ: Mapping[str, str], processes: int = 1) -> int:
    """Threads of each process: those requested, else its share of the scheduler's cores, else of the available ones.

    `processes` share the cores; OMP_NUM_THREADS, which torchrun sets to 1 if it is unset, is per process. So is what
    Slurm gives a task, where it has started the processes and not torchrun.
    """
    if requested is not None:
        return requested
    by_slurm = "RANK" in environ and environ["RANK"] == environ.get("SLURM_PROCID")
    in_task = 1 if by_slurm and "TORCHELASTIC_RUN_ID" not in environ else processes
    for name, parts in (("SLURM_CPUS_PER_TASK", in_task), ("OMP_NUM_THREADS", 1)):
        if environ.get(name, "").isdigit() and int(environ[name]) > 0:
            return max(1, int(environ[name]) // parts)
    return max(1, available_cores() // processes)


def available_cores(environ: Mapping[str, str] | None = None, root: Path = Path("/")) -> int:
    """Cores this process may use: those it may run on, at most those of its Slurm task and its CPU quota."""
    environ = os.environ if environ is None else environ
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    slurm = environ.get("SLURM_CPUS_PER_TASK", "")
    if slurm.isdigit() and int(slurm) > 0:
        cores = min(cores, int(slurm))
    for group in _control_groups(root):
        with contextlib.suppress(OSError, ValueError):  # "max": no quota
            quota, period = map(int, (group / "cpu.max").read_text().split())
            cores = min(cores, math.ceil(quota / period))
    return max(1, cores)


def free_memory(root: Path = Path("/")) -> int | None:
    """Bytes that this process can still get: of the machine, and of its control groups (version 2; Slurm, containers).

    None where the system does not tell. `root`: of the file system that is read.
    """
    try:
        machine = _numbers(root / "proc/meminfo", ":")["MemAvailable"] * 1024
    except (OSError, KeyError):
        return None
    found = [machine]
    for group in _control_groups(root):
        try:
            most, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
            kinds = _numbers(group / "memory.stat")
            cached = kinds.get("inactive_file", 0) + kinds.get(
                "active_file", 0
            )  # given up where it is needed
        except (OSError, ValueError):  # "max": no limit
            continue
        found.append(max(0, most - used + cached))
    return min(found)


def _control_groups(root: Path) -> list[Path]:
    """This process's control group (version 2) and those that it lies in; none where the system has none."""
    groups = root / "sys/fs/cgroup"
    try:
        own = (root / "proc/self/cgroup").read_text().partition("0::/")[2].splitlines()[0]
    except (OSError, IndexError):
        return []
    return [groups / own, *(groups / own).parents]


def _numbers(path: Path, separator: str | None = None) -> dict[str, int]:
    lines = (line.split(separator, 1) for line in path.read_text().splitlines())
    return {name: int(rest.split()[0]) for name, rest in lines}
