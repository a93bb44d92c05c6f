"""The example scripts: valid shell, whose command lines the real command line takes."""

import json
import os
import re
import stat
import subprocess
import sys

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


# A Slurm of one node that does at once what it is asked for: the tasks of an array one after the other.
LOCAL = {
    "gangda": 'exec {python} -m gangda "$@"',
    "torchrun": 'exec {python} -m torch.distributed.run "$@"',
    "srun": 'while [[ $1 == -* ]]; do shift; done; exec "$@"',
    "sbatch": """
for word in "$@"; do case $word in --wrap=*) exec bash -c "${{word#--wrap=}}" ;; esac; done
echo 7
for task in $(seq 0 "$(sed -n 's/^#SBATCH --array=0-//p' "${{@: -1}}")"); do
    SLURM_ARRAY_TASK_ID=$task SLURM_CPUS_PER_TASK=1 bash "${{@: -1}}" > "task-$task.log" 2>&1 || exit
done""",
}
SMALL = {
    "DATA": "digits", "PER_CLASS": "10", "STEPS": "5", "SEEDS": "2", "TRIALS": "1", "OUT": "out",
    "CLASSIFIER_STEPS": "5", "GANGDA_CLASSIFIER_STEPS": "5", "GANGDA_THREADS": "1",
}  # fmt: skip
FLOW = {"GANGDA_WIDTH": "8", "GANGDA_STEPS": "2", "GANGDA_RUNGS": "1"}
GAN = {"GANGDA_PER_CLASS": "12", "GANGDA_WIDTH": "4", "GANGDA_D_WIDTH": "4"}
RUNS = {  # the other two are run on a Slurm of two nodes: tests/faults/test_slurm_training.py
    "one-machine": (GAN, ("run/run.json", "scores/scores.json", "comparison/report.html")),
    "torchrun-one-node": (GAN, ("model/generator.safetensors",)),
    "slurm-array": (FLOW, ("report.html",)),
    "tuning-array": (FLOW, ("best.yaml", "report.html")),
    "full-study": (FLOW, ("study/best.yaml", "comparison/report.html")),
}


def test_every_script_is_run_but_one():
    """That of `rating-grid` takes hours: a classifier sorts the samples of its GANs, and refuses those of new ones."""
    assert set(examples.names()) == {*RUNS, "srun-many-tasks", "torchrun-many-nodes", "rating-grid"}


@pytest.mark.faults
@pytest.mark.parametrize("name", RUNS)
def test_a_script_runs_on_cpus(name, tmp_path):
    options, files = RUNS[name]
    programs = tmp_path / "programs"
    programs.mkdir()
    for program, text in LOCAL.items():
        (programs / program).write_text(f"#!/bin/bash\n{text.format(python=sys.executable)}\n")
        (programs / program).chmod(0o755)
    script = tmp_path / "script.sh"
    script.write_text(examples.text(name))
    environment = {**os.environ, **SMALL, **options, "PATH": f"{programs}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", script], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for file in files:
        assert (tmp_path / "out" / file).is_file(), done.stdout
    if name == "torchrun-one-node":
        state = json.loads((tmp_path / "out/run.json").read_text())
        assert (state["finished"], state["steps"]) == (True, 5)


def test_listed_and_printed(capsys):
    from typer.testing import CliRunner

    from gangda.cli.main import app

    listed = CliRunner().invoke(app, ["examples"])
    assert all(name in listed.stdout for name in examples.names())
    printed = CliRunner().invoke(app, ["examples", "full-study"])
    assert printed.stdout == examples.text("full-study")
    assert CliRunner().invoke(app, ["examples", "ful-study"]).exit_code == 2


def test_answers_of_raters_are_read_by_the_command_that_the_script_names():
    from typer.testing import CliRunner

    from gangda.cli.main import app

    [words] = re.findall(r"with: gangda (.*)", examples.text("rating-grid"))
    refused = CliRunner().invoke(app, words.split())
    assert refused.exit_code == 1
    assert "FILE.csv" in refused.output
