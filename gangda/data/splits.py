"""Train, validation and test splits: drawn here and nowhere else.

The test split belongs to the source and never depends on a seed. A subset (`per_class`, `class_counts`) is drawn from
the training images by seed and counts training and validation together; validation is then taken from that subset, so
that training, filtering and selection never use an image outside it.

The rules, per class of n images:
    - test (sources without one of their own): a fifth, the same whatever the seed; at least 1 of 2.
    - subset: the first `count` of a random order, so that a smaller subset of one seed is part of a larger one.
    - validation: n x share, rounded; at least 1 where n >= 5; never the last training image.
Identical images, and those that `--group-by` puts together, stay in one part: in the same random order, a group is
taken where all of it fits into the number; if a class would get none, its smallest group.
Validation and test splits hold real images only, and what was made from one of them (its `parent`) is not trained on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gangda.config.schema import DataConfig
from gangda.data.class_names import first_of
from gangda.data.class_values import read_counts
from gangda.data.findings import Findings, alarms_among
from gangda.data.images import REAL, IntArray, LabelledImages, UInt8Array
from gangda.data.split_rows import fixed_test_rows, subset_rows, validation_rows
from gangda.errors import DataError, UsageError


@dataclass(frozen=True, eq=False)
class SourceImages:
    """All training images of a source and, if it has one, its test split; row ids are unique over both."""

    name: str
    fingerprint: str  # hex hash of the content, image size included
    train: LabelledImages
    test: LabelledImages | None
    labelled: bool = True  # False for images without classes (one class, "unlabelled")
    notes: tuple[str, ...] = ()  # sentences a user should read
    findings: Findings | None = None  # what was found among all images; None for stacked sets

    def checked(self) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Alarms and counts, where all training images are trained on; see `Findings.across`."""
        if self.findings is None:
            return (), {}
        count = len(self.findings.labels)
        return self.findings.across(np.arange(len(self.train)), np.arange(len(self.train), count))


@dataclass(frozen=True, eq=False)
class UnlabelledImages:
    """Images that nothing but their pixels is known of: training material, outside every split."""

    pixels: UInt8Array  # uint8 (N, H, W, C), as those of the source
    # int64 (N,): rows of the source, or, for a folder's images, made of their content and larger than any row
    row_id: IntArray
    folder: str = ""  # hex hash of all images of the folder they come from; empty for rows of the source

    def __len__(self) -> int:
        return len(self.pixels)


@dataclass(frozen=True, eq=False)
class DataSplits:
    """The images that a command works on; the other fields are those of the `SourceImages`."""

    name: str
    fingerprint: str
    train: LabelledImages
    validation: LabelledImages  # empty with `--validation 0`
    test: LabelledImages  # empty for a sample set whose source cannot be loaded
    labelled: bool = True
    notes: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()  # those of the notes that bear on every result
    checks: Mapping[str, Any] = field(default_factory=dict)  # what was counted, as plain values
    pool: tuple[int, ...] = ()  # images of each class that the subset (train and validation) is drawn from
    unlabelled: UnlabelledImages | None = None  # None without `--unlabelled`

    @property
    def unlabelled_folder(self) -> str:
        """Hex hash of a folder of unlabelled images; empty without one."""
        return "" if self.unlabelled is None else self.unlabelled.folder

    @property
    def label_hints(self) -> list[str]:
        """Of all that was said of the source: where labels might be, or why a table of them is not used."""
        said = [note.removeprefix("ALARM: ") for note in self.notes]
        return [note for note in said if "--labels" in note or "for labels" in note]

    @property
    def usable_rows(self) -> IntArray:
        """Row ids, int64, of all images that a generator may have seen: training, validation and unlabelled ones."""
        unlabelled = [] if self.unlabelled is None else [self.unlabelled.row_id]
        return np.concatenate([self.train.row_id, self.validation.row_id, *unlabelled])


