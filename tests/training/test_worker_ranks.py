"""Training over several processes: real torchrun, real signals, tiny networks."""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from typer.testing import CliRunner

from gangda.cli.group import print_error
from gangda.cli.main import app
from gangda.config import architectures, resolve
from gangda.config.schema import Budget, DataConfig, Recipe, Runtime, TrainConfig
from gangda.errors import UsageError
from gangda.training import train
from gangda.training.option_rules import refuse_uneven_shares

TWO = {
    "RANK": "1",
    "WORLD_SIZE": "2",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "localhost",
    "MASTER_PORT": "29500",
}
TIMES = ("seconds", "epoch_seconds")


def config(steps, batch_size=8, every="2", arch="cdcgan", **spec):
    """Tiny networks in which no image sees another."""
    options = {"width": 4, "d_width": 4, "virtual_batch_norm": "reference", **spec}
    return TrainConfig(
        data=DataConfig(per_class=12),
        arch=arch,
        spec=architectures.spec_class(arch)(**options),
        recipe=Recipe(batch_size=batch_size),
        budget=Budget(steps=steps, checkpoint_every=every),
        runtime=Runtime(threads=1),
    )


def start(wanted, out, *words, ranks=2, torchrun=()):
    """Torchrun on `gangda train`, with this configuration from a file."""
    file = out.with_suffix(".yaml")
    file.write_text(resolve.dump(wanted))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    command += [*torchrun, "-m", "gangda", "train", "--config", str(file), "--out", str(out), *words]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


def finish(process):
    """(exit code, stdout, stderr), with nothing left behind."""
    try:
        out, err = process.communicate(timeout=300)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, out, err


def rank_of(process, rank):
    """The process id of one of torchrun's ranks; None while it is not there."""
    for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        with contextlib.suppress(OSError):
            if f"RANK={rank}\0" in Path(f"/proc/{child}/environ").read_text().replace(
                "LOCAL_RANK=", "local="
            ):
                return int(child)
    return None


def wait_for(condition, seconds=240):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it never came"
        time.sleep(0.02)


def newest(run):
    """The step of the newest whole checkpoint; 0 for none."""
    return max((int(path.stem[5:]) for path in (run / "checkpoints").glob("step-*.pt")), default=0)


def log(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]


def weights(run, name="generator"):
    return load_file(run / "model" / f"{name}.safetensors")


@pytest.mark.faults
def test_two_ranks_make_the_run_of_one_and_one_goes_on_with_it(tmp_path):
    code, out, err = finish(start(config(4), tmp_path / "run", "--json"))
    assert code == 0, err
    assert json.loads(out)["steps"] == 4  # one document: rank 0's
    assert err.count("expect copies of them") == 1
    train(config(4), tmp_path / "alone")
    ours, theirs = (
        yaml.safe_load((tmp_path / name / "config.yaml").read_text()) for name in ("run", "alone")
    )
    ours.pop("sources")  # of the command line alone
    assert ours == theirs
    for ours, theirs in zip(log(tmp_path / "run"), log(tmp_path / "alone"), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-4)
    train(config(6), tmp_path / "run", resume=True)
    train(config(6), tmp_path / "alone", resume=True)
    for name in ("generator", "discriminator"):
        theirs = weights(tmp_path / "alone", name)
        for key, value in weights(tmp_path / "run", name).items():
            assert torch.allclose(value.float(), theirs[key].float(), atol=2e-3), key


@pytest.mark.parametrize(
    ("batch", "ranks", "spec", "words"),
    [
        (
            9,
            2,
            {},
            "--batch-size 9: 2 ranks cannot share it evenly; give 8, or start another number of ranks",
        ),
        (4, 4, {}, "--batch-size 4: 4 ranks .* give 8"),
        (12, 2, {"minibatch_stddev": True}, "2 ranks .* in whole groups of --minibatch-stddev; give 16"),
        (12, 4, {"arch": "madgan", "generators": 5}, "4 ranks .* give 20"),
    ],
)
def test_a_batch_that_ranks_cannot_share_is_refused(batch, ranks, spec, words, blobs):
    wanted = config(4, batch, **spec)
    wanted = dataclasses.replace(wanted, spec=wanted.spec.resolved(8))
    with pytest.raises(UsageError, match=words):
        refuse_uneven_shares(wanted, blobs, ranks)
    refuse_uneven_shares(wanted, blobs, 1)


