"""Fill a plan: the real images that stay, then generated ones, then transformed ones."""

from collections.abc import Iterator

import numpy as np
import torch

from gangda.augmenting.plan import AugmentPlan, kept_rows, split_by_method
from gangda.augmenting.task import Task
from gangda.data.images import TRADITIONAL, IntArray, LabelledImages, generated_images
from gangda.data.sample_set import SetWriter
from gangda.runtime.seeding import numpy_stream, torch_stream
from gangda.sampling.sampler import Sampler
from gangda.sampling.writing import blocks_of, write_samples
from gangda.traditional.transforms import batch_transform
from gangda.zoo.draw import BLOCK

CHUNK = 4096  # real images written at once


def fill(writer: SetWriter, task: Task, plan: AugmentPlan, sampler: Sampler | None) -> None:
    """Write the images of a plan into a set; `sampler` may be None where none are generated."""
    train = task.splits.train
    generated, traditional = split_by_method(plan.make, task.config.augment.method)
    kept = kept_rows(train.labels, plan.keep, task.config.runtime.seed)
    for start in range(0, len(kept), CHUNK):
        writer.write(train.take(kept[start : start + CHUNK]), start)
    if sampler is not None:
        first_of_class = len(kept) + np.cumsum(generated) - generated
        write_samples(writer, sampler, blocks_of(generated), first_of_class, task.reporter)
    for made in transformed_images(task, traditional):
        writer.write(made, writer.count)


def transformed_images(task: Task, counts: IntArray) -> Iterator[LabelledImages]:
    """Transformed copies of real images, `counts` (K,): each class's images in turn, in an order drawn by seed.

    The parameters come from the streams (seed, class, block).
    """
    train, seed = task.splits.train, task.config.runtime.seed
    transform = batch_transform(task.config.transforms)
    done, total = 0, int(counts.sum())
    order = {
        label: numpy_stream(seed, "traditional", label).permutation(np.flatnonzero(train.labels == label))
        for label in np.flatnonzero(counts).tolist()
    }
    for label, block, count in blocks_of(counts):
        places = np.arange(count) + block * BLOCK
        parents = order[label][places % len(order[label])]
        originals = torch.tensor(train.pixels[parents]).permute(0, 3, 1, 2)
        changed = transform(originals, torch_stream(seed, "traditional", label, block)).permute(0, 2, 3, 1)
        pixels, row_ids = changed.contiguous().numpy(), train.row_id[parents]
        yield generated_images(pixels, label, train.class_names, TRADITIONAL, parent=row_ids)
        done += count
        task.reporter.step("transforming", done, total)
