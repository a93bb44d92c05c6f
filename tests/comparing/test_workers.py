import json
import os
import signal
import threading
import time

import pytest
from fake_experiment import plan_for

from gangda.comparing.workers import run_cells
from gangda.errors import DataError, RunError, StoppedError
from gangda.runtime.progress import Reporter
from gangda.runtime.signals import stop_request


class Listener(Reporter):
    def __init__(self):
        self.shares, self.finished = [], []

    def step(self, task, done, total, info="", finished=None):
        self.shares.append((done, total))
        self.finished.append(finished)


def write_process(plan, cell, out, tell):
    tell(0.5, "writing")
    time.sleep(0.3)
    (out / f"{cell.index}").write_text(json.dumps({"process": os.getpid()}))


def fail_on_two(plan, cell, out, tell):
    if cell.index == 2:
        raise DataError(f"cell {cell.index}: no images")
    write_process(plan, cell, out, tell)


def die(plan, cell, out, tell):
    os._exit(9)


def be_stopped(plan, cell, out, tell):
    os.kill(os.getpid(), signal.SIGUSR1 if cell.index else signal.SIGTERM)
    time.sleep(10)


def be_stopped_afterwards(plan, cell, out, tell):
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
    time.sleep(0.1)


def be_stopped_when_trained(plan, cell, out, tell):
    with stop_request():  # as training does, which then finishes
        os.kill(os.getpid(), signal.SIGTERM)
    (out / f"{cell.index}").touch()


def linger(plan, cell, out, tell):
    (out / f"started-{cell.index}").touch()
    for _ in range(600):
        time.sleep(0.05)
        tell(0.1, "lingering")


def train_two_generators(plan, cell, out, tell):
    for share in (0.35, 0.7, 0.1, 0.7, 1.0):
        tell(share, "training")


@pytest.fixture
def plan(tmp_path):
    return plan_for(tmp_path / "exp", seeds=4)


def numbers(folder):
    return sorted(path.name for path in folder.iterdir() if path.name.isdigit())


def test_two_workers_share_all_cells(plan, tmp_path):
    listener = Listener()
    run_cells(plan, plan.cells, tmp_path, 2, listener, write_process)
    assert numbers(tmp_path) == ["0", "1", "2", "3"]
    processes = {json.loads((tmp_path / name).read_text())["process"] for name in numbers(tmp_path)}
    assert len(processes) == 2
    assert os.getpid() not in processes
    assert listener.shares[-1] == (4, 4)
    assert sorted(listener.finished) == listener.finished
    assert set(listener.finished) == {0, 1, 2, 3, 4}


def test_one_job_needs_no_process(plan, tmp_path):
    run_cells(plan, plan.cells[:2], tmp_path, 1, Reporter(), write_process)
    assert json.loads((tmp_path / "1").read_text())["process"] == os.getpid()


def test_progress_never_goes_back(plan, tmp_path):
    listener = Listener()
    run_cells(plan, plan.cells[:2], tmp_path, 1, listener, train_two_generators)
    assert listener.shares == sorted(listener.shares)
    assert listener.shares[2] == (0.7, 2)


def test_a_failing_cell_is_named_and_finished_ones_stay(plan, tmp_path):
    with pytest.raises(DataError, match="cell 2: no images"):
        run_cells(plan, plan.cells, tmp_path, 2, Reporter(), fail_on_two)
    assert {"0", "1"} & set(numbers(tmp_path))  # cell 2 was handed out when one of these was done


@pytest.mark.faults
def test_a_worker_that_dies_is_one_line(plan, tmp_path):
    with pytest.raises(RunError, match=r"cell \d \(seed \d\): its worker ended \(exit code 9\)"):
        run_cells(plan, plan.cells, tmp_path, 2, Reporter(), die)


@pytest.mark.faults
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("work", [be_stopped, be_stopped_afterwards])
def test_a_worker_that_was_asked_to_stop_is_a_stop(plan, tmp_path, work, first):
    with pytest.raises(StoppedError, match="run the same command again"):
        run_cells(plan, [plan.cells[first]] * 9, tmp_path, 2, Reporter(), work)


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.faults)])
def test_a_signal_at_the_end_of_training_stops_the_rest_of_the_cell(plan, tmp_path, jobs):
    with pytest.raises(StoppedError, match="0 of 4 cells finished"):
        run_cells(plan, plan.cells, tmp_path, jobs, Reporter(), be_stopped_when_trained)
    assert numbers(tmp_path) == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_signal_stops_everything_and_says_how_to_go_on(plan, tmp_path, jobs):
    def send():
        while not (tmp_path / "started-0").exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    sender = threading.Thread(target=send)
    sender.start()
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(StoppedError, match="run the same command again"):
        run_cells(plan, plan.cells, tmp_path, jobs, Reporter(), linger)
    sender.join()
    assert signal.getsignal(signal.SIGTERM) == before