@pytest.mark.parametrize("command", ["sample", "augment", "classify", "score", "compare", "doctor"])
def test_other_commands_work_in_one_process(command):
    words = [command, "nothing"] if command in ("sample", "classify", "score") else [command]
    done = CliRunner().invoke(app, words, env={**TWO, "RANK": "0"})
    assert done.exit_code == 2
    assert f"gangda {command} works in one process, and torchrun has started 2" in done.stderr


def test_processes_that_cannot_meet_are_refused():
    alone = {**TWO, "RANK": "0", "MASTER_ADDR": "", "MASTER_PORT": ""}
    done = CliRunner().invoke(app, ["train", "--steps", "1"], env=alone)
    assert done.exit_code == 2
    assert "MASTER_ADDR: not set; MASTER_PORT" in done.stderr


def test_only_the_first_rank_lists_the_catalog():
    assert CliRunner().invoke(app, ["train", "--list"], env=TWO).stdout == ""


def test_what_every_rank_meets_is_said_once(monkeypatch, capsys):
    for rank, said in (("0", "gangda: full\ngangda: wrong\n"), ("1", "gangda: rank 1: full\n")):
        for name, value in {**TWO, "RANK": rank}.items():
            monkeypatch.setenv(name, value)
        print_error("full", on_all_ranks=False)
        print_error("wrong", on_all_ranks=True)
        print_error("", on_all_ranks=False)
        assert capsys.readouterr().err == said


@pytest.mark.long
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_rank_is_started_anew_and_the_run_is_the_same(rank, tmp_path):
    wanted = config(60, every="5", virtual_batch_norm="none")
    assert finish(start(wanted, tmp_path / "whole"))[0] == 0
    run = tmp_path / "run"
    process = start(wanted, run, torchrun=("--max-restarts", "3"))
    for after in (5, 20):
        wait_for(lambda: newest(run) >= after)
        os.kill(rank_of(process, rank), signal.SIGKILL)
        wait_for(lambda: newest(run) > after)
    code, _, err = finish(process)
    assert code == 0, err
    assert "going on from step" in err
    assert log(run) == log(tmp_path / "whole")
    assert (run / "model" / "generator.safetensors").read_bytes() == (
        tmp_path / "whole" / "model" / "generator.safetensors"
    ).read_bytes()


@pytest.mark.long
@pytest.mark.parametrize("whom", ["torchrun", "rank 1", "everybody"])
def test_stopped_by_a_signal_and_run_again_is_the_uninterrupted_run(whom, tmp_path):
    wanted = config(400, every="50", virtual_batch_norm="none")
    run = tmp_path / "run"
    process = start(wanted, run)
    wait_for(lambda: newest(run) >= 50)
    targets = {
        "torchrun": [process.pid],
        "rank 1": [rank_of(process, 1)],
        "everybody": [rank_of(process, 0), rank_of(process, 1), process.pid],
    }
    for pid in targets[whom]:
        os.kill(pid, signal.SIGTERM)
    code, _, err = finish(process)
    assert code != 0
    assert "all saved; run the same command to go on" in err
    state = json.loads((run / "run.json").read_text())
    assert not state["finished"]
    assert 50 <= newest(run) < 400
    assert finish(start(wanted, run))[0] == 0
    assert finish(start(wanted, tmp_path / "whole"))[0] == 0
    assert log(run) == log(tmp_path / "whole")
    assert (run / "model" / "generator.safetensors").read_bytes() == (
        tmp_path / "whole" / "model" / "generator.safetensors"
    ).read_bytes()


@pytest.mark.long
def test_what_ends_the_leader_ends_all_and_is_said_once(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("do not touch")
    code, _, err = finish(start(config(4), tmp_path / "run"))
    assert code == 1
    assert err.count("is not a gangda run") == 1
    code, _, err = finish(start(config(4, batch_size=9), tmp_path / "other"))
    assert code != 0
    assert err.count("cannot share it evenly") == 1
    assert not (tmp_path / "other").exists()
