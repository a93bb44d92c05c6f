"""Whether a training step fits into memory, found out before the work begins."""

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Collection

import numpy as np
import torch
from torch import Tensor

from gangda.config.schema import TrainConfig
from gangda.data.images import LabelledImages
from gangda.errors import UsageError
from gangda.runtime.device import DeviceContext
from gangda.runtime.machine import free_memory
from gangda.training.method import make_method
from gangda.training.option_rules import OptionRules
from gangda.training.state import new_state
from gangda.training.worker_ranks import training_steps

PROBED = 64  # images of a batch that always fits: they have at most 64 pixels a side
SPARE = 0.7  # of the free memory that a suggested batch takes: what is held for gradients is not all


def check_memory(config: TrainConfig, images: LabelledImages, context: DeviceContext) -> None:
    """Refuse a batch whose intermediate results alone need more memory than is free; a small one is tried.

    Raises:
        UsageError: too large a batch, with one that would fit.
    """
    batch, least = config.recipe.batch_size, OptionRules(config, images).min_batch_size
    probed = max(PROBED, 2 * least)
    free = free_bytes(context.device)
    if not config.images_per_step or batch <= probed or free is None:
        return
    needed = step_memory(config, images, context, probed) * batch / probed
    if needed > free:
        fits = 2 ** int(math.log2(max(1, batch * SPARE * free / needed)))
        cure = f"--batch-size {fits} would fit" if fits >= least else "give smaller networks"
        raise UsageError(
            f"--batch-size {batch}: a step needs {_gib(needed)} of memory, and {_gib(free)} are free; {cure}"
        )


def step_memory(config: TrainConfig, images: LabelledImages, context: DeviceContext, batch: int) -> int:
    """Bytes that a step on so many images keeps for its backward passes, at its most."""
    recipe = dataclasses.replace(config.recipe, batch_size=batch)
    config = dataclasses.replace(config, recipe=recipe)
    context = dataclasses.replace(context, recorder=None)
    some = images.take(np.arange(min(len(images), batch)))
    method = make_method(config, some, context)
    steps = training_steps(method, new_state(method), config.runtime.seed)
    weights = [tensor for module in method.modules.values() for tensor in module.state_dict().values()]
    return most_kept(lambda: next(steps), weights)


def most_kept(run: Callable[[], object], apart: Collection[Tensor] = ()) -> int:
    """Most bytes of tensors that autograd keeps at one time while `run` runs, without those `apart`."""
    known = {tensor.untyped_storage().data_ptr() for tensor in apart}
    keeping: Counter[int] = Counter()  # how often each storage is kept
    now = most = 0

    class Kept:
        def __init__(self, tensor: Tensor) -> None:
            nonlocal now, most
            storage = tensor.untyped_storage()
            self.tensor, self.place, self.size = tensor, storage.data_ptr(), storage.nbytes()
            if not keeping[self.place] and self.place not in known:
                now += self.size
                most = max(most, now)
            keeping[self.place] += 1

        def __del__(self) -> None:
            nonlocal now
            keeping[self.place] -= 1
            if not keeping[self.place] and self.place not in known:
                now -= self.size

    with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
        run()
    return most


def free_bytes(device: torch.device) -> int | None:
    """Free memory of the device; None where it is not known."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return free_memory() if device.type == "cpu" else None


def _gib(size: float) -> str:
    return f"{size / 2**30:,.1f} GiB"
