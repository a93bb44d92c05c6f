"""Named random streams: every random draw belongs to one, so that no draw depends on what ran before it."""

import hashlib

import numpy as np
import torch


def seed_for(*key: int | str) -> int:
    """A 63-bit seed from a key such as (seed, "sample", label, block); the same on every machine."""
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def torch_stream(*key: int | str) -> torch.Generator:
    """A CPU generator of its own for this key."""
    return torch.Generator().manual_seed(seed_for(*key))


def seed_device(device: torch.device, *key: int | str) -> None:
    """Seed the stream that dropout uses on this device.

    `torch.manual_seed` would do so for all devices and, without a GPU, store a stack trace at each call.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed_for(*key))
    elif device.type == "cuda":
        with torch.cuda.device(device):  # it seeds the current GPU
            torch.cuda.manual_seed(seed_for(*key))
    else:
        getattr(torch, device.type).manual_seed(seed_for(*key))


def numpy_stream(*key: int | str) -> np.random.Generator:
    """A NumPy generator of its own for this key."""
    return np.random.default_rng(seed_for(*key))
