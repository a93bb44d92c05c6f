import contextlib
import errno
import io
import json
import os
import signal
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision
from PIL import Image

from gangda.config.catalog import FORMATS
from gangda.config.schema import DataConfig
from gangda.data.images import (
    COLUMNS,
    GENERATED,
    REAL,
    TRADITIONAL,
    LabelledImages,
    generated_images,
    real_images,
)
from gangda.data.sample_set import (
    SetHeader,
    archives,
    finished_index,
    is_set,
    npz_files,
    read_set,
    set_being_written,
)
from gangda.data.sample_set.png import encode_png
from gangda.errors import DataError, GangdaError, InterruptedByUserError, RunError, StoppedError
from gangda.runtime import files

NAMES = ("T-shirt/top", "shoe", "bag")
TOTAL = (5, 0, 7)
formats = pytest.mark.parametrize("name", list(FORMATS))


@pytest.fixture(autouse=True)
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flushing the whole machine's disks for a dozen images would be most of the time of these tests."""
    monkeypatch.setattr(files, "sync_file_system", lambda folder: None)


def header(name: str, shard: tuple[int, int] = (1, 1), channels: int = 1) -> SetHeader:
    return SetHeader(
        kind="augmented",
        format=name,
        key="0123456789abcdef",
        class_names=NAMES,
        image_shape=(channels, 9, 8),
        total=TOTAL,
        shard=shard,
        data={"config": {"source": "digits", "class_counts": [5, 0, 7]}, "seed": 3, "fingerprint": "f"},
        provenance={"run": "r1", "seed": 4},
    )


