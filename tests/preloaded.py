"""A process that has imported torch and the other libraries once and forks itself for each Python command.

The commands of the documents are real processes, without the seconds that imports take; gangda itself is imported in
the child, from a folder that the request names. Reads lines of JSON {"words", "cwd", "root", "output"}; `words` are
["gangda", ...], ["-m", MODULE, ...] or [FILE, ...]. Answers the exit code; stdout and stderr go to the file `output`.
"""

import json
import os
import runpy
import sys

sys.path.pop(0)  # this folder has packages with names of the standard library, such as statistics

import traceback

import numpy  # noqa: F401
import PIL.Image  # noqa: F401
import rich.progress  # noqa: F401
import safetensors.torch  # noqa: F401
import scipy.stats  # noqa: F401
import sklearn.linear_model  # noqa: F401
import torch  # noqa: F401
import torchvision.transforms.v2  # noqa: F401
import typer  # noqa: F401
import yaml  # noqa: F401


def run(words: list[str], cwd: str, root: str, output: str) -> int:
    """Run a command in a forked child and return its exit code."""
    os.chdir(cwd)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    sys.path[:0] = [cwd, root]
    as_module = {"gangda": ["gangda"], "-m": words[1:2]}.get(words[0], [])
    sys.argv = words[1:] if words[0] == "-m" else words
    try:
        if as_module:
            runpy.run_module(as_module[0], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            code = run(**request)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=answers, flush=True)
