"""What holds for the writers of all formats: memory, order, a full disk."""

import errno
import json
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from gangda.config.catalog import FORMATS
from gangda.data.images import REAL, LabelledImages, generated_images, real_images
from gangda.data.sample_set import SetHeader, archives, npz_files, png, read_set, set_being_written
from gangda.errors import RunError
from gangda.runtime import files

RNG = np.random.default_rng(0)
NAMES = ("ant", "bee", "cät")


@pytest.fixture(autouse=True)
def no_sync(monkeypatch):
    """Flushing the whole machine's disks is slow, and of no use to a test."""
    monkeypatch.setattr(files, "sync_file_system", lambda folder: None)


def write(out: Path, format: str, batches: list[LabelledImages] | int, size: int = 8) -> Path:
    """A set of these batches; or of so many batches of 128 images, none of which outlives its writing."""
    many = isinstance(batches, int)
    labels = np.repeat(1, 128 * batches) if many else np.concatenate([batch.labels for batch in batches])
    header = SetHeader(
        kind="augmented",
        format=format,
        key="k" * 16,
        class_names=NAMES,
        image_shape=(1, size, size),
        total=tuple(np.bincount(labels, minlength=3).tolist()),
        provenance={"seed": 7},
    )
    with set_being_written(out, header) as writer:
        for number in range(batches if many else len(batches)):
            pixels = np.full((128, size, size, 1), number % 256, np.uint8) if many else None
            batch = generated_images(pixels, 1, NAMES) if many else batches[number]
            writer.write(batch, writer.count)
    return out


# One file for other programs is in memory as a whole; Parquet's memory is pyarrow's.
GROWING = {"npz-keras", "npz-medmnist", "npz-guided-diffusion", "parquet", "zip"}


@pytest.mark.parametrize("format", sorted(set(FORMATS) - GROWING))
def test_memory_does_not_grow_with_the_set(format, tmp_path, monkeypatch):
    monkeypatch.setattr(npz_files, "FILE_BYTES", 2**18)
    monkeypatch.setattr(archives, "FILE_BYTES", 2**18)

    def peak(batches: int) -> int:
        tracemalloc.start()
        write(tmp_path / f"{format}-{batches}", format, batches, size=16)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(2)  # what is imported and cached on the way
    # 0.5 and 2 MB of pixels alone. How many batches the threads hold at once differs from run to run.
    few, many = peak(16), peak(64)
    assert many < few + 2**19


def test_lines_keep_their_order_with_many_threads(tmp_path, monkeypatch):
    monkeypatch.setattr(png, "CHUNK", 3)
    monkeypatch.setattr(png, "MAX_THREADS", 8)
    monkeypatch.setattr(png, "available_cores", lambda: 8)
    made = [
        real_images(pixels, RNG.integers(0, 3, len(pixels)), NAMES, 50)
        if len(pixels) in (50, 1)
        else generated_images(
            pixels,
            RNG.integers(0, 3, len(pixels)),
            NAMES,
            generator=np.arange(len(pixels)),
            confidence=RNG.random(len(pixels)).astype(np.float32),
        )
        for pixels in (RNG.integers(0, 256, (count, 8, 8, 1), np.uint8) for count in (50, 7, 1, 40))
    ]
    out = write(tmp_path / "set", "png", made)
    lines = (out / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["index"] for row in rows] == list(range(98))
    assert lines == [json.dumps(row, ensure_ascii=False) for row in rows]
    assert rows[3]["row_id"] == 53
    assert (rows[3]["seed"], rows[3]["generator"], rows[3]["confidence"]) == (None, None, None)
    assert (rows[60]["seed"], rows[60]["generator"], rows[60]["row_id"]) == (7, 2, -1)
    assert rows[60]["confidence"] == pytest.approx(float(made[3].confidence[2]), abs=1e-6)
    back = read_set(out).images
    np.testing.assert_array_equal(back.pixels, np.concatenate([batch.pixels for batch in made]))
    assert np.flatnonzero(back.origin != REAL).tolist() == [*range(50, 57), *range(58, 98)]


@pytest.mark.parametrize("short", [True, False])
def test_a_disk_that_fills_up_in_a_thread_is_an_error(tmp_path, monkeypatch, short):
    whole = os.write

    def full(handle: int, data: bytes) -> int:
        if short:
            return whole(handle, data[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(png.os, "write", full)
    with pytest.raises(RunError, match="disk is full"):
        write(tmp_path / "set", "png", 20)
    assert list(tmp_path.iterdir()) == []
