"""What arms are compared by: accuracy, or balanced accuracy, which is accuracy with weighted test images."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gangda.augmenting.candidates import FIGURES as FIGURES
from gangda.augmenting.candidates import words_of as words_of
from gangda.data.images import FloatArray, IntArray
from gangda.statistics.verdicts import balancing


def weights_of(score_by: str, cells: Sequence[Mapping[str, Any]]) -> FloatArray | None:
    """What each test image counts, float64 (m,) with mean 1; None where all count alike.

    All cells share their test images, so the first one's labels are those of all.
    """
    return balancing(unpack_labels(cells[0]["test_labels"])) if score_by == "balanced" else None


def pack_labels(labels: IntArray) -> str:
    """Labels int (m,), two bytes each (little-endian), as base64."""
    return base64.b64encode(labels.astype("<u2").tobytes()).decode()


def unpack_labels(text: str) -> IntArray:
    """int64 (m,) from what `pack_labels` made."""
    return np.frombuffer(base64.b64decode(text), dtype="<u2").astype(np.int64)
