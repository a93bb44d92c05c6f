"""Errors that a user can mend. Each message is one line: what is wrong, where, and what to do."""

import difflib
from collections.abc import Iterable


class GangdaError(Exception):
    """Base of all expected errors; printed as one line on stderr, then exit with `exit_code`."""

    exit_code = 1


class UsageError(GangdaError):
    """The command line or a configuration file cannot be understood."""

    exit_code = 2


class DataError(GangdaError):
    """Input images, labels or sample sets that cannot be used."""


class RunError(GangdaError):
    """A run, experiment or output folder that cannot be used as asked."""


class OutcomeError(RunError):
    """What training gave cannot be used: it collapsed, or diverged.

    That is the outcome of a seed, not a mistake in what was asked: an experiment records such a cell as failed, with
    the reason, and goes on with the others.
    """


class FilterError(OutcomeError):
    """A filter lets too few samples pass, or has none to go by: where it is one choice of several, it falls out."""


class IncompleteError(GangdaError):
    """Not all cells of an experiment are there yet; the message names the missing ones."""

    exit_code = 3


class StoppedError(GangdaError):
    """Stopped by a signal or a time budget with all work saved: run the same command again to go on."""

    exit_code = 75


class InterruptedByUserError(GangdaError):
    """Ctrl-C, with all work saved."""

    exit_code = 130


def suggestion(name: str, known: Iterable[str]) -> str:
    """ "did you mean 'NAME'? " for the known name that is nearest; empty where none is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean '{near[0]}'? " if near else ""


def is_out_of_memory(error: Exception) -> bool:
    """Python's own error, CUDA's, and those of torch's CPU allocator and kernels, which are bare RuntimeErrors."""
    said = ("can't allocate memory", "not enough memory", "bad_alloc", "could not create a memory object")
    named = type(error).__name__ == "OutOfMemoryError"
    return isinstance(error, MemoryError) or named or any(words in str(error) for words in said)
