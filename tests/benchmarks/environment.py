"""Where a benchmark ran: the head of its JSON."""

import os
import platform
from typing import Any

import numpy as np
import torch

from gangda.runtime.device import DeviceContext


def environment(context: DeviceContext) -> dict[str, Any]:
    """Machine, versions and precision, as plain values."""
    return {
        "machine": {"cores": os.cpu_count(), "processor": platform.machine(), "threads": context.threads},
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "precision": context.precision,
    }
