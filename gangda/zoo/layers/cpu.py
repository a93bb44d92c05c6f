"""Where the reformulated kernels for CPUs are used: accelerators and bf16 have fast ones of their own."""

import torch
from torch import Tensor


def is_plain_cpu(x: Tensor) -> bool:
    """Whether x is float32 on a CPU, and no autocast is active."""
    return x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
