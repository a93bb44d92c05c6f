"""Locks of folders, which say who holds them."""

import contextlib
import functools
import json
import logging
import os
import platform
import re
import socket
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from filelock import SoftFileLock, Timeout, lock_descriptor

import gangda
from gangda.errors import RunError
from gangda.runtime.files import clear_disk_errors

LOCK, LOCK_FILE = ".lock", ".lock-file"
TRIES, APART = 10, 0.2  # of a lock, in seconds, before its holder is named and waited for
_LOG = logging.getLogger(__name__)


def holder(folder: Path) -> dict[str, Any]:
    """Who locked a folder last: `host`, `pid`, `job` (of Slurm, or ""), `since` (local time); {} if not known.

    `processor` is the CPU's name, `versions` those of gangda, Python and torch.
    """
    try:
        told = json.loads((folder / LOCK).read_text(encoding="utf-8"))
        who = {name: told[name] for name in ("host", "pid", "job", "since")}
        return {**who, **{name: told.get(name, "") for name in ("processor", "versions")}}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def is_locked(folder: Path) -> bool:
    """Whether a process holds the lock of a folder now."""
    with contextlib.suppress(OSError), (folder / LOCK).open("rb") as file:
        return not lock_descriptor(file.fileno(), blocking=False)  # closing the file gives it back
    return (folder / LOCK_FILE).exists()


@contextlib.contextmanager
def lock_folder(folder: Path, wait: bool = False) -> Iterator[None]:
    """Hold `folder/.lock`, which the system releases when the process ends; the folder is created if needed.

    With `wait`, wait until another process has released it. On a file system without locks the existence of a second
    file is the lock, which stays where a process of another host was killed; both cases are said.
    Raises RunError: another process holds the lock.
    """
    with clear_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a+", encoding="utf-8")
    with file, contextlib.ExitStack() as held:
        try:
            _lock(file.fileno(), folder, wait)
        except OSError:  # some network file systems
            held.enter_context(_lock_file(folder, wait))
        with clear_disk_errors(folder):
            file.truncate(0)
            file.write(json.dumps(_this_process()))
            file.flush()
        yield


def _lock(handle: int, folder: Path, wait: bool) -> None:
    for _ in range(TRIES if wait else 1):
        if lock_descriptor(handle, blocking=False):
            return
        time.sleep(APART if wait else 0)
    if not wait:
        raise RunError(f"{folder}: {_words(folder)} is working in this folder; wait for it")
    _LOG.warning("%s: waiting for %s", folder, _words(folder))
    lock_descriptor(handle, blocking=True)


@contextlib.contextmanager
def _lock_file(folder: Path, wait: bool) -> Iterator[None]:
    path = folder / LOCK_FILE
    _say_no_locks(folder)
    try:
        with SoftFileLock(path, timeout=-1 if wait else 0):
            yield
    except Timeout:
        gone = f"wait for it, or delete {path} if that process is gone"
        raise RunError(f"{folder}: {_words(folder)} is working in this folder; {gone}") from None


@functools.cache
def _say_no_locks(folder: Path) -> None:
    _LOG.warning("%s: this file system has no locks; the file %s stands for one", folder, LOCK_FILE)


def _this_process() -> dict[str, Any]:
    job = os.environ.get("SLURM_ARRAY_JOB_ID", os.environ.get("SLURM_JOB_ID", ""))
    task = os.environ.get("SLURM_ARRAY_TASK_ID")
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "job": job if task is None else f"{job}_{task}",
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        **_ran_on(),
    }


@functools.cache
def _ran_on() -> dict[str, str]:
    processor = platform.machine()
    with contextlib.suppress(OSError):  # Linux alone has it
        names = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        processor = names[0] if names else processor
    own = f"gangda {gangda.__version__}, Python {platform.python_version()}"
    return {"processor": processor, "versions": f"{own}, torch {metadata.version('torch')}"}


def _words(folder: Path) -> str:
    told = holder(folder)
    if not told:
        return "another process"
    job = f", job {told['job']}" if told["job"] else ""
    return f"another process ({told['pid']} on {told['host']}{job}, since {told['since']})"
