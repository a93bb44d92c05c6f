"""Torch's global state: commands set threads, flags and random streams; what is called from Python undoes that."""

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch


@contextlib.contextmanager
def unchanged_torch() -> Iterator[None]:
    """Undo, at the end, what the block did to torch's global settings and to the global random generators.

    Those are threads, denormal numbers, default dtype and device, determinism, TF32 and cuDNN's flags, and the states
    of torch (CPU and started GPUs), NumPy and `random`. How glibc keeps freed memory is not undone.
    """
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    flushes, precision = _flushes_denormal(), torch.get_float32_matmul_precision()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    flags = [
        (owner, name, getattr(owner, name))
        for owner, names in ((cudnn, ("benchmark", "deterministic", "allow_tf32")), (matmul, ("allow_tf32",)))
        for name in names
    ]
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    current = torch.cuda.current_device() if gpus else None
    states = {gpu: torch.cuda.get_rng_state(gpu) for gpu in gpus}
    cpu, numpy_state, python_state = torch.get_rng_state(), np.random.get_state(), random.getstate()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
        torch.set_flush_denormal(flushes)
        torch.set_float32_matmul_precision(precision)
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        for owner, name, value in flags:
            if getattr(owner, name) != value:
                setattr(owner, name, value)
        if current is not None:
            torch.cuda.set_device(current)
        for gpu, state in states.items():
            torch.cuda.set_rng_state(state, gpu)
        torch.set_rng_state(cpu)
        np.random.set_state(numpy_state)
        random.setstate(python_state)


def _flushes_denormal() -> bool:
    """Whether numbers too small for float32's exponent become 0; torch has no question for it."""
    return not bool(torch.tensor(1e-39, dtype=torch.float32) * 1.0)
