"""What can be tried of Windows on another system: no module needs what is lacking there.

Not tried: its locks (filelock's, of bytes of a file), its paths and file names (`os.name` is left), renaming and
deleting files that are open, console encodings, worker processes, several ranks, GPUs.
"""

import subprocess
import sys

import pytest

JOURNEY = """
import importlib, io, json, os, pkgutil, signal, sys
from pathlib import Path

import gangda


def import_all():
    names = [name for _, name, _ in pkgutil.walk_packages(gangda.__path__, "gangda.") if "__main__" not in name]
    return [importlib.import_module(name) for name in names]


# Once as it is, so that other packages are loaded by this system's rules; then all of gangda as on Windows.
import_all()
import matplotlib.pyplot, optuna, sklearn.datasets, torch_fidelity
for name in [name for name in sys.modules if name.partition(".")[0] == "gangda"]:
    del sys.modules[name]
sys.platform = "win32"
for name in "fcntl grp pwd resource termios tty pty syslog posix".split():
    sys.modules[name] = None
LACKING = {
    os: "chown fchmod fchown fork forkpty geteuid getegid getgid getgroups getloadavg getpgid getuid killpg lchown "
    "mkfifo nice openpty posix_fadvise posix_fallocate pread sched_getaffinity sched_setaffinity sendfile setsid "
    "setuid statvfs sync sysconf sysconf_names uname waitid",
    signal: "SIGALRM SIGCHLD SIGHUP SIGKILL SIGPIPE SIGTSTP SIGUSR1 SIGUSR2 alarm pthread_sigmask setitimer",
}
for module, lacking in LACKING.items():
    for name in lacking.split():
        if hasattr(module, name):
            delattr(module, name)
open_file = io.open


def open_where_there_is_no_proc(file, *options, **named):  # pathlib's
    if str(file).startswith("/proc/"):
        raise FileNotFoundError(file)
    return open_file(file, *options, **named)


io.open = open_where_there_is_no_proc
import gangda

assert len(import_all()) > 200
from gangda.cli.main import main
from gangda.runtime.locks import is_locked, lock_folder

with lock_folder(Path("held")):
    assert is_locked(Path("held"))
for words in (
    "train --arch pca --per-class 5 --out run --quiet",
    "sample run --per-class 2 --out samples --quiet",
    "augment --run run --per-class 5 --ratio 1 --out augmented --quiet",
    "classify augmented --classifier-steps 2 --quiet",
    "doctor --data samples",
):
    sys.argv[1:] = words.split()
    try:
        main()
    except SystemExit as end:
        assert not end.code, (words, end.code)
assert json.loads(Path("samples/index.json").read_text(encoding="utf-8"))["counts"] == [2] * 10
print("whole")
"""


@pytest.mark.faults
def test_every_module_and_a_small_journey_without_what_windows_lacks(tmp_path):
    command = [sys.executable, "-c", JOURNEY]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("whole\n")
