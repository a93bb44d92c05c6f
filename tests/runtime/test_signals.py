import os
import signal
import subprocess
import sys
import time

import pytest

from gangda.errors import InterruptedByUserError, StoppedError
from gangda.runtime.signals import stop_request


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        (signal.SIGTERM, StoppedError, 75),
        (signal.SIGUSR1, StoppedError, 75),
        (signal.SIGINT, InterruptedByUserError, 130),
    ],
)
def test_a_signal_becomes_a_request(number, kind, code):
    before = signal.getsignal(number)
    with stop_request() as stop:
        assert not stop
        os.kill(os.getpid(), number)
        assert stop
        error = stop.error("saved")
    assert isinstance(error, kind)
    assert error.exit_code == code
    assert signal.getsignal(number) == before


def test_the_outer_of_two_requests_gets_the_signal_too():
    with stop_request() as outer:
        with stop_request():
            pass
        assert not outer
        with stop_request() as inner:
            os.kill(os.getpid(), signal.SIGUSR1)
        assert inner.signal == outer.signal == signal.SIGUSR1


def test_work_done_at_once_ends_after_a_nested_request_got_a_signal():
    reached = []

    def work(failing):
        with stop_request() as outer, outer.at_once("the cell is done again"):
            with stop_request():
                os.kill(os.getpid(), signal.SIGTERM)
                reached.append("the rest of the inner work")
                if failing:
                    raise StoppedError("all saved")
            reached.append("the rest of the outer work")

    with pytest.raises(StoppedError, match="done again"):
        work(failing=False)
    with pytest.raises(StoppedError, match="all saved"):  # what the inner one has to say is not lost
        work(failing=True)
    assert set(reached) == {"the rest of the inner work"}


TWO_SIGNALS = """
import os, signal, sys, time
from gangda.runtime.signals import stop_request
with stop_request() as stop:
    for number in sys.argv[2:]:
        os.kill(os.getpid(), getattr(signal, number))
        time.sleep(float(sys.argv[1]))
    print("saved", stop.signal)
"""


def ended_by(apart, *names):
    """What a process does that gets these signals, so many seconds apart."""
    words = [sys.executable, "-c", TWO_SIGNALS, str(apart), *names]
    return subprocess.run(words, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("apart", "names"),
    [(0.015, ("SIGTERM", "SIGTERM")), (1.2, ("SIGTERM", "SIGTERM")), (0.1, ("SIGINT", "SIGINT"))],
)
def test_a_repeated_signal_is_no_impatience(apart, names):
    done = ended_by(apart, *names)
    assert (done.returncode, done.stdout) == (0, f"saved {getattr(signal, names[0])}\n")


ENDING = """
import atexit, os, signal, time
import typer
from gangda.cli.group import Group

app = typer.Typer(cls=Group)

@app.callback(invoke_without_command=True)
def work():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        print("cleaned up", flush=True)

atexit.register(os.kill, os.getpid(), signal.SIGTERM)
app(whole_process=True)
"""


def test_a_repeated_signal_neither_disturbs_nor_kills_what_is_ending():
    done = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (75, "cleaned up\n")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("world", "end"), [("1", "finalised\n"), ("2", "")])
def test_one_of_several_ranks_ends_without_finalising_the_interpreter(world, end):
    script = ENDING.replace(
        "os.kill, os.getpid(), signal.SIGTERM)\napp", "print, 'finalised', flush=True)\napp"
    )
    environ = {**os.environ, "WORLD_SIZE": world, "RANK": "0"}
    words = [sys.executable, "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, env=environ)
    assert (done.returncode, done.stdout) == (75, f"cleaned up\n{end}")


def test_a_second_ctrl_c_exits_at_once():
    done = ended_by(1.2, "SIGINT", "SIGINT")
    assert (done.returncode, done.stdout) == (130, "")


def test_a_signal_of_another_kind_does_not_replace_the_first():
    with stop_request() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGUSR1)
    assert stop.signal == signal.SIGTERM
