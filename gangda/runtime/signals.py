"""Stopping politely: a signal sets a flag, the loop sees it at the next step and saves; a second one exits at once."""

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

from gangda.errors import GangdaError, InterruptedByUserError, StoppedError

_WATCHED = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)]


class StopRequest:
    """Whether a signal has come; `error(message)` is what to raise once the work is saved."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The handler itself."""
        if self.signal is not None:
            os._exit(128 + number)
        self.signal = number

    def error(self, message: str) -> GangdaError:
        """Exit code 130 after Ctrl-C, 75 otherwise."""
        kind = InterruptedByUserError if self.signal == signal.SIGINT else StoppedError
        return kind(message)


@contextlib.contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Watch SIGINT, SIGTERM and SIGUSR1 while inside; outside the main thread, watch nothing.

    Inside another request a signal counts for both: the outer one hears of it when the inner one ends.
    """
    request = StopRequest()
    previous = {}
    try:
        for number in _WATCHED:
            previous[number] = signal.signal(number, request)
    except ValueError:  # not the main thread
        pass
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
            if number == request.signal and isinstance(handler, StopRequest):
                handler.signal = number
