"""Whether a training step fits into memory, found out before the work begins."""

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gangda.config.schema import TrainConfig
from gangda.data.images import LabelledImages
from gangda.errors import UsageError
from gangda.runtime.device import DeviceContext
from gangda.runtime.machine import free_memory
from gangda.runtime.progress import size_text
from gangda.runtime.runs import KEEP_CHECKPOINTS
from gangda.training.loop import StepRecord
from gangda.training.method import Method, make_method
from gangda.training.option_rules import OptionRules
from gangda.training.state import new_state
from gangda.training.worker_ranks import training_steps

PROBED = 64  # images of a batch that always fits: they have at most 64 pixels a side
NUMBER, HELD = 4, 4  # bytes of a weight; weights, two moments of Adam, and their average or gradient
PICTURES = 2 * 2**20  # about so many bytes of grids and the log
SPARE = 0.7  # of the free memory that a suggested batch takes: what is held for gradients is not all


def check_memory(config: TrainConfig, images: LabelledImages, context: DeviceContext) -> None:
    """Raise UsageError for a batch that does not fit into memory, with one that would."""
    if complaint := memory_complaint(config, images, context):
        raise UsageError(complaint)


def memory_complaint(config: TrainConfig, images: LabelledImages, context: DeviceContext) -> str:
    """What is said of a batch whose intermediate results alone need more memory than is free; empty where it fits.

    A step on a small batch is tried; batches up to that are not looked at.
    """
    batch, least = config.recipe.batch_size, OptionRules(config, images).min_batch_size
    probed = max(PROBED, 2 * least)
    free = free_bytes(context.device)
    if not config.images_per_step or batch <= probed or free is None:
        return ""
    each = step_memory(config, images, context, probed) / probed
    if each * batch <= free:
        return ""
    most = SPARE * free / each
    fits = 2 ** int(math.log2(most)) if most >= max(1, least) else 0
    cure = f"--batch-size {fits} would fit" if fits >= least else "give smaller networks"
    needs = f"a step needs {size_text(each * batch)} of memory, and {size_text(free)} are free"
    return f"--batch-size {batch}: {needs}; {cure}"


def step_memory(config: TrainConfig, images: LabelledImages, context: DeviceContext, batch: int) -> int:
    """Bytes that a step on so many images keeps for its backward passes, at its most."""
    recipe = dataclasses.replace(config.recipe, batch_size=batch)
    config = dataclasses.replace(config, recipe=recipe)
    context = dataclasses.replace(context, recorder=None)
    method, steps = steps_to_try(config, images.take(np.arange(min(len(images), batch))), context)
    weights = [tensor for module in method.modules.values() for tensor in module.state_dict().values()]
    return most_kept(lambda: next(steps), weights)


def training_memory(
    config: TrainConfig, images: LabelledImages, context: DeviceContext, parameters: int
) -> int:
    """Bytes of the images, of the networks with what trains them, and of a step's intermediate results."""
    least = OptionRules(config, images).min_batch_size
    probed = min(config.recipe.batch_size, max(PROBED, 2 * least))
    step = step_memory(config, images, context, probed) * config.recipe.batch_size / probed
    return int(images.pixels.nbytes + HELD * NUMBER * parameters + step)


def training_disk(parameters: int, checkpoints: int = KEEP_CHECKPOINTS) -> int:
    """Bytes of a finished run: checkpoints, the model at its last and best step, grids and the log."""
    return (checkpoints * HELD + 2) * NUMBER * parameters + PICTURES


def steps_to_try(
    config: TrainConfig, images: LabelledImages, context: DeviceContext
) -> tuple[Method, Iterator[StepRecord]]:
    """Steps of a run that is thrown away, without its pre-training; the first one has all lazy terms."""
    if config.method.pretraining_steps:
        own: Any = config.method
        config = dataclasses.replace(config, method=dataclasses.replace(own, d_pretrain=0))
    method = make_method(config, images, context)
    return method, training_steps(method, new_state(method), config.runtime.seed)


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
        # What torch keeps to use again is free too.
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + kept
    return free_memory() if device.type == "cpu" else None