def batches(channels: int = 1) -> list[LabelledImages]:
    """Twelve images, one each: real, traditional and generated ones."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (12, 9, 8, channels), dtype=np.uint8)
    made = []
    for position in range(12):
        columns: dict[str, Any] = {}
        origin = (REAL, TRADITIONAL, GENERATED)[position % 3]
        if origin == TRADITIONAL:
            columns["parent"] = np.array([200 + position])
        if origin == GENERATED:
            columns |= {"generator": np.array([position]), "confidence": np.array([0.75], dtype=np.float32)}
        one, label = pixels[position : position + 1], 0 if position < 5 else 2
        made.append(
            real_images(one, [label], NAMES, 100 + position)
            if origin == REAL
            else generated_images(one, label, NAMES, origin, **columns)
        )
    return made


def write(out: Path, name: str, shard: tuple[int, int] = (1, 1), channels: int = 1) -> Path:
    with set_being_written(out, header(name, shard, channels)) as writer:
        for position, batch in list(enumerate(batches(channels)))[shard[0] - 1 :: shard[1]]:
            writer.write(batch, position)
    return out


def same(a: LabelledImages, b: LabelledImages) -> bool:
    for name in ("pixels", *COLUMNS):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    return a.class_names == b.class_names


@formats
@pytest.mark.parametrize("channels", [1, 3])
def test_round_trip(tmp_path: Path, name: str, channels: int) -> None:
    assert not is_set(tmp_path / "set")
    read = read_set(write(tmp_path / "set", name, channels=channels))
    images = read.images
    assert is_set(tmp_path / "set")
    assert np.array_equal(images.pixels, np.concatenate([batch.pixels for batch in batches(channels)]))
    assert images.labels.tolist() == [0] * 5 + [2] * 7
    assert images.origin.tolist() == [0, 1, 2] * 4
    assert images.row_id.tolist() == [100, -1, -1, 103, -1, -1, 106, -1, -1, 109, -1, -1]
    assert images.parent.tolist() == [-1, 201, -1, -1, 204, -1, -1, 207, -1, -1, 210, -1]
    assert images.generator.tolist() == [-1, -1, 2, -1, -1, 5, -1, -1, 8, -1, -1, 11]
    np.testing.assert_array_equal(images.confidence, [np.nan, np.nan, 0.75] * 4)
    assert read.index.counts == TOTAL
    assert read.fingerprint == "f"
    assert read.data_seed == 3
    assert read.data_config == DataConfig(source="digits", class_counts=(5, 0, 7))
    assert not list(tmp_path.glob(".*")), "a temporary folder was left"


@formats
@pytest.mark.parametrize("n", [2, 5, 13])
def test_any_number_of_shards_in_any_order_gives_the_same_set(tmp_path: Path, name: str, n: int) -> None:
    whole = read_set(write(tmp_path / "whole", name)).images
    for i in range(n, 0, -1):
        write(tmp_path / "parts", name, (i, n))
        if i == 2:
            with pytest.raises(DataError, match=rf"shards 1 of {n} are missing"):
                read_set(tmp_path / "parts")
    assert same(read_set(tmp_path / "parts").images, whole)


@pytest.mark.parametrize("positions", [(0, 2), (0, 0), (1, 2)])
def test_gaps_and_repetitions_are_refused(tmp_path: Path, positions: tuple[int, int]) -> None:
    two = replace(header("npz"), total=(2, 0, 0))
    with set_being_written(tmp_path / "set", two) as writer:
        for batch, position in zip(batches(), positions, strict=False):
            writer.write(batch, position)
    with pytest.raises(DataError, match="without gaps"):
        read_set(tmp_path / "set")


def test_many_npz_files_give_the_same_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz_files, "FILE_BYTES", 200)
    monkeypatch.setattr(archives, "FILE_BYTES", 4000)
    read = read_set(write(tmp_path / "set", "npz"))
    assert len(read.index.files) == 4
    assert same(read.images, read_set(write(tmp_path / "png", "png")).images)


def test_torchvision_reads_the_class_folders(tmp_path: Path) -> None:
    out = write(tmp_path / "set", "png")
    folder = torchvision.datasets.ImageFolder(str(out))
    assert folder.classes == ["0-T-shirt_top", "2-bag"]  # the class without images has no folder
    read = read_set(out).images
    for position, (image, label) in enumerate(folder):
        assert np.array_equal(np.asarray(image)[..., 0], read.pixels[position, ..., 0])
        assert (0, 2)[label] == read.labels[position]


@pytest.mark.parametrize("n", [1, 3])
def test_metadata_has_the_form_of_hugging_faces_imagefolder(tmp_path: Path, n: int) -> None:
    for i in range(1, n + 1):
        write(tmp_path / "set", "png", (i, n))
    lines = [json.loads(line) for line in (tmp_path / "set" / "metadata.jsonl").read_text().splitlines()]
    assert sorted(line["index"] for line in lines) == list(range(12))
    assert all((tmp_path / "set" / line["file_name"]).is_file() for line in lines)
    wanted = {
        "file_name",
        "label",
        "label_name",
        "synthetic",
        "origin",
        "generator",
        "seed",
        "confidence",
        "row_id",
    }
    assert all(wanted <= set(line) for line in lines)
    first = next(line for line in lines if line["index"] == 0)
    assert first["synthetic"] is False
    assert first["label_name"] == "T-shirt/top"
    assert first["row_id"] == 100


def test_numpy_reads_npz(tmp_path: Path) -> None:
    (path,) = write(tmp_path / "set", "npz").glob("*.npz")
    with np.load(path, allow_pickle=False) as arrays:
        assert arrays["images"].shape == (12, 9, 8, 1)
        assert arrays["images"].dtype == np.uint8
        assert arrays["labels"].dtype == np.int64
        assert arrays["class_names"].tolist() == list(NAMES)


@pytest.mark.parametrize("channels", [1, 3])
def test_pillow_decodes_our_png(channels: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (3, 5, 7, channels), dtype=np.uint8)
    for image, data in zip(pixels, encode_png(pixels), strict=True):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))).reshape(5, 7, channels), image)


def change_index(out: Path, **values: Any) -> None:
    path = next(iter(sorted(out.glob("index*.json"))))
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def first(out: Path, pattern: str) -> Path:
    return sorted(out.rglob(pattern))[0]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def link_out(out: Path) -> None:
    target = out.parent / "elsewhere.npz"
    path = first(out, "*.npz")
    path.rename(target)
    path.symlink_to(target)


def link_image(out: Path) -> None:
    target = out.parent / "elsewhere.png"
    path = first(out, "*.png")
    path.rename(target)
    path.symlink_to(target)


def forge_metadata(out: Path, **values: Any) -> None:
    """Metadata whose hash fits: only the checks on its content stand."""
    import hashlib

    path = out / "metadata.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0] |= values
    data = "".join(json.dumps(line) + "\n" for line in lines).encode()
    path.write_bytes(data)
    change_index(out, files={"metadata.jsonl": hashlib.sha256(data).hexdigest()})


def test_filtering_is_added_up_over_shards(tmp_path: Path) -> None:
    for i in (1, 2):
        with set_being_written(tmp_path / "set", header("npz", (i, 2))) as writer:
            for position, batch in list(enumerate(batches()))[i - 1 :: 2]:
                writer.write(batch, position)
            writer.filtering = {"drawn": [i, 0, 5], "kept": [i, 0, 3], "duplicates": [0, 0, 2]}
            writer.contact_sheet = b"picture"
    united = read_set(tmp_path / "set").index
    assert united.filtering == {"drawn": [3, 0, 10], "kept": [3, 0, 6], "duplicates": [0, 0, 4]}
    assert (tmp_path / "set-filters-2-of-2.png").read_bytes() == b"picture"
    plain = write(tmp_path / "plain", "npz")
    assert json.loads((plain / "index.json").read_text())["filtering"] == {}
    assert not list(tmp_path.glob("plain-filters*"))


Damage = Callable[[Path], object]
DAMAGES: list[tuple[str, str, Damage, str]] = [
    ("npz", "no index", lambda out: (out / "index.json").unlink(), "no index.json"),
    ("npz", "not JSON", lambda out: (out / "index.json").write_text("{"), "not readable JSON"),
    ("npz", "newer", lambda out: change_index(out, format_version=99), "update gangda"),
    ("npz", "no files", lambda out: change_index(out, files=None), "files is not of the type Mapping"),
    ("npz", "wrong counts", lambda out: change_index(out, counts=[4, 0, 7]), "images per class, not"),
    ("npz", "negative", lambda out: change_index(out, counts=[-5, 0, 7]), "damaged"),
    ("npz", "too few counts", lambda out: change_index(out, counts=[5, 7]), "do not fit"),
    ("npz", "filtering", lambda out: change_index(out, filtering=[3]), "filtering is not of the type"),
    (
        "npz",
        "half of it",
        lambda out: change_index(out, filtering={"kept": [5, 0, 7]}),
        "'filtering' is damaged",
    ),
    ("npz", "its counts", lambda out: change_index(out, filtering={"drawn": [1], "kept": [1]}), "do not fit"),
    ("npz", "shape", lambda out: change_index(out, image_shape=[1, 0, 8]), "damaged"),
    ("npz", "other shape", lambda out: change_index(out, image_shape=[1, 8, 9]), "other shapes"),
    ("npz", "format", lambda out: change_index(out, format="rar"), "unknown format"),
    ("npz", "kind", lambda out: change_index(out, kind="photos"), "damaged"),
    ("npz", "shard", lambda out: change_index(out, shard=[2, 1]), "damaged"),
    ("npz", "missing shard", lambda out: change_index(out, shard=[1, 2]), "shards 2 of 2 are missing"),
    ("npz", "outside", lambda out: change_index(out, files={"../x.npz": "0"}), "not inside"),
    ("npz", "absolute", lambda out: change_index(out, files={"/etc/passwd": "0"}), "not inside"),
    ("npz", "linked outside", link_out, "a link out of it"),
    (
        "npz",
        "not a hash",
        lambda out: change_index(out, files={"images-00000.npz": 3}),
        "not of the type str",
    ),
    ("npz", "file gone", lambda out: first(out, "*.npz").unlink(), "cannot be read"),
    ("npz", "file cut", lambda out: cut(first(out, "*.npz")), "its hash does not match"),
    ("idx", "file cut", lambda out: cut(first(out, "train-images*")), "its hash does not match"),
    ("idx", "file not listed", lambda out: change_index(out, files={}), "the index lacks"),
    ("idx", "more images", lambda out: change_index(out, counts=[6, 0, 7], total=[6, 0, 7]), "does not fit"),
    ("idx", "labels disagree", lambda out: forge_idx_metadata(out, label=2), "disagree"),
    ("tar", "file cut", lambda out: cut(first(out, "*.tar")), "its hash does not match"),
    ("zip", "file cut", lambda out: cut(first(out, "*.zip")), "its hash does not match"),
    ("parquet", "file gone", lambda out: first(out, "*.parquet").unlink(), "cannot be read"),
    (
        "tar",
        "other shape",
        lambda out: change_index(out, image_shape=[1, 8, 9]),
        "where the set's images are",
    ),
    (
        "parquet",
        "other shape",
        lambda out: change_index(out, image_shape=[1, 8, 9]),
        "where the set's images are",
    ),
    ("png", "image cut", lambda out: cut(first(out, "*.png")), "its hash does not match"),
    ("png", "image gone", lambda out: first(out, "*.png").unlink(), "cannot be read"),
    ("png", "image linked", link_image, "cannot be read"),
    ("png", "path outside", lambda out: forge_metadata(out, index="../../x"), "damaged metadata"),
    ("png", "origin", lambda out: forge_metadata(out, origin="found"), "damaged metadata"),
    ("png", "label", lambda out: forge_metadata(out, label=9), "label 9"),
    ("png", "label before", lambda out: forge_metadata(out, label=-1), "label -1"),
    ("png", "no label", lambda out: forge_metadata(out, label=None), "damaged metadata"),
    ("png", "huge", lambda out: forge_metadata(out, index=10**30), "damaged metadata"),
]


def forge_idx_metadata(out: Path, **values: Any) -> None:
    import hashlib

    index = json.loads((out / "index.json").read_text())
    forge_metadata(out, **values)
    digest = hashlib.sha256((out / "metadata.jsonl").read_bytes()).hexdigest()
    change_index(out, files={**index["files"], "metadata.jsonl": digest})


@pytest.mark.parametrize(
    ("name", "what", "damage", "words"), DAMAGES, ids=[f"{row[0]}-{row[1]}" for row in DAMAGES]
)
def test_damaged_sets_are_refused_in_one_line(
    tmp_path: Path, name: str, what: str, damage: Damage, words: str
) -> None:
    out = write(tmp_path / "set", name)
    damage(out)
    with pytest.raises(DataError, match=words) as caught:
        read_set(out)
    assert "\n" not in str(caught.value)


def test_folders_that_are_no_sets(tmp_path: Path) -> None:
    assert not is_set(tmp_path)
    (tmp_path / "index.json").write_text('{"pages": 3}')
    assert not is_set(tmp_path)
    (tmp_path / "index-1-of-2.json").write_text('{"format_')
    assert is_set(tmp_path), "cut short: better refused than read as class folders"


def test_shards_of_different_commands_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a", "npz", (1, 2))
    write(tmp_path / "b", "npz", (2, 2))
    change_index(tmp_path / "b", provenance={"run": "r2"}, key="other")
    for file in (tmp_path / "b").iterdir():
        file.rename(tmp_path / "a" / file.name)
    with pytest.raises(DataError, match="differ in key, provenance"):
        read_set(tmp_path / "a")


def test_the_same_shard_is_found_again(tmp_path: Path) -> None:
    out = tmp_path / "set"
    assert finished_index(out, header("png")) is None
    write(out, "png", (1, 2))
    found = finished_index(out, header("png", (1, 2)))
    assert found is not None
    assert found.counts == (3, 0, 3)
    assert finished_index(out, header("png", (2, 2))) is None
    next(iter(out.glob("metadata*"))).unlink()
    assert finished_index(out, header("png", (1, 2))) is None, "its files are gone: to be made again"


@pytest.mark.parametrize("asked", [1, 2])
def test_metadata_that_the_last_shard_did_not_unite_are_united_later(tmp_path: Path, asked: int) -> None:
    out = tmp_path / "set"
    write(out, "png", (1, 2))
    write(out, "png", (2, 2))
    whole = (out / "metadata.jsonl").read_bytes()
    (out / "metadata.jsonl").unlink()
    assert finished_index(out, header("png", (asked, 2))) is not None
    assert (out / "metadata.jsonl").read_bytes() == whole


@pytest.mark.parametrize("content", ["photo.jpg", "index.json"])
def test_a_folder_with_other_content_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / content).write_text("{}")
    with pytest.raises(RunError, match="choose another --out"):
        write(tmp_path, "png")
    assert [path.name for path in tmp_path.iterdir()] == [content]


def test_a_set_made_with_other_options_is_refused(tmp_path: Path) -> None:
    out = write(tmp_path / "set", "png")
    for other in (replace(header("png"), key="f" * 16), header("png", (1, 2))):
        with pytest.raises(RunError, match="other options"):
            finished_index(out, other)


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set").write_text("mine")
    with pytest.raises(RunError, match="choose another --out"):
        write(tmp_path / "set", "npz")
    with pytest.raises(RunError, match="choose another --out"):
        write(tmp_path / "set" / "below", "npz")


@formats
def test_nothing_is_left_of_a_failure(tmp_path: Path, name: str) -> None:
    def broken() -> None:
        with set_being_written(tmp_path / "set", header(name)) as writer:
            writer.write(batches()[0], 0)
            raise InterruptedByUserError("stop")

    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        with pytest.raises(InterruptedByUserError):
            broken()
    assert list(tmp_path.iterdir()) == []


def test_a_signal_stops_between_blocks_and_leaves_nothing(tmp_path: Path) -> None:
    def stopped() -> None:
        with set_being_written(tmp_path / "set", header("npz")) as writer:
            writer.write(batches()[0], 0)
            os.kill(os.getpid(), signal.SIGTERM)
            writer.write(batches()[1], 1)

    with pytest.raises(StoppedError, match="run the same command again"):
        stopped()
    assert list(tmp_path.iterdir()) == []


@formats
@pytest.mark.parametrize("n", [1, 2])
def test_a_full_disk_is_one_line_and_leaves_nothing(
    tmp_path: Path, name: str, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "sync_file_system", full)
    with pytest.raises(RunError, match="disk is full"):
        write(tmp_path / "set", name, (1, n))
    assert list(tmp_path.iterdir()) == []


def test_two_shards_that_finish_at_once_are_both_kept(tmp_path: Path) -> None:
    out = tmp_path / "set"
    with set_being_written(out, header("png", (1, 2))) as outer:
        for position, batch in list(enumerate(batches()))[0::2]:
            outer.write(batch, position)
        write(out, "png", (2, 2))
    assert len(read_set(out).images) == 12


def test_a_random_index_is_refused_or_read(tmp_path: Path) -> None:
    out = write(tmp_path / "set", "npz")
    good = json.loads((out / "index.json").read_text())
    rng = np.random.default_rng(0)
    junk: list[Any] = [None, -1, 10**40, 1.5, True, "", "\0", "..", [], [[]], {}, {"a": 1}, ["a"], [1, 2, 3]]
    for _ in range(400):
        index = {key: value for key, value in good.items() if rng.random() > 0.02}
        index[str(rng.choice(list(good)))] = junk[int(rng.integers(len(junk)))]
        (out / "index.json").write_text(json.dumps(index))
        with contextlib.suppress(GangdaError):
            read_set(out)
