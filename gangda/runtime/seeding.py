"""Named random streams: every random draw comes from one, so that no draw depends on what ran before it."""

import hashlib
from collections.abc import Callable, Mapping

import numpy as np
import torch


def seed_for(*key: int | str) -> int:
    """A 63-bit seed from a key such as (seed, "sample", label, block); the same on every machine."""
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def torch_stream(*key: int | str) -> torch.Generator:
    """The CPU generator of this key."""
    return torch.Generator().manual_seed(seed_for(*key))


class SharedStream(torch.Generator):
    """A stream from which several processes draw the same numbers; each keeps those of its own images.

    `deals`: by the number of images that this process asks for, that of all processes, and which of them are its own.
    """

    deals: Mapping[int, tuple[int, torch.Tensor]]


def shared_stream(deals: Mapping[int, tuple[int, torch.Tensor]], *key: int | str) -> SharedStream:
    """The stream of this key, shared by several processes."""
    stream = SharedStream()
    stream.manual_seed(seed_for(*key))
    stream.deals = deals
    return stream


def draw(
    rng: torch.Generator, make: Callable[..., torch.Tensor], shape: tuple[int, ...], images: int = 0
) -> torch.Tensor:
    """`make(shape, generator=rng)`, where dimension `images` of the shape counts images.

    From a `SharedStream`, the rows of this process's images: the numbers of an image do not depend on the number of
    processes.
    """
    if not isinstance(rng, SharedStream):
        return make(shape, generator=rng)
    everyone, own = rng.deals[shape[images]]
    whole = make((*shape[:images], everyone, *shape[images + 1 :]), generator=rng)
    return whole.index_select(images, own)


def seed_device(device: torch.device, *key: int | str) -> None:
    """Seed the stream that dropout uses on this device.

    `torch.manual_seed` would seed all devices and, without a GPU, store a stack trace at each call.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed_for(*key))
    elif device.type == "cuda":
        with torch.cuda.device(device):  # it seeds the current GPU
            torch.cuda.manual_seed(seed_for(*key))
    else:
        getattr(torch, device.type).manual_seed(seed_for(*key))


def numpy_stream(*key: int | str) -> np.random.Generator:
    """The NumPy generator of this key."""
    return np.random.default_rng(seed_for(*key))
