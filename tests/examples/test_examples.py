"""The example scripts: valid shell, whose command lines the real command line takes."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gangda import examples
from gangda.cli.main import command
from gangda.errors import UsageError

# Stands in for every program that the scripts start: notes how it was called, and runs what it is asked to.
STUB = """#!{python}
import json, os, sys
name, words = os.path.basename(sys.argv[0]), sys.argv[1:]
with open({log!r}, "a") as log:
    log.write(json.dumps([name, *words]) + "\\n")
if name == "scontrol" and words[0] == "show":
    print("n1\\nn2")
if name in ("srun", "torchrun") and "gangda" in words:
    at = words.index("torchrun") if "torchrun" in words else words.index("gangda")
    os.execvp(words[at], words[at:])
if name == "gangda" and "--print-sbatch" in words:
    os.makedirs(words[words.index("--out") + 1] + "/logs")
if name == "sbatch" and "--parsable" in words:
    print(7)
"""
SLURM = {
    "SLURM_JOB_ID": "7",
    "SLURM_JOB_NODELIST": "n[1-2]",
    "SLURM_NNODES": "2",
    "SLURM_ARRAY_JOB_ID": "7",
    "SLURM_ARRAY_TASK_ID": "0",
}


def called(name, folder):
    """How a script calls every program, in order."""
    programs, log = folder / "programs", folder / "log"
    programs.mkdir()
    for program in ("gangda", "torchrun", "srun", "sbatch", "scontrol"):
        file = programs / program
        file.write_text(STUB.format(python=sys.executable, log=str(log)))
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
    path = f"{programs}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", examples.text(name)],
        env={**os.environ, **SLURM, "PATH": path},
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_names():
    assert {"one-machine", "slurm-array", "torchrun-one-node", "tuning-array", "full-study"} <= set(
        examples.names()
    )
    with pytest.raises(UsageError, match="did you mean 'one-machine'"):
        examples.text("one-machin")


@pytest.mark.parametrize("name", examples.names())
def test_a_script_is_valid_and_says_what_it_does(name, tmp_path):
    file = tmp_path / "script.sh"
    file.write_text(examples.text(name))
    assert subprocess.run(["bash", "-n", file]).returncode == 0
    assert examples.summary(name).endswith(".")
    assert max(map(len, examples.text(name).splitlines())) <= 120


@pytest.mark.parametrize("name", examples.names())
def test_its_command_lines_are_taken_by_the_real_command_line(name, tmp_path):
    lines = [line[1:] for line in called(name, tmp_path) if line[0] == "gangda"]
    lines += [line[line.index("gangda") + 1 :] for line in called_wraps(tmp_path / "log") if "gangda" in line]
    assert lines
    for subcommand, *words in lines:
        command(subcommand).make_context(subcommand, words)


def called_wraps(log):
    """Commands inside `sbatch --wrap`."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [word[7:].split() for line in lines for word in line if word.startswith("--wrap=")]


def test_the_stub_can_fail(tmp_path):
    for subcommand, words in (("train", ["--stepz", "3"]), ("tune", ["--space"])):
        with pytest.raises(Exception, match=r"stepz|space"):
            command(subcommand).make_context(subcommand, words)


@pytest.mark.faults
def test_the_one_of_one_machine_runs(tmp_path):
    small = {"STEPS": "5", "PER_CLASS": "10", "CLASSIFIER_STEPS": "5", "SEEDS": "2", "OUT": "study"}
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "gangda").write_text(f'#!/bin/bash\nexec {sys.executable} -m gangda "$@"\n')
    (programs / "gangda").chmod(0o755)
    environment = {**os.environ, **small, "PATH": f"{programs}:{os.environ['PATH']}"}
    script = tmp_path / "script.sh"
    script.write_text(examples.text("one-machine"))
    done = subprocess.run(["bash", script], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for file in ("run/run.json", "scores/scores.json", "comparison/report.html"):
        assert Path(tmp_path / "study" / file).is_file()


def test_listed_and_printed(capsys):
    from typer.testing import CliRunner

    from gangda.cli.main import app

    listed = CliRunner().invoke(app, ["examples"])
    assert all(name in listed.stdout for name in examples.names())
    printed = CliRunner().invoke(app, ["examples", "full-study"])
    assert printed.stdout == examples.text("full-study")
    assert CliRunner().invoke(app, ["examples", "ful-study"]).exit_code == 2
