"""Stopping politely: a signal sets a flag, the loop sees it at the next step and saves; a second one exits at once.

Where there is nothing to save (reading data, training a classifier, writing a set that is not in its place yet), the
first signal ends the work where it is: see `StopRequest.at_once`.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

from gangda.errors import GangdaError, InterruptedByUserError, StoppedError

_WATCHED = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)]


class EndedError(BaseException):
    """Leaves the work at once. Like KeyboardInterrupt no Exception: nothing on the way may take it for a failure.

    `StopRequest.at_once` raises it and makes an error of it; `exit_code` is what other processes hear of it.
    """

    exit_code = StoppedError.exit_code


class StopRequest:
    """Whether a signal has come; `error(message)` is what to raise once the work is saved."""

    def __init__(self, patient: bool = False) -> None:
        self.signal: int | None = None
        self._patient = patient
        self._at_once = False

    def __bool__(self) -> bool:
        return self.signal is not None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The handler itself."""
        if self.signal is not None and not self._patient:
            os._exit(128 + number)
        self.signal = number
        self.end_at_once()

    def end_at_once(self) -> None:
        """Leave the work inside `at_once`, if a signal has come there."""
        if self._at_once and self:
            raise EndedError

    def hear(self, number: int) -> None:
        """Of a signal that another process has got; 0 for none."""
        if number and self.signal is None:
            self.signal = number

    def error(self, message: str) -> GangdaError:
        """Exit code 130 after Ctrl-C, 75 otherwise."""
        kind = InterruptedByUserError if self.signal == signal.SIGINT else StoppedError
        return kind(message)

    @contextlib.contextmanager
    def at_once(self, message: str) -> Iterator[None]:
        """Inside, a signal ends the work wherever it is: for work that leaves nothing half-made.

        What a request inside this one has heard of ends it when that one has ended, if that was not with an error.

        Raises:
            StoppedError, InterruptedByUserError: a signal has come; with this message.
        """
        if self:
            raise self.error(message)
        try:
            self._at_once = True
            yield
            self._at_once = False
        except EndedError:
            raise self.error(message) from None
        finally:
            self._at_once = False


@contextlib.contextmanager
def stop_request(patient: bool = False) -> Iterator[StopRequest]:
    """Watch SIGINT, SIGTERM and SIGUSR1 while inside; outside the main thread, watch nothing.

    `patient`: a second signal is no more than the first. torchrun passes on what a scheduler has sent to it and to its
    processes alike, so that these hear of everything twice; what does not end in time it kills.

    Inside another request a signal counts for both: the outer one hears of it when the inner one ends, and leaves its
    work then if that is done `at_once`; an error that ends the inner one says more, and passes.
    """
    request = StopRequest(patient)
    previous = {}
    try:
        for number in _WATCHED:
            previous[number] = signal.signal(number, request)
    except ValueError:  # not the main thread
        pass
    outer = None
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
            if number == request.signal and isinstance(handler, StopRequest):
                outer = handler
                outer.signal = number
    if outer is not None:
        outer.end_at_once()
