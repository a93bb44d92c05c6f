"""Whatever is in the files that gangda reads: it is read, or refused as a GangdaError, and nothing else comes out."""

import contextlib
import gzip
import hashlib
import io
import json
import shutil

import numpy as np
import pytest
import torch
import yaml
from damage import JUNK, as_json, few, many, other_values, spoilt, write
from fake_experiment import finish, plan_for
from hypothesis import given
from hypothesis import strategies as st
from idx_files import write_idx

from gangda import experiments
from gangda.classifying.fit import fit_classifier
from gangda.classifying.fitted_classifier import FittedClassifier
from gangda.comparing.cell_result import CellResult
from gangda.comparing.plan_file import publish
from gangda.comparing.storage import cell_path, read_cell
from gangda.config import architectures
from gangda.config.catalog import FORMATS
from gangda.config.methods import default_options
from gangda.config.resolve import resolve
from gangda.config.schema import (
    Budget,
    ClassifierConfig,
    ComparisonConfig,
    DataConfig,
    Runtime,
    SampleConfig,
    TrainConfig,
)
from gangda.data.images import generated_images
from gangda.data.loading import load_source
from gangda.data.sample_set import SetHeader, read_set, set_being_written
from gangda.data.sources import npz
from gangda.errors import GangdaError
from gangda.runtime.hashed_file import read_hashed
from gangda.runtime.runs import RunFolder
from gangda.sampling import sample
from gangda.training import train
from gangda.training.saved_model import load_model

pytestmark = pytest.mark.faults

refused_or_read = contextlib.suppress(GangdaError)
depths = pytest.mark.parametrize(
    "depth", [few, pytest.param(many, marks=pytest.mark.long)], ids=["few", "many"]
)


def fuzz(depth, strategy, check):
    """Run `check` on examples of `strategy`."""

    @depth
    @given(strategy)
    def run(example):
        check(example)

    run()


