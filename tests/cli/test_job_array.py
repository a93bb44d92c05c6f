import subprocess

import pytest
from typer.testing import CliRunner

from gangda.cli import main
from gangda.cli.job_array import job_array
from gangda.config.schema import Runtime

SMALL = ("--data", "digits", "--per-class", "12", "--arch", "pca", "--classifier-steps", "5", "--seeds", "3")


def run(*words):
    return CliRunner().invoke(main.app, ["compare", *map(str, words)])


def script(out, words=(), device="cpu", seconds=100.0):
    return job_array(words, out, 7, Runtime(device=device, threads=4), seconds)


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
    assert "gres" not in found
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


def test_a_plan_is_written_and_its_parts_need_only_the_folder(tmp_path):
    out = tmp_path / "exp"
    planned = run(*SMALL, "--out", out, "--print-sbatch")
    assert planned.exit_code == 0, planned.output
    assert "#SBATCH --array=0-2" in planned.stdout
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
    said = run(*SMALL, "--out", tmp_path / "exp", "--plan")
    assert "one cell " in said.stdout
    assert "cells finished: 0 of 3" in said.stdout


def test_an_experiment_keeps_the_flags_that_were_typed(tmp_path):
    words = ("--experiment", "pca-components", "--quick", "--per-class", "20", "--no-download")
    planned = run(*words, "--out", tmp_path / "exp", "--print-sbatch")
    assert planned.exit_code == 0, planned.output
    kept = next(line for line in planned.stdout.splitlines() if line.startswith("srun"))
    assert "--experiment pca-components --quick" in kept
    assert "--per-class 20" in kept
    assert "--no-download" in kept
