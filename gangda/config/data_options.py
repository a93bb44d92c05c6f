"""Options of the data: which images, how many of them, how they are read."""

import re
from dataclasses import dataclass, replace

from gangda.config import catalog
from gangda.config.fields import Checked, option
from gangda.errors import UsageError

BY_NAME = "name:"  # before a pattern of file names in --labels
NAMED_COLUMN = re.compile(r".+\.(csv|tsv|jsonl?):[^:]+", re.IGNORECASE)  # FILE:COLUMN


def _check_pattern(flag: str, text: str, example: str) -> None:
    """A UsageError unless the text, without `BY_NAME`, is a regular expression with a group."""
    try:
        groups = re.compile(text.removeprefix(BY_NAME)).groups
    except re.error as error:
        raise UsageError(f"{flag} '{text}': no regular expression ({error})") from None
    if not groups:
        raise UsageError(f"{flag} '{text}': has no (group); as in {example}")


@dataclass(frozen=True)
class DataConfig(Checked):
    """Which images, how many of them, and at what size."""

    exclusive = (("per_class", "class_counts"),)

    source: str = option(
        "digits",
        f"{', '.join(catalog.SOURCES)}, or a path (IDX files, class folders, zip, tar or NPZ file, sample set); "
        "stacked:NAME makes RGB images of three grey ones",
        flag="--data",
    )
    image_size: int | None = option(None, "side in pixels; default: as in the data", minimum=8, maximum=64)
    per_class: int | None = option(None, "real images per class, training and validation together", minimum=2)
    class_counts: tuple[int | str, ...] | None = option(
        None,
        "real images of each class: in order, as in 4000,2000,1000, or by name, as in cat=50,#3=200",
        minimum=0,
    )
    validation: float = option(0.1, "fraction of training images for validation", minimum=0.0, maximum=0.9)
    unlabelled: str | None = option(
        None,
        "also use images without labels: a number (above 0) of training images outside the subset, or a folder",
        pattern=r"0*[1-9]\d*|(?!-?\d*$).+",
        record="given",
    )
    download: bool = option(False, "download a torchvision data set that is missing")
    value_range: tuple[float, float] | None = option(
        None, "pixel values that become 0 and 255; default: recognised from all images", record="given"
    )
    group_by: str | None = option(
        None,
        "regular expression on file names, or FILE:COLUMN of a CSV or JSON file: images with the same first group, "
        "or value, stay in one split",
        record="given",
    )
    labels: str | None = option(
        None,
        "where labels stand, if not in folders: FILE[:COLUMN] (CSV, TSV, JSON), or name:PATTERN, whose first group is "
        "the class; default: folders, or a table of a usual name beside the images; folders: never a table",
        record="given",
    )
    fit: str = option(
        "crop", "how images that are not square become so", choices=("crop", "pad", "stretch"), record="given"
    )
    channels: int | None = option(
        None, "1 makes all images grey, 3 RGB; default: as in the data", choices=(1, 3), record="given"
    )
    skip_broken: bool = option(False, "leave out files that cannot be decoded", record="given")
    deduplicate: bool = option(False, "drop images that equal an earlier one", record="given")
    no_cache: bool = option(False, "neither use nor keep decoded images and checks", record="never")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.value_range is not None and not self.value_range[0] < self.value_range[1]:
            low, high = self.value_range
            raise UsageError(f"--value-range {low:g},{high:g}: the first value must be below the second")
        if self.group_by is not None and not NAMED_COLUMN.fullmatch(self.group_by):
            _check_pattern("--group-by", self.group_by, "'(.*)_[0-9]+'")
        if self.labels is not None and self.labels.startswith(BY_NAME):
            _check_pattern("--labels", self.labels, "'name:(.*)_[0-9]+'")

    @property
    def whole(self) -> "DataConfig":
        """The same with all of the source's training images, none of them for validation or without labels."""
        return replace(self, per_class=None, class_counts=None, validation=0.0, unlabelled=None)

    @property
    def unlabelled_count(self) -> int | None:
        """How many images of the source are wanted without their labels; None where it is a folder, or nothing."""
        text = self.unlabelled or ""
        return int(text) if text.isdecimal() else None
