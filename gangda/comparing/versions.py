"""What the numbers of a cell depend on: versions and the machine, recorded by the process that ran it."""

import platform
from collections.abc import Iterable, Mapping
from importlib import metadata

import torch

import gangda

PACKAGES = ("torch", "torchvision", "numpy", "scipy")


def versions(device: torch.device | None = None) -> dict[str, str]:
    """Of this process, and the name of the GPU that it computes on."""
    own = {"gangda": gangda.__version__, "python": platform.python_version()}
    found = {**own, **{name: metadata.version(name) for name in PACKAGES}, "machine": platform.platform()}
    if device is not None and device.type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(device)
    return found


def joined(cells: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Those of several cells, different values of a name one after the other; this process's where none are known."""
    found: dict[str, dict[str, None]] = {}
    for one in cells:
        for name, value in one.items():
            found.setdefault(name, {})[value] = None
    return {name: " and ".join(values) for name, values in found.items()} or versions()
