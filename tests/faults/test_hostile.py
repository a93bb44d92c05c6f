"""Files that mean harm: none of them runs code, fills the memory or leads out of its folder; each is one line."""

import hashlib
import io
import json
import pickle
import shutil
import struct
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from damage import as_json
from PIL import Image
from safetensors.torch import load, save
from test_fuzz import listed_again, make_set, tiny

from gangda.classifying.fit import fit_classifier
from gangda.classifying.fitted_classifier import FittedClassifier
from gangda.config.resolve import resolve
from gangda.config.schema import ClassifierConfig, DataConfig
from gangda.data import damaged
from gangda.data.loading import load_source
from gangda.data.sample_set import read_set
from gangda.errors import DataError, GangdaError, RunError, UsageError
from gangda.runtime.feature_cache import FeatureCache
from gangda.runtime.hashed_file import write_hashed
from gangda.runtime.runs import RunFolder
from gangda.training import train
from gangda.training.saved_model import load_model


class Trap:
    """Unpickled, it leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (self.mark,))


@pytest.fixture
def mark(tmp_path):
    """The file that must not appear."""
    yield tmp_path / "mark"
    assert not (tmp_path / "mark").exists()


@pytest.fixture
def unhurried(monkeypatch):
    monkeypatch.setattr("os.sync", lambda: None)


@pytest.fixture
def run(tmp_path):
    """A finished run on the digits with a single checkpoint."""
    train(tiny(1), tmp_path / "run")
    return tmp_path / "run"


def refused(error, words, work, *arguments, **options):
    with pytest.raises(error, match=words) as caught:
        work(*arguments, **options)
    assert "\n" not in str(caught.value)


def test_the_trap_works(tmp_path):
    pickle.loads(pickle.dumps(Trap(tmp_path / "sprung")))
    assert (tmp_path / "sprung").exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("form", ["torch", "pickle", "inside"])
def test_a_checkpoint_with_a_pickled_trap(run, mark, form):
    [path] = RunFolder(run).checkpoints()
    buffer = io.BytesIO()
    if form == "pickle":
        pickle.dump(Trap(mark), buffer)
    else:
        state = torch.load(path, weights_only=True) if form == "inside" else {}
        torch.save({**state, "memory": Trap(mark)}, buffer)
    write_hashed(path, buffer.getvalue())
    refused(RunError, "none of 1 checkpoints is whole", train, tiny(2), run, resume=True)


def test_npz_with_pickled_objects(tmp_path, mark, unhurried):
    trap = np.array([Trap(mark)], dtype=object)
    np.savez(tmp_path / "set.npz", images=trap, labels=np.zeros(1))
    refused(
        DataError,
        "pickled objects, which can run code",
        load_source,
        DataConfig(source=str(tmp_path / "set.npz")),
    )
    folder = make_set(tmp_path / "set", "npz")
    [name] = [path.name for path in folder.glob("*.npz")]
    with np.load(folder / name) as arrays:
        good = dict(arrays)
    buffer = io.BytesIO()
    np.savez(buffer, **{**good, "confidence": trap})
    listed_again(folder, name, buffer.getvalue())
    refused(DataError, f"{name}: damaged", read_set, folder)


def test_npz_with_something_else_than_arrays(tmp_path, unhurried):
    with zipfile.ZipFile(tmp_path / "set.npz", "w") as archive:
        archive.writestr("images.npy", b"no array")
        archive.writestr("labels.npy", b"none either")
    refused(DataError, "images is no array", load_source, DataConfig(source=str(tmp_path / "set.npz")))
    folder = make_set(tmp_path / "set", "npz")
    [name] = [path.name for path in folder.glob("*.npz")]
    listed_again(folder, name, (tmp_path / "set.npz").read_bytes())
    refused(DataError, f"{name}: damaged", read_set, folder)


def test_npz_that_unpacks_to_more_than_it_can_mean(tmp_path, monkeypatch):
    monkeypatch.setattr(damaged, "BOMB_BYTES", 1 << 20)
    path = tmp_path / "set.npz"
    np.savez_compressed(path, images=np.zeros((40_000, 8, 8), np.uint8), labels=np.arange(40_000) % 2)
    refused(DataError, "set.npz: unpacks to 2 MB from", load_source, DataConfig(source=str(path)))
    np.savez(path, images=np.zeros((40_000, 8, 8), np.uint8), labels=np.arange(40_000) % 2)
    assert len(load_source(DataConfig(source=str(path))).train) > 0


def test_cached_features_with_pickled_objects(tmp_path, mark):
    cache = FeatureCache(tmp_path / "features")
    cache.get(("a",), lambda: np.zeros(2))
    [path] = (tmp_path / "features").glob("*.npy")
    buffer = io.BytesIO()
    np.save(buffer, np.array([Trap(mark)], dtype=object))
    write_hashed(path, buffer.getvalue())
    assert cache.get(("a",), lambda: np.ones(2)).tolist() == [1, 1]


@pytest.mark.parametrize(
    "text",
    [
        "data: !!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path [MARK]]",
        "data: {source: !!python/object/apply:os.system ['touch MARK']}",
        "!!python/object/new:os.system ['touch MARK']",
    ],
)
def test_yaml_with_python_tags(tmp_path, run, mark, text):
    hostile = text.replace("MARK", str(mark))
    (tmp_path / "config.yaml").write_text(hostile)
    refused(UsageError, "not readable as YAML", resolve, {}, {}, tmp_path / "config.yaml")
    (run / "config.yaml").write_text(hostile)
    refused(RunError, "config.yaml: damaged", train, tiny(1), run)


def test_yaml_that_unfolds_without_end(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    for section in (
        "arch: {name: *a11}",
        "recipe: {lr: *a11}",
        "data: *a11",
        "format_version: *a11",
        "? *a11\n: 1",
    ):
        text = "\n".join(["recipe: {lr_d:", *(f"  {line}" for line in lines), "}", section])
        (tmp_path / "config.yaml").write_text("\n".join([*lines, section]) if ":" in section else text)
        refused(UsageError, "config.yaml", resolve, {}, {}, tmp_path / "config.yaml")


def test_a_classifier_file_that_names_code_of_the_users(tmp_path, mark, context, blobs, monkeypatch):
    (tmp_path / "evil.py").write_text(f"import pathlib\npathlib.Path({str(mark)!r}).touch()\nbuild = None\n")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "classifier.safetensors"
    fit_classifier(blobs, ClassifierConfig(classifier_steps=1), seed=0, context=context).save(path)
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    head = json.loads(data[8 : 8 + size])
    about = json.loads(head["__metadata__"]["gangda"])
    head["__metadata__"]["gangda"] = json.dumps({**about, "name": "evil:build"})
    path.write_bytes(len(as_json(head)).to_bytes(8, "little") + as_json(head) + data[8 + size :])
    refused(DataError, "classifier.safetensors", FittedClassifier.load, path, context)


@pytest.mark.parametrize("name", ["generator.safetensors", "rows.txt"])
def test_one_flipped_bit_of_a_model(run, name):
    path = run / "model" / name
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)
    words = (
        rf"damaged model \({name}: its hash does not match\); the command that made it .*{run}\) goes on from"
    )
    refused(RunError, words, load_model, run)


@pytest.mark.parametrize(
    "values",
    [
        {"class_names": 5},
        {"class_names": [1, 2]},
        {"image_shape": [1, 8]},
        {"image_shape": [1, 10**9, 10**9]},
        {"image_shape": [10**9, 8, 8]},
        {"arch": "os:system"},
        {"arch": ["cdcgan"]},
        {"spec": {"width": 10**12}},
        {"spec": {"width": "4"}},
        {"spec": []},
        {"data": {"source": "digits", "new": 1}},
        {"data": "digits"},
        {"steps": "many"},
        {"seed": None},
        {"run": 7},
        {"best_step": -1},
        {"hashes": [1]},
        {"hashes": {"generator.safetensors": 3}},
    ],
    ids=str,
)
def test_a_card_with_odd_values(run, values):
    path = run / "model" / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    refused(GangdaError, "model|spec|--|architecture", load_model, run)


def test_weights_of_other_shapes(run):
    path = run / "model" / "generator.safetensors"
    tensors = {name: torch.zeros(2, 2) for name in load(path.read_bytes())}
    data = save(tensors)
    path.write_bytes(data)
    card = json.loads((run / "model" / "model.json").read_text())
    card["hashes"][path.name] = hashlib.sha256(data).hexdigest()
    (run / "model" / "model.json").write_text(json.dumps(card))
    refused(RunError, "damaged model .*the weights of the generator are not", load_model, run)


def bomb(side=100_000):
    """A PNG of a few bytes that says it is huge."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


