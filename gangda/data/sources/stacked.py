"""Stacked sets: three grey images of a source become the channels of one RGB image, for counting modes.

`--data stacked:mnist` (or stacked:digits, stacked:fashion-mnist, stacked:PATH): with ten classes there are 1,000 modes,
the class of an image is 100 a + 10 b + c for red, green and blue images of classes a, b, c, and its name is "a,b,c".
A grey classifier of the source tells which of the modes a generated image belongs to, channel by channel.
"""

import itertools

import numpy as np

from gangda.data.images import REAL, IntArray, LabelledImages, UInt8Array, real_images
from gangda.data.paths import STACKED
from gangda.data.split_rows import fixed_test_rows
from gangda.data.splits import SourceImages
from gangda.errors import DataError
from gangda.runtime.seeding import numpy_stream

TRAIN, TEST = 25_600, 6_400  # images
MAX_SOURCE_CLASSES = 10
JOINT = ","


def stack(inner: SourceImages) -> SourceImages:
    """A stacked set of a grey, labelled source: 25,600 training and 6,400 test images.

    The draws come from a named stream and depend on the source's size only. Test images are made of the source's test
    images alone (where it has no test split: of the fixed fifth that is held back everywhere); training images, from
    which validation is drawn as usual, of its training images.

    Every mode has the same number of images, plus or minus one: Metz 2017, section 3.3.1 (25,600 images, after Che
    2017), draws the three digits at random, which leaves the modes uneven and some sources' rare ones empty.
    Raises DataError: not grey, without classes, more than ten of them, or holding images that are not real.
    """
    where = f"--data {STACKED}{inner.name}"
    train, test = inner.train, inner.test
    if train.image_shape[0] != 1:
        raise DataError(f"{where}: its images are RGB; stacking takes a grey source")
    if not inner.labelled or not 2 <= train.num_classes <= MAX_SOURCE_CLASSES:
        raise DataError(f"{where}: stacking takes a labelled source of 2 to {MAX_SOURCE_CLASSES} classes")
    if (train.origin != REAL).any():
        raise DataError(f"{where}: holds images that are not real; stack the data it was made from")
    if any(JOINT in name for name in train.class_names):
        raise DataError(f"{where}: a class name holds a comma; rename the class to stack the set")
    if test is None:
        groups = None if inner.findings is None else inner.findings.groups
        held = fixed_test_rows(train, groups)
        train, test = train.without(held), train.take(held)
    for name in filter(None, (train.missing_class(), test.missing_class())):
        raise DataError(f"{where}: class '{name}' lacks training or test images; stacking takes both")
    stacked = _stacks(train, TRAIN, "train"), _stacks(test, TEST, "test", TRAIN)
    note = f"three images of {inner.name} as red, green and blue: {stacked[0].num_classes:,} modes"
    # Copies and leaks of the source are those of what is made of it.
    alarms, _ = inner.checked()
    return SourceImages(f"stacked-{inner.name}", "", *stacked, notes=(*inner.notes, *alarms, note))


def channel_classes(class_names: tuple[str, ...]) -> tuple[str, ...] | None:
    """The source's class names if these are a stacked set's; else None."""
    m = round(len(class_names) ** (1 / 3))
    if m < 2 or m**3 != len(class_names):
        return None
    names = tuple(name.rpartition(JOINT)[2] for name in class_names[:m])
    return names if class_names == _joint_names(names) else None


def channels_apart(images: LabelledImages) -> LabelledImages:
    """The grey images that a stacked set is made of: three for each, red ones first; a DataError for any other set."""
    names = channel_classes(images.class_names)
    if names is None:
        raise DataError("these images are not a stacked set; give --data stacked:SOURCE")
    m = len(names)
    digits = np.concatenate([images.labels // m**2, images.labels // m % m, images.labels % m])
    return real_images(grey(images.pixels), digits, names)


def grey(pixels: UInt8Array) -> UInt8Array:
    """uint8 (N, H, W, 3) -> (3N, H, W, 1): all red channels, then all green ones, then all blue ones."""
    return np.moveaxis(pixels, 3, 0).reshape(-1, *pixels.shape[1:3], 1)


def _joint_names(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(JOINT.join(triple) for triple in itertools.product(names, repeat=3))


def _stacks(images: LabelledImages, count: int, part: str, first_row: int = 0) -> LabelledImages:
    """`count` stacks: which mode comes first is shuffled; a mode's three images are drawn with replacement."""
    m, rng = images.num_classes, numpy_stream("stacked", part, len(images))
    modes = rng.permutation(np.arange(count, dtype=np.int64) % m**3)
    rows = [_draw(images, digit, rng) for digit in (modes // m**2, modes // m % m, modes % m)]
    pixels = np.concatenate([images.pixels[row] for row in rows], axis=3)
    return real_images(pixels, modes, _joint_names(images.class_names), first_row)


def _draw(images: LabelledImages, labels: IntArray, rng: np.random.Generator) -> IntArray:
    """A random position of each label's class, int64."""
    order = np.argsort(images.labels, kind="stable")
    counts = images.counts()
    within = np.floor(rng.random(len(labels)) * counts[labels]).astype(np.int64)
    return order[(np.cumsum(counts) - counts)[labels] + within]  # type: ignore[no-any-return]
