import os

# Small nets, many tests: one thread is fastest, and the results do not depend on the machine's cores.
os.environ["OMP_NUM_THREADS"] = "1"

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from gangda.data.images import LabelledImages, real_images
from gangda.runtime.device import DeviceContext

pytest_plugins = ["make_run"]


@pytest.fixture(autouse=True)
def _isolated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches of the user's own are neither read nor written; floats are as hypothesis wants them."""
    torch.set_flush_denormal(False)
    monkeypatch.setenv("GANGDA_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    for name in [name for name in os.environ if name.startswith("GANGDA_") and name != "GANGDA_CACHE"]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def empty_figures() -> Iterator[None]:
    """SVG figures of pages are empty: drawing them is most of the time of a small comparison."""
    save = Figure.savefig

    def save_empty(figure: Figure, file: Any, **how: Any) -> Any:
        empty = '<svg width="1" height="1" ></svg>'
        return file.write(empty) if how["format"] == "svg" else save(figure, file, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", save_empty)
        yield


@pytest.fixture(scope="session")
def context() -> DeviceContext:
    torch.set_num_threads(1)
    return DeviceContext(torch.device("cpu"), torch.float32, 1)


@pytest.fixture(scope="session")
def blobs() -> LabelledImages:
    """Four classes of 8x8 grey images: a bright square in one corner each, of varying brightness, on noise."""
    rng = np.random.default_rng(0)
    labels = np.arange(160) % 4
    pixels = rng.integers(0, 40, (160, 8, 8, 1))
    for i, label in enumerate(labels):
        top, left = 4 * (label // 2), 4 * (label % 2)
        pixels[i, top : top + 4, left : left + 4] += rng.integers(80, 215)
    return real_images(pixels.astype(np.uint8), labels, ["a", "b", "c", "d"])
