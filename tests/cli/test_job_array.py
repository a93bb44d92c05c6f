import json
import os
import shlex
import subprocess
import sys
from unittest.mock import Mock

import pytest
from typer.testing import CliRunner

from gangda import experiments
from gangda.cli import main
from gangda.cli.finished import finished_of_experiment
from gangda.cli.job_array import job_array
from gangda.config.resolve import resolve
from gangda.config.schema import Runtime
from gangda.runtime.part import Part
from gangda.runtime.plan_status import planned_cells

SMALL = ("--data", "digits", "--per-class", "12", "--arch", "pca", "--classifier-steps", "5", "--seeds", "3")


def run(*words):
    return CliRunner().invoke(main.app, ["compare", *map(str, words)])


def script(out, words=(), device="cpu", seconds=100.0, memory=None):
    return job_array(words, out, 7, Runtime(device=device, threads=4), seconds, memory)


def directives(text):
    lines = [line.removeprefix("#SBATCH --") for line in text.splitlines() if line.startswith("#SBATCH --")]
    return dict((*line.split("=", 1), "")[:2] for line in lines)


def test_the_array_has_a_task_for_each_cell_and_can_be_requeued(tmp_path):
    found = directives(script(tmp_path))
    assert found["array"] == "0-6"
    assert found["cpus-per-task"] == "4"
    assert found["signal"] == "TERM@120"
    assert found["time"] == "00:10:00"
    assert "requeue" in found
    assert {"gres", "mem"}.isdisjoint(found)
    assert directives(script(tmp_path, memory=2**30))["mem"] == "4G"
    assert directives(script(tmp_path, device="cuda"))["gres"] == "gpu:1"


@pytest.mark.parametrize(("seconds", "time"), [(None, "04:00:00"), (1.0, "00:10:00"), (3600.0, "03:10:00")])
def test_a_task_has_three_times_the_time_that_a_cell_took(tmp_path, seconds, time):
    assert directives(script(tmp_path, seconds=seconds))["time"] == time


