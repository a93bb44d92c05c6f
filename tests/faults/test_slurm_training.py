"""One training over both nodes of a Slurm, by srun alone and by torchrun's c10d rendezvous: the example scripts."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from gangda import examples
from gangda.config.resolve import resolve
from gangda.config.schema import TrainConfig
from gangda.training import train

pytestmark = pytest.mark.faults

STEPS = 4
OPTIONS = {  # by the environment, so that the scripts stay as they are: no image sees another
    "GANGDA_PER_CLASS": "12", "GANGDA_WIDTH": "4", "GANGDA_D_WIDTH": "4", "GANGDA_VIRTUAL_BATCH_NORM": "reference",
    "GANGDA_CHECKPOINT_EVERY": "2",
}  # fmt: skip


@pytest.fixture
def submit(cluster, tmp_path, monkeypatch):
    """Submit an example script; the job's number. The nodes are names of this machine, which no resolver knows."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, module in (("gangda", "gangda"), ("torchrun", "torch.distributed.run")):
        (programs / name).write_text(f'#!/bin/bash\nexec {sys.executable} -m {module} "$@"\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    for name, value in {
        **OPTIONS,
        "HEAD_NODE": "127.0.0.1",
        "MASTER_ADDR": "127.0.0.1",
        "OMP_NUM_THREADS": "1",
    }.items():
        monkeypatch.setenv(name, value)

    def run(example: str, steps: int) -> str:
        monkeypatch.setenv("STEPS", str(steps))
        monkeypatch.setenv("OUT", str(tmp_path / "run"))
        if "torchrun" in example:
            monkeypatch.delenv("MASTER_ADDR")
        script = tmp_path / f"{example}.sh"
        script.write_text(examples.text(example))
        return cluster.run(
            "sbatch", "--parsable", "--time=30", f"--output={tmp_path}/job.log", str(script)
        ).strip()

    return run


def ended(cluster, job) -> str:
    """The state in which a job has ended."""

    def state() -> str:
        [(_, state, *_)] = cluster.tasks(job).values()
        return state

    cluster.until(lambda: state() not in ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING"), 400)
    return state()


def weights(run: Path):
    return load_file(run / "model/generator.safetensors")


@pytest.mark.parametrize("example", ["srun-many-tasks", "torchrun-many-nodes"])
def test_two_nodes_make_the_run_of_one_process(example, cluster, submit, tmp_path):
    log = tmp_path / "job.log"
    assert ended(cluster, submit(example, STEPS)) == "COMPLETED", log.read_text()
    assert json.loads((tmp_path / "run/run.json").read_text())["steps"] == STEPS
    config = resolve({}, {}, tmp_path / "run/config.yaml").pick(TrainConfig)
    train(config, tmp_path / "alone")
    theirs = weights(tmp_path / "alone")
    for name, value in weights(tmp_path / "run").items():
        assert np.allclose(value, theirs[name], atol=2e-3), name


def test_tasks_of_srun_stop_with_all_saved_and_the_job_is_requeued(cluster, submit, tmp_path):
    job = submit("srun-many-tasks", 100_000)
    saved = tmp_path / "run/checkpoints"
    cluster.until(lambda: list(saved.glob("step-*.pt")), 240)
    cluster.run("scancel", "--signal=TERM", f"{job}.0")
    cluster.until(lambda: cluster.tasks(job)["N/A"][1] == "PENDING", 120)  # it has requeued itself
    cluster.run("scancel", job)
    log = (tmp_path / "job.log").read_text()
    assert log.count("all saved; run the same command to go on") == 1
    assert "Traceback" not in log
    assert not json.loads((tmp_path / "run/run.json").read_text())["finished"]
