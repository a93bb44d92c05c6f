"""Fill a plan: the real images that stay, then generated ones, then transformed ones."""

from collections.abc import Iterator

import numpy as np
import torch

from gangda.augmenting.plan import AugmentPlan, kept_rows
from gangda.config.schema import TransformConfig
from gangda.data.images import TRADITIONAL, IntArray, LabelledImages, generated_images
from gangda.data.sample_set import SetWriter
from gangda.errors import UsageError
from gangda.runtime.progress import SILENT, Reporter
from gangda.runtime.seeding import numpy_stream, torch_stream
from gangda.sampling.sampler import Sampler
from gangda.sampling.writing import blocks_of, write_samples
from gangda.traditional.transforms import batch_transform
from gangda.zoo.draw import BLOCK

CHUNK = 4096  # real images written at once


def check_transforms(transforms: TransformConfig) -> None:
    """Refuse mixup, which blends a classifier's batches.

    Raises:
        UsageError: it is on.
    """
    if transforms.mixup:
        raise UsageError(
            f"--mixup {transforms.mixup:g}: blends the batches of a classifier, a set holds single images; leave it "
            "out (--mixup 0 where a configuration has it) and give it to classify --transforms, or to compare"
        )


def split_by_method(make: IntArray, method: str) -> tuple[IntArray, IntArray]:
    """How many of each class are generated, how many traditional; `both` halves, an odd one is generated."""
    shares = {"generated": make, "traditional": np.zeros_like(make), "both": (make + 1) // 2}
    return shares[method], make - shares[method]


def fill(
    writer: SetWriter,
    train: LabelledImages,
    plan: AugmentPlan,
    method: str,
    sampler: Sampler | None,
    transforms: TransformConfig,
    seed: int,
    reporter: Reporter = SILENT,
) -> None:
    """Write the images of a plan into a set.

    `sampler` may be None where none are generated. `seed` draws which real images stay, and the transforms.
    """
    generated, traditional = split_by_method(plan.make, method)
    kept = kept_rows(train.labels, plan.keep, seed)
    for start in range(0, len(kept), CHUNK):
        writer.write(train.take(kept[start : start + CHUNK]), start)
    if sampler is not None:
        first_of_class = len(kept) + np.cumsum(generated) - generated
        write_samples(writer, sampler, blocks_of(generated), first_of_class, reporter)
    first = len(kept) + int(generated.sum())
    for images in transformed_images(train, traditional, transforms, seed, reporter):
        writer.write(images, first)
        first += len(images)


def transformed_images(
    train: LabelledImages,
    counts: IntArray,
    transforms: TransformConfig,
    seed: int,
    reporter: Reporter = SILENT,
) -> Iterator[LabelledImages]:
    """Transformed copies of real images: each class's images in turn, in an order drawn by seed.

    Args:
        counts: of each class, int64 (K,).
        seed: of the streams (seed, class, block) that the parameters come from.
    """
    transform = batch_transform(transforms)
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
        reporter.step("transforming", done, total)
