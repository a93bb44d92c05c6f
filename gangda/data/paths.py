"""Where data sets are looked for and decoded images are cached, and how a source is named in records."""

import dataclasses
import os
import tempfile
from pathlib import Path

from gangda.config import catalog
from gangda.config.data_options import NAMED_COLUMN
from gangda.config.schema import DataConfig
from gangda.runtime.hashed_file import sha256_of_file

STACKED = "stacked:"  # before a name or path: three of its grey images make an RGB one (`stacked.py`)


def data_root() -> Path:
    """$GANGDA_DATA_FOLDER, else `data` in gangda's cache folder."""
    return _folder("GANGDA_DATA_FOLDER") or _cache_home() / "data"


def cache_root() -> Path:
    """$GANGDA_CACHE, else gangda's folder in the user's cache ($XDG_CACHE_HOME, else ~/.cache)."""
    return _folder("GANGDA_CACHE") or _cache_home()


def inner_name(source: str) -> str | None:
    """The source inside "stacked:SOURCE"; None for any other source."""
    return source.removeprefix(STACKED) if source.startswith(STACKED) else None


def located(config: DataConfig) -> DataConfig:
    """The same with the paths of its images made absolute, for records that are read elsewhere; names stay."""
    if config.unlabelled is not None and config.unlabelled_count is None:
        folder = str(Path(config.unlabelled).expanduser().resolve())
        config = dataclasses.replace(config, unlabelled=folder)
    tables = {"labels": _located_table(config.labels), "group_by": _located_table(config.group_by)}
    config = dataclasses.replace(config, **tables)  # type: ignore[arg-type]
    if config.source in catalog.SOURCES:
        return config
    grey = inner_name(config.source)
    if grey is not None:
        inside = located(dataclasses.replace(config, source=grey))
        return dataclasses.replace(inside, source=STACKED + inside.source)
    return dataclasses.replace(config, source=str(Path(config.source).expanduser().resolve()))


def identified(config: DataConfig, fingerprint: str, unlabelled: str = "") -> DataConfig:
    """The same with content in place of paths, for the identity of what is made: a folder may be moved.

    `fingerprint` is that of the source, `unlabelled` that of a folder of unlabelled images.
    """
    source = inner_name(config.source) or config.source
    if source not in catalog.SOURCES:
        groups = config.group_by and _grouping(config.group_by, source)
        # Labels are part of the content.
        config = dataclasses.replace(config, source=fingerprint, labels=None, group_by=groups)
    return dataclasses.replace(config, unlabelled=unlabelled) if unlabelled else config


def _grouping(group_by: str, source: str) -> str:
    """FILE:COLUMN with the hash of the file in place of its folder and name: other groups are other splits."""
    if NAMED_COLUMN.fullmatch(group_by):
        name, _, column = group_by.rpartition(":")
        for place in (name, str(Path(source) / name)):
            if (path := existing_file(place)) is not None:
                return f"{sha256_of_file(path)[:16]}{path.suffix}:{column}"
    return group_by


def existing_file(name: str) -> Path | None:
    """The file of this name, ~ being the home folder; None where there is none, as for a pattern in its place."""
    try:
        path = Path(name).expanduser()
        return path if name and path.is_file() else None
    # Too long for a name, a NUL inside, or a ~ of nobody.
    except (OSError, ValueError, RuntimeError):
        return None


def _located_table(text: str | None) -> str | None:
    """FILE or FILE:COLUMN with an absolute path, where the file is there; any other text as it is."""
    for name, column in () if text is None else ((text, ""), text.rpartition(":")[::2]):
        if (path := existing_file(name)) is not None:
            return f"{path.resolve()}{column and ':'}{column}"
    return text


def _cache_home() -> Path:
    """Without a home directory: a folder of this user's own among the temporary files."""
    try:
        return (_folder("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "gangda"
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"gangda-{os.getuid() if hasattr(os, 'getuid') else 'cache'}"


def _folder(name: str) -> Path | None:
    return Path(os.environ[name]).expanduser() if os.environ.get(name) else None
