import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from gangda.errors import RunError
from gangda.runtime import files
from gangda.runtime.files import lock_folder

HOLDER = """
import pathlib, sys, time
from gangda.runtime.files import lock_folder
with lock_folder(pathlib.Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def holder(tmp_path):
    """Start another process that holds the lock for some seconds."""
    started = []

    def start(seconds):
        words = [sys.executable, "-c", HOLDER, str(tmp_path / "run"), str(seconds)]
        started.append(subprocess.Popen(words, stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout.readline() == "locked\n"
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_second_process_is_refused_until_the_first_is_killed(holder, tmp_path):
    process = holder(60)
    begun = time.monotonic()
    with pytest.raises(RunError) as caught, lock_folder(tmp_path / "run"):
        pass
    assert time.monotonic() - begun < 1
    assert str(caught.value) == f"{tmp_path / 'run'}: another process is working in this folder; wait for it"
    process.send_signal(signal.SIGKILL)
    process.wait()
    with lock_folder(tmp_path / "run"):
        pass


def test_a_waiting_process_continues_when_the_other_has_ended(holder, tmp_path):
    process = holder(0.3)
    with lock_folder(tmp_path / "run", wait=True):
        assert process.wait(10) == 0


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
@pytest.mark.parametrize("wait", [False, True])
def test_a_file_system_without_locks_is_one_line(wait, number, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files, "lock_descriptor", refuse)
    with pytest.raises(RunError, match=f"cannot be locked .*{os.strerror(number)}.*another file system"):
        lock_folder(tmp_path / "run", wait).__enter__()
