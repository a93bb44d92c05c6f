"""A process that has imported gangda once and forks itself for each command: real processes without the start-up.

Reads lines of JSON: {"words", "cwd", "room"} starts a command and answers its process id (`room` is the most bytes of
address space that it may take beyond what it has, or null); {"wait": id} answers its exit code, negative for a signal.
stdout and stderr of a command go to the files `out` and `err` beside its `cwd`.
"""

import json
import os
import resource
import sys
import traceback
from pathlib import Path

import gangda.augmenting
import gangda.comparing
import gangda.sampling
import gangda.training  # noqa: F401  (imported before the first fork)
from gangda.cli.main import main


def run(words: list[str], cwd: str, room: int | None) -> int:
    """A command in a forked child: its exit code."""
    os.chdir(cwd)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for handle, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{cwd}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), handle)
    if room is not None:
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + room, taken + room))
    sys.argv = ["gangda", *words]
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        return 70
    return 0


def start(request: dict) -> int:
    child = os.fork()
    if child == 0:
        code = run(request["words"], request["cwd"], request["room"])
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return child


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            answer = os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1])
        else:
            answer = start(request)
        print(answer, file=answers, flush=True)
