"""Where data sets are looked for and where decoded images are cached."""

import dataclasses
import os
from pathlib import Path

from gangda import catalog
from gangda.configs import DataConfig
from gangda.data import stacked


def data_root() -> Path:
    """$GANGDA_DATA_FOLDER, else `data` in gangda's cache folder."""
    return _given("GANGDA_DATA_FOLDER") or _cache_home() / "gangda" / "data"


def cache_root() -> Path:
    """$GANGDA_CACHE, else gangda's folder in the user's cache ($XDG_CACHE_HOME, else ~/.cache)."""
    return _given("GANGDA_CACHE") or _cache_home() / "gangda"


def located(config: DataConfig) -> DataConfig:
    """The same with the path of its source resolved, for records that are read from elsewhere; names stay."""
    if config.source in catalog.SOURCES:
        return config
    grey = stacked.inner_name(config.source)
    if grey is not None:
        inside = located(dataclasses.replace(config, source=grey))
        return dataclasses.replace(inside, source=stacked.PREFIX + inside.source)
    return dataclasses.replace(config, source=str(Path(config.source).expanduser().resolve()))


def _cache_home() -> Path:
    return _given("XDG_CACHE_HOME") or Path("~/.cache").expanduser()


def _given(name: str) -> Path | None:
    return Path(os.environ[name]).expanduser() if os.environ.get(name) else None
