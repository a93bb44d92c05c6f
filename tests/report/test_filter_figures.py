import io

import numpy as np
import pytest
from PIL import Image

from gangda.report import filter_figures
from gangda.report.filter_figures import kept_and_rejected


@pytest.mark.parametrize("channels", [1, 3])
def test_kept_and_rejected_are_shown_by_class(channels):
    kept = {label: np.full((10, 28, 28, channels), 90, dtype=np.uint8) for label in (0, 2)}
    rejected = {0: np.full((3, 28, 28, channels), 170, dtype=np.uint8), 2: kept[2][:0]}
    reasons = {0: ("copy", "like a very long class name", "unlikely"), 2: ()}
    png = kept_and_rejected(("a", "b", "c"), kept, rejected, reasons)
    picture = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    areas = [(np.abs(picture - shade).max(-1) < 3).sum() for shade in (90, 170)]
    assert areas[0] / areas[1] == pytest.approx(20 / 3, rel=0.1)
    assert kept_and_rejected(("a", "b", "c"), kept, rejected, reasons) == png


def test_nothing_filtered_is_no_picture_and_many_classes_are_the_first_ones(monkeypatch):
    monkeypatch.setattr(filter_figures, "MOST_CLASSES", 3)
    assert kept_and_rejected(("a",), {}, {}, {}) == b""
    tiles = {label: np.zeros((1, 8, 8, 1), dtype=np.uint8) for label in range(9)}
    names = [str(label) for label in tiles]
    reasons = dict.fromkeys(tiles, ("copy",))
    few = {label: tiles[label] for label in range(3)}
    assert kept_and_rejected(names, tiles, tiles, reasons) == kept_and_rejected(names, few, few, reasons)
