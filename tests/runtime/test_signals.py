import os
import signal

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