def tiny(steps=2, **recipe):
    spec = architectures.CdcganSpec(width=4, d_width=4)
    values, method = default_options({"batch_size": 4, **recipe}, spec.method)
    return TrainConfig(
        data=DataConfig(per_class=3),
        spec=spec,
        recipe=values,
        method=method,
        budget=Budget(steps=steps, checkpoint_every="1"),
        runtime=Runtime(threads=1),
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run on the digits."""
    run = tmp_path_factory.mktemp("fuzz") / "run"
    train(tiny(), run)
    return run


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run, tmp_path / "run")


@depths
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx(tmp_path, depth, ending):
    images, labels = (
        tmp_path / f"train-images-idx3-ubyte{ending}",
        tmp_path / f"train-labels-idx1-ubyte{ending}",
    )
    write_idx(images, np.zeros((6, 9, 9), dtype=np.uint8))
    write_idx(labels, (np.arange(6) % 3).astype(np.uint8))
    good = images.read_bytes()

    def check(data):
        write(images, data)
        with refused_or_read:
            load_source(DataConfig(source=str(tmp_path)))

    fuzz(depth, spoilt(good), check)
    if ending:
        fuzz(depth, spoilt(gzip.decompress(good)).map(gzip.compress), check)
    write(images, good)
    kept = labels.read_bytes()
    fuzz(depth, spoilt(kept), lambda data: (write(labels, data), check(good)))


@depths
def test_npz(tmp_path, depth):
    path = tmp_path / "set.npz"
    np.savez(
        path, images=np.zeros((6, 8, 8), dtype=np.uint8), labels=np.arange(6) % 2, class_names=["a", "b"]
    )

    def check(data):
        write(path, data)
        with refused_or_read:
            npz.read(path)

    fuzz(depth, spoilt(path.read_bytes()), check)


def make_set(out, form):
    header = SetHeader(
        kind="samples",
        format=form,
        key="0123456789abcdef",
        class_names=("a", "b"),
        image_shape=(1, 8, 8),
        total=(3, 3),
        data={"config": {"source": "digits", "per_class": 3}, "seed": 0, "fingerprint": "f"},
        provenance={"run": "r", "seed": 1},
    )
    with set_being_written(out, header) as writer:
        pixels = np.zeros((6, 8, 8, 1), dtype=np.uint8)
        writer.write(generated_images(pixels, np.arange(6) // 3, header.class_names), 0)
    return out


def listed_again(folder, name, data):
    """A forger's file: the index gives the hash that it has."""
    index = json.loads((folder / "index.json").read_text())
    write(folder / name, data)
    index["files"][name] = hashlib.sha256(data).hexdigest()
    write(folder / "index.json", as_json(index))


@depths
@pytest.mark.parametrize("form", FORMATS)
def test_index_of_a_set(tmp_path, depth, form, monkeypatch):
    monkeypatch.setattr("os.sync", lambda: None)
    folder = make_set(tmp_path / "set", form)
    index = (folder / "index.json").read_bytes()

    def check(data):
        write(folder / "index.json", data)
        with refused_or_read:
            read_set(folder)
        with refused_or_read:
            load_source(DataConfig(source=str(folder)))

    fuzz(depth, spoilt(index), check)
    fuzz(depth, other_values(json.loads(index)).map(as_json), check)


@depths
@pytest.mark.parametrize("form", FORMATS)
def test_files_of_a_set(tmp_path, depth, form, monkeypatch):
    monkeypatch.setattr("os.sync", lambda: None)
    folder = make_set(tmp_path / "set", form)
    index = (folder / "index.json").read_bytes()

    def forged(name, data):
        listed_again(folder, name, data)
        with refused_or_read:
            read_set(folder)
        write(folder / "index.json", index)

    for name in json.loads(index)["files"]:
        good = (folder / name).read_bytes()
        fuzz(depth, spoilt(good), lambda data, name=name: forged(name, data))
        if name.endswith(".jsonl"):
            lines = [json.loads(line) for line in good.splitlines()]
            other = other_values(lines).filter(lambda value: isinstance(value, list))
            text = other.map(lambda lines: b"".join(as_json(line) + b"\n" for line in lines))
            fuzz(depth, text, lambda data, name=name: forged(name, data))
        write(folder / name, good)


@depths
def test_pictures_of_a_set(tmp_path, depth, monkeypatch):
    monkeypatch.setattr("os.sync", lambda: None)
    folder = make_set(tmp_path / "set", "png")
    lines = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    picture = folder / lines[0]["file_name"]

    def check(data):
        write(picture, data)
        lines[0]["sha256"] = hashlib.sha256(data).hexdigest()
        listed_again(folder, "metadata.jsonl", b"".join(as_json(line) + b"\n" for line in lines))
        with refused_or_read:
            read_set(folder)

    fuzz(depth, spoilt(picture.read_bytes()), check)


@depths
def test_checkpoints(copy, depth):
    """Bytes whose hash fits all the same; then values of other kinds in an otherwise good one."""
    newest = RunFolder(copy).checkpoints()[-1]
    good = read_hashed(newest)
    for other in RunFolder(copy).checkpoints()[:-1]:
        other.unlink()

    def check(data):
        write(newest, data + hashlib.sha256(data).digest())
        shutil.rmtree(copy / "model", ignore_errors=True)
        with refused_or_read:
            train(tiny(), copy)

    fuzz(depth, spoilt(good), check)
    state = torch.load(io.BytesIO(good), weights_only=True)

    def saved(change):
        buffer = io.BytesIO()
        key, junk = change
        torch.save({**state, key: junk}, buffer)
        check(buffer.getvalue())

    fuzz(depth, st.tuples(st.sampled_from(sorted(state)), JUNK), saved)


@depths
@pytest.mark.parametrize("name", ["run.json", "config.yaml", "metrics.jsonl"])
def test_other_files_of_a_run(copy, depth, name):
    good = {file: (copy / file).read_bytes() for file in ("run.json", "config.yaml", "metrics.jsonl")}

    def check(data):
        for file, kept in good.items():
            write(copy / file, kept)
        write(copy / name, data)
        with refused_or_read:
            train(tiny(3), copy, resume=True)
        shutil.rmtree(copy / "checkpoints")
        shutil.copytree(run_checkpoints, copy / "checkpoints")

    run_checkpoints = copy.parent / "kept"
    shutil.copytree(copy / "checkpoints", run_checkpoints)
    fuzz(depth, spoilt(good[name]), check)
    if name.endswith(".json"):
        fuzz(depth, other_values(json.loads(good[name])).map(as_json), check)


@depths
@pytest.mark.parametrize("name", ["model.json", "rows.txt", "generator.safetensors"])
def test_model(copy, depth, name, tmp_path):
    """As written, and as a forger writes it: with the right hashes on the card."""
    path = copy / "model" / name
    good, card = path.read_bytes(), json.loads((copy / "model" / "model.json").read_text())

    def check(data):
        write(path, data)
        for hashes in [None] if name == "model.json" else [None, {}]:
            if hashes is not None:
                write(copy / "model" / "model.json", as_json({**card, "hashes": hashes}))
            with refused_or_read:
                load_model(copy)
            with refused_or_read:
                sample(copy, SampleConfig(per_class=1), Runtime(threads=1), tmp_path / "set", dry_run=True)

    fuzz(depth, spoilt(good), check)
    if name == "model.json":
        fuzz(depth, other_values(card).map(as_json), check)


@depths
def test_classifiers(tmp_path, depth, context, blobs):
    path = tmp_path / "classifier.safetensors"
    fit_classifier(blobs, ClassifierConfig(classifier_steps=1), seed=0, context=context).save(path)
    good = path.read_bytes()
    size = int.from_bytes(good[:8], "little")
    head = json.loads(good[8 : 8 + size])
    about = json.loads(head["__metadata__"]["gangda"])

    def check(data):
        write(path, data)
        with refused_or_read:
            FittedClassifier.load(path, context)

    def described(values):
        text = as_json({**head, "__metadata__": {"gangda": json.dumps(values)}})
        check(len(text).to_bytes(8, "little") + text + good[8 + size :])

    fuzz(depth, spoilt(good), check)
    fuzz(depth, other_values(about), described)


@depths
def test_configuration(tmp_path, depth):
    path = tmp_path / "config.yaml"
    good = {
        "format_version": 2,
        "data": {"source": "digits", "per_class": 5, "class_counts": None},
        "arch": {"name": "madgan", "generators": 3},
        "recipe": {"lr": 0.1},
        "method": {"r1": 0.5, "diffaugment": ["color"]},
        "budget": {"steps": 3, "checkpoint_every": "5s"},
        "runtime": {"seed": 1, "threads": None},
    }

    def check(data):
        write(path, data)
        with refused_or_read:
            resolve({}, {}, path)

    text = yaml.safe_dump(good).encode()
    fuzz(depth, spoilt(text), check)
    fuzz(depth, other_values(good).map(as_json), check)  # JSON is YAML


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "9" * 10_000])
def test_what_is_nested_or_long_beyond_all_sense(tmp_path, copy, text):
    for path in (
        tmp_path / "config.yaml",
        copy / "run.json",
        copy / "model" / "model.json",
        copy / "config.yaml",
    ):
        before = path.read_bytes() if path.exists() else b""
        write(path, text.encode())
        with pytest.raises(GangdaError):
            resolve({}, {}, path) if path.name == "config.yaml" else load_model(
                copy
            ) if path.parent.name == "model" else train(tiny(), copy)
        if path.is_relative_to(copy):
            write(path, before)


