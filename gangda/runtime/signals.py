"""Stopping on a signal: it sets a flag; the loop looks at the next step, and saves. A second Ctrl-C exits at once.

Where there is nothing to save (reading data, training a classifier, writing a set into a temporary folder), the first
signal ends the work immediately: see `StopRequest.at_once`.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType

from gangda.errors import GangdaError, InterruptedByUserError, StoppedError

TWICE = 1.0  # seconds within which a second signal is the first one again: Slurm's preemption sends two
_WATCHED = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)]


def _say_nothing() -> None:
    """Where nobody has asked to be told."""


# Called when a signal has come and its work is still to be saved.
_announce: Callable[[], None] = _say_nothing


@contextlib.contextmanager
def announced_stops(announce: Callable[[], None]) -> Iterator[None]:
    """Inside the block, `announce` is called by the signals' handler: saving may take seconds."""
    global _announce
    before, _announce = _announce, announce
    try:
        yield
    finally:
        _announce = before


class EndedError(BaseException):
    """Ends the work at once. Not an Exception, like KeyboardInterrupt, so that nothing handles it as a failure.

    It is raised inside `StopRequest.at_once`, which turns it into an error; other ranks get its `exit_code`.
    """

    exit_code = StoppedError.exit_code


class StopRequest:
    """True once a signal has come; `error(message)` is what to raise when the work is saved."""

    def __init__(self, patient: bool = False) -> None:
        self.signal: int | None = None
        self._came = 0.0
        self._patient = patient
        self._at_once = False

    def __bool__(self) -> bool:
        return self.signal is not None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        impatient = number == signal.SIGINT and time.monotonic() - self._came > TWICE
        if self.signal is not None and impatient and not self._patient:
            os._exit(128 + number)
        first = self.signal is None
        if first:
            self.signal, self._came = number, time.monotonic()
        # A repeated one would end what the first one's end still cleans up.
        if first or time.monotonic() - self._came > TWICE:
            self.end_at_once()
        if first:
            _announce()

    def end_at_once(self) -> None:
        """Inside `at_once`, end the work if a signal has come."""
        if self._at_once and self:
            raise EndedError

    def set(self, number: int) -> None:
        """Record a signal that another process has got; 0 for none."""
        if number and self.signal is None:
            self.signal = number

    def take_over(self, inner: "StopRequest") -> None:
        """Have the signal that a request inside this one has got, since when it has."""
        self.signal, self._came = inner.signal, inner._came

    def error(self, message: str) -> GangdaError:
        """Exit code 130 after Ctrl-C, 75 otherwise."""
        kind = InterruptedByUserError if self.signal == signal.SIGINT else StoppedError
        return kind(message)

    @contextlib.contextmanager
    def at_once(self, message: str) -> Iterator[None]:
        """Inside the block, a signal ends the work at any point: for work that leaves nothing unfinished behind.

        Raises StoppedError, InterruptedByUserError: a signal has come; with this message.
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
def stop_request(patient: bool = False, last: bool = False) -> Iterator[StopRequest]:
    """Handle SIGINT, SIGTERM and SIGUSR1 inside the block; outside the main thread, handle nothing.

    `patient`: a second Ctrl-C does not exit at once. A scheduler signals torchrun and its processes, and torchrun
    passes the signal on, so that they get each one twice; torchrun kills processes that do not end in time.

    `last`: the process ends after the block. If a signal has come, later ones but Ctrl-C are ignored: Slurm's second
    SIGTERM would find a process that is ending, and kill it without its exit code.

    In nested requests the outer one gets the signal when the inner one ends, unless by an error, and then ends its own
    work if that is done `at_once`.
    """
    request = StopRequest(patient)
    previous = {}
    with contextlib.suppress(ValueError):  # not the main thread
        for number in _WATCHED:
            previous[number] = signal.signal(number, request)
    outer = None
    try:
        yield request
    finally:
        ignored = last and request.signal is not None
        for number, handler in previous.items():
            signal.signal(number, signal.SIG_IGN if ignored and number != signal.SIGINT else handler)
            if number == request.signal and isinstance(handler, StopRequest):
                outer = handler
                outer.take_over(request)
    if outer is not None:
        outer.end_at_once()
