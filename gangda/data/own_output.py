"""Folders and files that gangda wrote, met where images are looked for."""

import json
import os
import re
from pathlib import Path

from gangda.data.images import ORIGINS
from gangda.data.sample_set.index import is_set
from gangda.data.sample_set.png import SOFTWARE

# Where commands write by default, and the files by which a result's folder is known.
DEFAULT_FOLDERS = frozenset({"runs", "experiments", "samples", "augmented", "scores", "classifications"})
_MARKERS = {
    "run.json": "finished",
    "plan.json": "kind",
    "scores.json": "metrics",
    "evaluation.json": "classifier",
}
_NAME = re.compile(rf"\d{{8}}-({'|'.join(ORIGINS)})\.\w+")


def is_own_output(folder: Path) -> bool:
    """Whether a folder is a run, comparison, set or result of gangda's, or a default folder that holds such."""
    if _is_marked(folder):
        return True
    if folder.name not in DEFAULT_FOLDERS:
        return False
    try:
        with os.scandir(folder) as entries:
            return any(_is_marked(Path(entry.path)) for entry in entries if entry.is_dir())
    except OSError:
        return False


def _is_marked(folder: Path) -> bool:
    for name, key in _MARKERS.items():
        try:
            value = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(value, dict) and key in value and "format_version" in value:
            return True
    return is_set(folder)


def origin_of(name: str, software: object) -> int:
    """The origin of an image file by its name or its `Software` text, as PNG sets have them; 0 (real) without."""
    told = str(software).removeprefix(SOFTWARE)
    if told in ORIGINS:
        return ORIGINS.index(told)
    match = _NAME.fullmatch(name)
    return ORIGINS.index(match[1]) if match else 0