def test_an_image_bomb_among_the_images(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(4):
            Image.new("L", (8, 8), number).save(tmp_path / "set" / name / f"{number}.png")
    (tmp_path / "set" / "dog" / "9.png").write_bytes(bomb())
    refused(DataError, r"9\.png: over .* pixels", load_source, DataConfig(source=str(tmp_path / "set")))


@pytest.mark.parametrize("data", [bomb(), bomb(9000), b"", b"\x89PNG\r\n\x1a\n", b"GIF89a"], ids=repr)
def test_an_image_bomb_in_a_set(tmp_path, unhurried, data):
    folder = make_set(tmp_path / "set", "png")
    lines = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    (folder / lines[0]["file_name"]).write_bytes(data)
    lines[0]["sha256"] = hashlib.sha256(data).hexdigest()
    listed_again(folder, "metadata.jsonl", b"".join(as_json(line) + b"\n" for line in lines))
    refused(DataError, "make the set again", read_set, folder)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "a/../../b", "\ud800", "x" * 5000, "loop", ""]
)
def test_files_that_an_index_lists_elsewhere(tmp_path, unhurried, name):
    folder = make_set(tmp_path / "set", "npz")
    index = json.loads((folder / "index.json").read_text())
    (folder / "loop").symlink_to("loop")
    (folder / "index.json").write_text(json.dumps({**index, "files": {name: "0" * 64}}))
    refused(DataError, "set", read_set, folder)


def test_a_class_folder_that_is_a_link(tmp_path, unhurried):
    folder = make_set(tmp_path / "set", "png")
    shutil.move(folder / "a", tmp_path / "elsewhere")
    (folder / "a").symlink_to(tmp_path / "elsewhere")
    refused(DataError, "a link instead of a class folder", read_set, folder)


def test_an_idx_header_of_a_hundred_dimensions(tmp_path):
    data = struct.pack(">HBB", 0, 8, 100) + struct.pack(">I", 1) * 100 + b"1"
    for kind in ("images", "labels"):
        (tmp_path / f"train-{kind}-idx3-ubyte").write_bytes(data)
    refused(DataError, "not an IDX file", load_source, DataConfig(source=str(tmp_path)))


def test_images_that_have_changed_since_the_run_began(tmp_path):
    def source(value):
        images = np.arange(40 * 64).reshape(40, 8, 8) % 250 + value
        np.savez(tmp_path / "set.npz", images=images.astype(np.uint8), labels=np.arange(40) % 4)
        data = DataConfig(source=str(tmp_path / "set.npz"))
        return replace(tiny(1), data=data)

    train(source(3), tmp_path / "run")
    refused(RunError, "its images have changed", train, source(4), tmp_path / "run")
