"""kill -9 at any moment, then the same command again: nothing half-written is ever seen, nothing is lost."""

import json
import random
import re
import time
from pathlib import Path

import pytest
import torch
from processes import contents, hidden, visible

pytestmark = pytest.mark.faults

NETS = ("--width", 4, "--d-width", 4, "--batch-size", 16, "--threads", 1)
TRAIN = (
    "train",
    "--per-class",
    20,
    *NETS,
    "--steps",
    60,
    "--checkpoint-every",
    5,
    "--d-pretrain",
    8,
    "--out",
    "run",
)
SAMPLE = ("sample", "../model/run", "--per-class", 300, "--threads", 1, "--out", "set")
AUGMENT = (
    "augment",
    "--per-class",
    20,
    "--run",
    "../model/run",
    "--ratio",
    9,
    "--threads",
    1,
    "--out",
    "set",
)
COMPARE = (
    *("compare", "--per-class", 20, *NETS, "--steps", 12, "--checkpoint-every", 5, "--seeds", 2, "--jobs", 1),
    *("--arms", "real,generated", "--classifier-steps", 20, "--out", "experiment"),
)
COMMANDS = {
    "train": TRAIN,
    "sample": SAMPLE,
    "sample npz": (*SAMPLE, "--format", "npz"),
    "augment": (*AUGMENT, "--format", "idx"),
    "compare": COMPARE,
}
EVERY = 5  # steps between the checkpoints of TRAIN


@pytest.fixture(scope="module")
def unhurt(zygote, tmp_path_factory):
    """What each command leaves when nobody disturbs it, and how long it takes."""
    place = tmp_path_factory.mktemp("kills")
    assert zygote.run(TRAIN, place / "model")[0] == 0
    known = {}

    def get(name):
        if name not in known:
            began = time.monotonic()
            code, command = zygote.run(COMMANDS[name], place / name)
            assert code == 0, command.err
            known[name] = contents(place / name), time.monotonic() - began
        return place, *known[name]

    return get


def kill_and_run_again(zygote, unhurt, name, kills, rng):
    place, _, seconds = unhurt(name)
    cwd = place / f"{name} {rng.random()}"
    for _ in range(kills):
        command = zygote.start(COMMANDS[name], cwd)
        time.sleep(rng.uniform(0, seconds))
        kill(command)
    run_again(zygote, unhurt, name, cwd)


def kill(command):
    command.kill()
    contents(command.cwd)  # fails where something visible is not whole


def run_again(zygote, unhurt, name, cwd):
    state = cwd / "run" / "run.json"
    finished = state.exists() and json.loads(state.read_text())["finished"]
    saved = "" if finished else newest_checkpoint(cwd)
    code, command = zygote.run(COMMANDS[name], cwd)
    assert code == 0, command.err
    assert contents(cwd) == unhurt(name)[1]
    assert not [name for name in hidden(cwd) if "/cells/" not in name]
    if saved:
        assert f"going on from {saved}" in command.err


def newest_checkpoint(cwd: Path) -> str:
    """Where a run must go on: the step of its newest checkpoint, counted before step 1 in pre-training."""
    checkpoints = [
        path for name, path in visible(cwd).items() if re.fullmatch(r"run/checkpoints/.*\.pt", name)
    ]
    log = cwd / "run" / "metrics.jsonl"
    if not checkpoints:
        return ""
    state = torch.load(checkpoints[-1], weights_only=True)["state"]
    logged = [int(step) for step in re.findall(r'"step": (\d+)', log.read_text())] if log.exists() else []
    assert state["step"] >= max(logged, default=0) - EVERY
    return f"step {state['step']}" if state["step"] else f"step {state['pretrained']} of pre-training"


@pytest.mark.parametrize("step", [0, 5, 30])
def test_a_training_killed_at_a_checkpoint_goes_on_from_it(zygote, unhurt, step):
    cwd = unhurt("train")[0] / f"train, killed at {step}"
    command = zygote.start(TRAIN, cwd)
    command.until((cwd / "run" / "checkpoints" / f"step-{step:08d}.pt").exists)
    kill(command)
    assert newest_checkpoint(cwd)
    run_again(zygote, unhurt, "train", cwd)


@pytest.mark.parametrize("name", ["train", "sample"])
def test_a_killed_command_run_again_leaves_what_an_unhurt_one_leaves(zygote, unhurt, name):
    kill_and_run_again(zygote, unhurt, name, 1, random.Random())


@pytest.mark.long
@pytest.mark.parametrize("round", range(4))
@pytest.mark.parametrize("name", COMMANDS)
def test_killed_again_and_again(zygote, unhurt, name, round):
    kill_and_run_again(zygote, unhurt, name, 4, random.Random(f"{name} {round}"))
