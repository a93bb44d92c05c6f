"""A recorder that does on the CPU what a CUDA graph does on a GPU: the same operations on the same tensors again.

Python does not run in a replay, so whatever a step takes from Python's values stays as it was when it was recorded. An
operation that a CUDA graph cannot hold is refused.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten
REFUSED = {
    aten._local_scalar_dense.default: "a value is read on the host",
    aten.nonzero.default: "a shape depends on values",
    aten.masked_select.default: "a shape depends on values",
    aten.lift_fresh.default: "a tensor is made of Python's values",
}


class Tape(TorchDispatchMode):
    """Notes every operation; `replay` does them again and puts the results in the same places."""

    def __init__(self):
        super().__init__()
        self.calls, self.replays = [], 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        if operation in REFUSED:
            raise RuntimeError(f"{operation}: {REFUSED[operation]}")
        result = operation(*args, **(kwargs or {}))
        self.calls.append((operation, args, kwargs or {}, result))
        return result

    def replay(self):
        self.replays += 1
        if self.replays == 1:  # computed while it was recorded, where a CUDA graph computes nothing
            return
        with torch.no_grad():
            for operation, args, kwargs, result in self.calls:
                if operation.is_view:
                    continue
                again = operation(*args, **kwargs)
                if not operation._schema.is_mutable:
                    for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                        if isinstance(old, torch.Tensor):
                            old.detach().copy_(new)


def tape(run):
    """See `gangda.runtime.capture.Recorder`."""
    made = Tape()
    with made:
        run()
    return made.replay