EXPERIMENT = {
    "kind": "experiment",
    "title": "A title",
    "question": "Which?",
    "origin": "mine",
    "measure": "score",
    "base": {"arch": {"name": "pca"}, "compare": {"seeds": 2}},
    "vary": {"arch.components": [4, 8], "data.per_class": [10]},
    "between": True,
    "arm": "generated",
    "metrics": ["gan_test", "fid"],
    "quick": {"compare": {"seeds": 1}, "vary": {"arch.components": [2]}},
}


@depths
@pytest.mark.parametrize("quick", [False, True])
def test_an_experiment_of_ones_own(tmp_path, depth, quick):
    path = tmp_path / "mine.yaml"

    def check(data):
        write(path, data)
        with refused_or_read:
            for layer in experiments.read(str(path), quick).variants.items():
                resolve({}, {}, layer).pick(ComparisonConfig)

    fuzz(depth, spoilt(as_json(EXPERIMENT)), check)
    fuzz(depth, other_values(EXPERIMENT).map(as_json), check)


@depths
def test_cells_and_plan_of_an_experiment(tmp_path, depth):
    """A damaged cell is one that is missing: it is run again."""
    plan = plan_for(tmp_path, seeds=2)
    finish(plan, tmp_path)
    path, good = cell_path(tmp_path, plan.cells[0]), cell_path(tmp_path, plan.cells[0]).read_bytes()

    def check(data):
        write(path, data)
        assert read_cell(tmp_path, plan.cells[0], CellResult) is None or json.loads(data) == json.loads(good)

    fuzz(depth, spoilt(good), check)
    fuzz(depth, other_values(json.loads(good)).map(as_json), check)
    whole = (tmp_path / "plan.json").read_bytes()

    def publish_again(data):
        write(tmp_path / "plan.json", data)
        with refused_or_read:
            publish(plan, tmp_path)

    fuzz(depth, spoilt(whole), publish_again)
    fuzz(depth, other_values(json.loads(whole)).map(as_json), publish_again)
