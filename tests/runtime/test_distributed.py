"""Two real processes that meet over gloo, and what one alone does in their place."""

import json
import os
import socket
import subprocess
import sys

import pytest
import torch

from gangda.errors import DataError
from gangda.runtime.distributed import ALONE, CONTINUE, WorkerExitError, process_group
from gangda.runtime.launch import ONE_PROCESS

PAIR = """
import json, os, signal, sys
import torch
from gangda.errors import DataError, StoppedError, UsageError
from gangda.runtime.distributed import CONTINUE, EXIT, LostRankError, WorkerExitError, process_group
from gangda.runtime.launch import distributed_env
from gangda.runtime.signals import stop_request

def outcome(work):
    try:
        return work()
    except Exception as error:
        return [type(error).__name__, getattr(error, "exit_code", None), str(error)]

launch = distributed_env(os.environ)
rank, found = launch.rank, {}
with process_group(launch, lambda: torch.device("cpu")) as ranks:
    grid = torch.full((2, 3, 4, 4), float(rank)).to(memory_format=torch.channels_last)
    odd = torch.tensor([1.0, 5.0]) * (1 + 2 * rank)
    ranks.average([grid, odd])
    found["average"] = [grid.unique().tolist(), odd.tolist()]
    found["mean"] = ranks.mean(torch.tensor(float(rank), requires_grad=True)).item()
    ask = ranks.sync_signal
    found["synced"] = [ask(), ask(signal=15 * rank), ask(command=7 * (1 - rank))]
    taken = ranks.broadcast({"step": 3, "w": torch.arange(3.0)} if rank == 0 else None)
    found["state"] = [taken["step"], taken["w"].tolist()]

    def agree(failing):
        with ranks.all_or_none():
            if rank in failing:
                raise UsageError("mine") if rank else DataError("mine")
        return "fine"

    found["agreed"] = [outcome(lambda: agree(who)) for who in ((), (0,), (1,), (0, 1))]

    def end_workers():
        with ranks.ending_workers():
            raise StoppedError("saved")

    found["over"] = outcome(end_workers) if rank == 0 else ranks.sync_signal()[1] - EXIT

    def stopped(block):
        with stop_request() as stop, stop.at_once("stopped"), block:
            if rank == 0:
                os.kill(os.getpid(), signal.SIGTERM)

    found["stopped together"] = outcome(lambda: stopped(ranks.all_or_none()))
    main_rank = lambda: stopped(ranks.ending_workers())
    found["stopped alone"] = outcome(main_rank) if rank == 0 else ranks.sync_signal()[1] - EXIT
    print(json.dumps(found), flush=True)
    if rank == 1:
        os._exit(9)
    lost = outcome(lambda: ranks.sync_signal())
    print(json.dumps(lost), flush=True)
    raise SystemExit
"""


@pytest.fixture(scope="module")
def pair():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", PAIR],
            env={**os.environ, **told, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    try:
        return [
            [json.loads(line) for line in process.communicate(timeout=120)[0].splitlines()]
            for process in both
        ]
    finally:
        for process in both:
            process.kill()


def test_two_ranks_average_and_exchange_state(pair):
    for found, *_ in pair:
        assert found["average"] == [[0.5], [2.0, 10.0]]
        assert found["mean"] == 0.5
        assert found["synced"] == [[0, 0], [15, 0], [0, 7]]
        assert found["state"] == [3, [0.0, 1.0, 2.0]]


def test_ranks_succeed_together_or_the_first_that_failed_reports_why(pair):
    first, second = (found["agreed"] for (found, *_) in pair)
    data, usage = ["DataError", 1, "mine"], ["UsageError", 2, "mine"]
    assert first == ["fine", data, ["WorkerExitError", 2, ""], data]
    assert second == ["fine", ["WorkerExitError", 1, ""], usage, ["WorkerExitError", 1, ""]]


def test_whatever_ends_the_main_rank_ends_the_workers(pair):
    assert pair[0][0]["over"] == ["StoppedError", 75, "saved"]
    assert pair[1][0]["over"] == 75


def test_a_signal_to_one_rank_stops_all_of_them(pair):
    stopped = ["StoppedError", 75, "stopped"]
    assert [found["stopped together"] for (found, *_) in pair] == [stopped, ["WorkerExitError", 75, ""]]
    assert [found["stopped alone"] for (found, *_) in pair] == [stopped, 75]


def test_a_dead_rank_is_noticed(pair):
    kind, code, said = pair[0][1]
    assert (kind, code) == ("LostRankError", 1)
    assert "--max-restarts" in said
    assert "\n" not in said


def test_a_single_process_connects_to_nothing():
    def nowhere():
        raise AssertionError("no device is asked for")

    with process_group(ONE_PROCESS, nowhere) as ranks:
        assert ranks is ALONE
        assert not torch.distributed.is_initialized()
        tensor = torch.ones(2)
        ranks.average([tensor])
        assert tensor.tolist() == [1, 1]
        assert ranks.sync_signal(signal=2) == (2, CONTINUE)
        with pytest.raises(DataError), ranks.all_or_none():
            raise DataError("mine")
        with pytest.raises(WorkerExitError), ranks.ending_workers():
            raise WorkerExitError(0)