def test_words_are_quoted_for_the_shell(tmp_path):
    text = script(tmp_path, ["--contrast", "generated - real", "--data", "it's"])
    file = tmp_path / "array.sh"
    file.write_text(text)
    assert subprocess.run(["bash", "-n", file]).returncode == 0
    fake = "srun() { shift; shift 4; printf '%s\\n' \"$@\"; exit; }\nSLURM_ARRAY_TASK_ID=5 SLURM_CPUS_PER_TASK=4\n"
    said = subprocess.run(["bash", "-c", fake + text], capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == [
        "--contrast", "generated - real", "--data", "it's", "--out", str(tmp_path), "--cell", "5",
    ]  # fmt: skip


def test_folders_with_a_space_stay_one_word(tmp_path, monkeypatch):
    folder = tmp_path / "my work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    text = script(folder / "exp")
    lines = [shlex.split(line) for line in text.splitlines() if line.startswith("#SBATCH")]
    assert {len(words) for words in lines} == {2}
    assert ["#SBATCH", f"--chdir={folder}"] in lines
    assert ["#SBATCH", f"--output={folder}/exp/logs/%A_%a.log"] in lines
    [judge] = [shlex.split(line) for line in text.splitlines() if "judge.log" in line]
    assert f"--output={folder}/exp/logs/judge.log" in judge


def test_a_plan_is_written_and_its_parts_need_only_the_folder(tmp_path):
    out = tmp_path / "exp"
    planned = run(*SMALL, "--out", out, "--print-sbatch")
    assert planned.exit_code == 0, planned.output
    assert "#SBATCH --array=0-2" in planned.stdout
    assert "#SBATCH --mem=3G" in planned.stdout
    assert "as an array: --array=0-2" in run(*SMALL, "--out", out, "--plan").stdout
    assert (out / "logs").is_dir()
    assert not (out / "cells").exists()
    assert run("--out", out, "--judge").exit_code == 3
    more = run("--out", out, "--seeds", "4", "--cell", "1")
    assert more.exit_code == 2
    assert "the plan in" in more.output
    assert run("--out", out, "--cell", "1").exit_code == 0
    shard = run("--out", out, "--shard", "1/2")  # cells 0 and 2
    assert "cells finished: 3 of 3" in shard.stdout
    assert run("--out", out, "--judge").exit_code == 0
    assert (out / "report.html").is_file()


def test_a_plan_says_how_long_a_cell_takes(tmp_path):
    said = run(*SMALL, "--jobs", 1, "--out", tmp_path / "exp", "--plan")
    assert "one cell " in said.stdout
    assert "Would take on this machine, 1 cell at a time" in " ".join(said.stdout.split())
    assert "what is left (3 of 3 cells)" in said.stdout
    assert "cells finished: 0 of 3" in said.stdout


def test_an_experiment_keeps_the_flags_that_were_typed(tmp_path):
    words = ("--experiment", "pca-components", "--quick", "--per-class", "20", "--no-download")
    planned = run(*words, "--out", tmp_path / "exp", "--print-sbatch")
    assert planned.exit_code == 0, planned.output
    kept = next(line for line in planned.stdout.splitlines() if line.startswith("srun"))
    assert "--experiment pca-components --quick" in kept
    assert "--per-class 20" in kept
    assert "--no-download" in kept


LIGHT = """
import sys
from gangda.cli.main import app
try:
    app(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
heavy = {"torch", "sklearn", "scipy"} & set(sys.modules)
assert not heavy, heavy
"""
EXPERIMENT = """
kind: experiment
title: Components
question: How many?
measure: score
metrics: [gan_test]
base:
  data: {source: digits, per_class: 12}
  arch: {name: pca}
  classifier: {classifier_steps: 5}
  compare: {seeds: 1}
vary: {arch.components: [2, 4]}
"""


def again(*words):
    """The JSON of the same command in a process of its own that must load nothing heavy."""
    command = [sys.executable, "-c", LIGHT, "compare", *map(str, words), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_finished_cell_is_known_from_files_alone(tmp_path):
    out = tmp_path / "exp"
    assert run(*SMALL, "--arms", "real,generated", "--out", out, "--plan").exit_code == 0
    first = json.loads(run("--out", out, "--cell", 1, "--json").stdout)
    found = again("--out", out, "--cell", 1)
    assert {**found, "cost": None} == {**first, "cost": None, "cell_seconds": None}
    assert (found["finished"], found["planned"]) == (1, 3)
    [cell] = (out / "cells").iterdir()
    cell.write_text(cell.read_text().replace('"seed": 1', '"seed": 7'))
    assert planned_cells(out)[1].result() is None  # damaged: it is run again
    refused = run("--out", out, "--cell", 1, "--classifier-steps", 6)
    assert "plan has" in refused.output


def test_so_is_one_of_an_experiment(tmp_path):
    file, out = tmp_path / "mine.yaml", tmp_path / "exp"
    file.write_text(EXPERIMENT)
    first = json.loads(run("--experiment", file, "--out", out, "--cell", 1, "--json").stdout)
    assert again("--experiment", file, "--out", out, "--shard", "2/2") == first
    file.write_text(EXPERIMENT.replace("[gan_test]", "[gan_test, diversity]"))
    assert (
        finished_of_experiment(
            Mock(words=(), config=None, dry_run=False, settings=resolve({}, {})),
            experiments.read(str(file)),
            out,
            Part(cell=1),
        )
        is None
    )  # a metric was added


def test_status_without_a_folder_names_the_newest_comparison(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("older", "newer"):
        folder = tmp_path / "experiments" / name
        folder.mkdir(parents=True)
        (folder / "plan.json").write_text("{}")
    os.utime(tmp_path / "experiments/older/plan.json", (1, 1))
    found = run("--status")
    assert found.exit_code == 2
    assert "name the folder with --out, such as --out experiments/newer" in " ".join(found.output.split())