def draw_splits(source: SourceImages, config: DataConfig, seed: int) -> DataSplits:
    """Subset, validation (both by `seed`) and test of a source; DataError: too few images; UsageError: wrong counts."""
    train, test, notes, findings = source.train, source.test, source.notes, source.findings
    groups = None if findings is None else findings.groups
    place, tested = (
        np.arange(len(train)),
        np.arange(len(train), len(train) + (0 if test is None else len(test))),
    )

    def together() -> IntArray | None:
        return None if groups is None else groups[place]

    if test is None:
        rows = fixed_test_rows(train, together())
        tested, place = place[rows], np.delete(place, rows)
        train, test = train.without(rows), train.take(rows)
        what = f"a fixed fifth of each class ({len(rows):,} images) is held back"
        notes = (*notes, f"no test split of its own: {what if len(rows) else 'no class has two real images'}")
    if len(test) and len(untested := np.flatnonzero(test.counts() == 0)):
        names = first_of([f"'{test.class_names[label]}'" for label in untested])
        notes = (*notes, f"without test images, so that the recall is unknown: {names}")
    counts, pool = subset_counts(train, config), tuple(train.counts().tolist())
    if counts is not None:
        rows = subset_rows(train, counts, seed)
        train, place = train.take(rows), place[rows]
        if config.class_counts is not None:
            named = [f"{name}={count}" for name, count in zip(train.class_names, counts, strict=True)]
            notes = (*notes, f"--class-counts: {first_of(named)}")
    held = validation_rows(train, config.validation, seed, together())
    place = np.concatenate([np.delete(place, held), place[held]])
    train, validation = train.without(held), train.take(held)
    made = np.flatnonzero(made_from(train, validation) | made_from(train, test))
    alarms, checks = ((), {}) if findings is None else findings.across(place, tested)
    if len(made):
        notes = (*notes, f"{len(made):,} images made from validation or test images are left out")
        train = train.without(made)
    # Alarms of reading (kinds of file left out, a table against the names) bear on every result too.
    alarms = (*alarms_among(notes), *alarms)
    notes = (*(note for note in notes if note not in alarms), *alarms)
    parts = train, validation, test
    return DataSplits(source.name, source.fingerprint, *parts, source.labelled, notes, alarms, checks, pool)


def made_from(images: LabelledImages, held_out: LabelledImages) -> npt.NDArray[np.bool_]:
    """Which images have one of the real images held out as their parent, bool (N,); row ids are of one source."""
    made: npt.NDArray[np.bool_] = images.parent >= 0
    made[made] = np.isin(images.parent[made], held_out.row_id)
    return made


def refuse_made_from(images: LabelledImages, test: LabelledImages, where: str) -> None:
    """A DataError about `where` for images that are made from test images."""
    if made := int(made_from(images, test).sum()):
        raise DataError(f"{where}: {made:,} of its images are made from test images; make the set again")


def subset_counts(train: LabelledImages, config: DataConfig) -> IntArray | None:
    """Requested images per class, int64 (K,); None for all of them. Raises as `draw_splits`."""
    if config.per_class is None and config.class_counts is None:
        return None
    if (train.origin != REAL).any():
        what = "draw real images, but this set holds synthetic ones"
        raise DataError(f"--per-class and --class-counts {what}; give them to the command that makes the set")
    asked = _asked(train.class_names, config)
    have = train.counts()
    if (asked > have).any():
        worst = int(np.argmax(asked > have))
        what = f"class '{train.class_names[worst]}' has {have[worst]} training images"
        flag = "--per-class" if config.class_counts is None else "--class-counts"
        raise DataError(f"{what}, {asked[worst]} are asked for; lower {flag}")
    return asked


def _asked(class_names: tuple[str, ...], config: DataConfig) -> IntArray:
    """`per_class`, or `class_counts` by position or by name, int64 (K,); a UsageError: they do not fit the names."""
    if config.class_counts is None:
        return np.full(len(class_names), config.per_class, dtype=np.int64)
    named = [item for item in config.class_counts if isinstance(item, str)]
    if named:
        if len(named) < len(config.class_counts):
            raise UsageError("--class-counts: give all numbers by name (NAME=50), or all by position")
        return read_counts(named, class_names, "--class-counts")
    asked = np.array(config.class_counts, dtype=np.int64)
    if len(asked) != len(class_names):
        what = f"{len(asked)} numbers for {len(class_names)} classes"
        raise UsageError(f"--class-counts: {what}; give one for each, or some by name (NAME=50)")
    if not asked.any():
        raise UsageError("--class-counts: all are 0; ask for some images")
    return asked


def describe(splits: DataSplits) -> dict[str, Any]:
    """Sizes of the splits in plain JSON values, for `doctor`, dry runs and reports."""
    channels, height, _ = splits.train.image_shape
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    return {
        "name": splits.name,
        "fingerprint": splits.fingerprint,
        "image_size": height,
        "channels": channels,
        "labelled": splits.labelled,
        "classes": list(splits.train.class_names),
        **{name: {"n": len(part), "per_class": part.counts().tolist()} for name, part in parts.items()},
        **({} if splits.unlabelled is None else {"unlabelled": {"n": len(splits.unlabelled)}}),
        "notes": list(splits.notes),
        "alarms": list(splits.alarms),
        "checks": dict(splits.checks),
    }
