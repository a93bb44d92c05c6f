"""Where a benchmark ran: the head of its JSON."""

import os
import platform
from typing import Any

import numpy as np
import torch

from gangda.runtime.device import Machine


def environment(machine: Machine) -> dict[str, Any]:
    """Machine, versions and precision, as plain values."""
    return {
        "machine": {"cores": os.cpu_count(), "processor": platform.machine(), "threads": machine.threads},
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "precision": machine.precision,
    }
