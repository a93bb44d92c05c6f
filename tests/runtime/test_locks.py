import errno
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from gangda.errors import RunError
from gangda.runtime import locks
from gangda.runtime.locks import LOCK_FILE, holder, is_locked, lock_folder

HOLDER = """
import pathlib, sys, time
from gangda.runtime.locks import lock_folder
with lock_folder(pathlib.Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def started(tmp_path):
    """Start another process that holds the lock for some seconds."""
    processes = []

    def start(seconds):
        words = [sys.executable, "-c", HOLDER, str(tmp_path / "run"), str(seconds)]
        processes.append(subprocess.Popen(words, stdout=subprocess.PIPE, text=True))
        assert processes[-1].stdout.readline() == "locked\n"
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture(autouse=True)
def slurm_task(monkeypatch):
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "7")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")


def test_a_second_process_is_refused_until_the_first_is_killed(started, tmp_path):
    process = started(60)
    begun = time.monotonic()
    with pytest.raises(RunError) as caught, lock_folder(tmp_path / "run"):
        pass
    assert time.monotonic() - begun < 1
    who = rf"another process \({process.pid} on {re.escape(socket.gethostname())}, job 7_3, since 20.*\)"
    assert re.fullmatch(f".*run: {who} is working in this folder; wait for it", str(caught.value))
    assert is_locked(tmp_path / "run")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not is_locked(tmp_path / "run")
    with lock_folder(tmp_path / "run"):
        pass


def test_a_waiting_process_continues_when_the_other_has_ended(started, tmp_path):
    process = started(0.3)
    with lock_folder(tmp_path / "run", wait=True):
        assert process.wait(10) == 0


def test_a_process_that_waits_long_says_for_whom(started, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(locks, "TRIES", 1)
    process = started(0.5)
    with lock_folder(tmp_path / "run", wait=True):
        assert process.wait(10) == 0
    assert [f"waiting for another process ({process.pid} on" in text for text in caplog.messages] == [True]


@pytest.fixture
def no_locks(monkeypatch):
    """A file system that has none, as NFS without its lock service."""

    def refuse(*_, **__):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(locks, "lock_descriptor", refuse)


@pytest.mark.usefixtures("no_locks")
def test_without_locks_a_file_stands_for_one_and_that_is_said_once(tmp_path, caplog):
    folder = tmp_path / "run"
    with lock_folder(folder):
        assert is_locked(folder)
        assert holder(folder)["pid"] == os.getpid()
        with (
            pytest.raises(RunError, match=rf"\({os.getpid()} on .*delete .*{LOCK_FILE} if"),
            lock_folder(folder),
        ):
            pass
    assert not is_locked(folder)
    with lock_folder(folder):
        pass
    assert [f"{folder}: this file system has no locks" in text for text in caplog.messages] == [True]


@pytest.mark.usefixtures("no_locks")
def test_without_locks_a_waiting_process_continues_when_the_other_has_ended(tmp_path):
    order = []

    def hold():
        with lock_folder(tmp_path, wait=True):
            order.append("first")
            time.sleep(0.3)
            order.append("ended")

    thread = threading.Thread(target=hold)
    thread.start()
    time.sleep(0.1)
    with lock_folder(tmp_path, wait=True):
        order.append("second")
    thread.join()
    assert order == ["first", "ended", "second"]
