"""Errors that a user can correct. Each message is one line: what is wrong, where, and what to do."""


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
    """The result of training cannot be used: it collapsed, or diverged.

    That is the result of a seed, not a mistake in the request: a comparison records such a cell as failed, with the
    reason, and continues with the others.
    """


class FilterError(OutcomeError):
    """A filter passes too few samples, or has nothing to decide by: as one choice of several, it is dropped."""


class IncompleteError(GangdaError):
    """Cells of a comparison are missing; the message names them."""

    exit_code = 3


class StoppedError(GangdaError):
    """Stopped by a signal or a time budget with all work saved: the same command continues."""

    exit_code = 75


class InterruptedByUserError(GangdaError):
    """Ctrl-C, with all work saved."""

    exit_code = 130


def is_out_of_memory(error: Exception) -> bool:
    """Python's own error, CUDA's, and those of torch's CPU allocator and kernels, which are plain RuntimeErrors."""
    messages = ("can't allocate memory", "not enough memory", "bad_alloc", "could not create a memory object")
    named = type(error).__name__ == "OutOfMemoryError"
    return isinstance(error, MemoryError) or named or any(words in str(error) for words in messages)
