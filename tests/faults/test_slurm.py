"""A comparison as a job array on a Slurm of two nodes, a task requeued midway and a node lost: the same numbers."""

import json
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest
from processes import TIMES

pytestmark = pytest.mark.faults

COMPARISON = {
    "--data": "digits", "--per-class": 12, "--arch": "cdcgan", "--width": 4, "--d-width": 4, "--steps": 200,
    "--checkpoint-every": "50s", "--seeds": 4, "--classifier-steps": 50,
}  # fmt: skip


def compare(*words: object) -> str:
    command = [sys.executable, "-m", "gangda", "compare", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def timeless(value: object) -> object:
    """Without what differs from run to run."""
    if isinstance(value, dict):
        return {
            key: timeless(one) for key, one in value.items() if not TIMES.search(key) and key != "command"
        }
    return [timeless(one) for one in value] if isinstance(value, list) else value


def numbers(out: Path) -> object:
    return timeless(json.loads((out / "comparison.json").read_text()))


def steps_of(out: Path) -> list[int]:
    """Lines of every cell's training log so far."""
    return [len(file.read_text().splitlines()) for file in sorted(out.glob("work/*/gan/metrics.jsonl"))]


def test_an_array_with_a_requeued_task_and_a_lost_node_gives_the_numbers_of_a_local_run(cluster, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    script = tmp_path / "array.sbatch"
    script.write_text(compare(*chain(*COMPARISON.items()), "--out", there, "--print-sbatch"))
    job = cluster.run("sbatch", "--parsable", str(script)).strip()
    judge = next(line for line in script.read_text().splitlines() if "--wrap=" in line).partition("--wrap=")[
        2
    ]
    wrapped = subprocess.run(["bash", "-c", f"printf %s {judge}"], capture_output=True, text=True).stdout
    last = cluster.run(
        "sbatch", "--parsable", f"--dependency=afterany:{job}", f"--output={tmp_path}/judge.log", f"--wrap={wrapped}"
    ).strip()  # fmt: skip

    cluster.until(lambda: any(steps_of(there)), 120)
    requeued = next(index for index, (_, state, *_) in cluster.tasks(job).items() if state == "RUNNING")
    cluster.run("scontrol", "requeue", f"{job}_{requeued}")
    cluster.until(lambda: cluster.tasks(job)[requeued][1] == "PENDING", 60)
    cluster.release(job)
    cluster.until(
        lambda: any("n2" in task for task in cluster.tasks(job).values() if task[1] == "RUNNING"), 60
    )
    cluster.lose_node("n2")
    cluster.start_node("n2")

    def finished() -> bool:
        cluster.release(job)
        return all(state == "COMPLETED" for _, state, *_ in cluster.tasks(job).values())

    cluster.until(finished, 300)
    cluster.until(lambda: all(state == "COMPLETED" for _, state, *_ in cluster.tasks(last).values()), 120)
    assert (there / "report.html").is_file()
    restarts = cluster.run("scontrol", "show", "job", job).count("Restarts=1")
    assert restarts >= 2
    compare("--config", there / "config.yaml", "--out", here)
    assert numbers(here) == numbers(there)
