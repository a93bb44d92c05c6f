"""Whatever is wrong with what a user gives: one line on stderr, the right exit code, nothing half-written."""

import gzip
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

PCA = ("--arch", "pca", "--components", "4")


def picture(path, value=100, size=8):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (size, size), value).save(path)


def folders(root, classes=("cat", "dog"), count=6):
    for index, name in enumerate(classes):
        for number in range(count):
            picture(root / name / f"{number}.png", 40 * index + number)
    return root


def arrays(path, labels=None, pixels=None, **others):
    pixels = (
        np.random.default_rng(0).integers(0, 255, (20, 8, 8)).astype(np.uint8) if pixels is None else pixels
    )
    np.savez(path, images=pixels, labels=np.arange(20) % 2 if labels is None else labels, **others)
    return path


def empty_class(here):
    (folders(here / "set") / "empty").mkdir()
    return ["train", "--data", here / "set"]


def too_deep(here):
    for name in ("cat", "dog"):
        for number in range(4):
            picture(here / "set" / name / "raw" / f"{number}.png")
    return ["train", "--data", here / "set"]


def corrupt_png(here):
    whole = folders(here / "set") / "dog" / "3.png"
    whole.write_bytes(whole.read_bytes()[:40])
    return ["train", "--data", here / "set"]


def one_class(here):
    return ["train", "--data", folders(here / "set", classes=("cat",))]


def truncated_idx(here):
    (here / "set").mkdir()
    header = struct.pack(">IIII", 0x803, 50, 8, 8)
    with gzip.open(here / "set" / "train-images-idx3-ubyte.gz", "wb") as file:
        file.write(header + b"\0" * 100)
    with gzip.open(here / "set" / "train-labels-idx1-ubyte.gz", "wb") as file:
        file.write(struct.pack(">II", 0x801, 50) + b"\0" * 50)
    return ["train", "--data", here / "set"]


def truncated_npz(here):
    path = arrays(here / "set.npz")
    path.write_bytes(path.read_bytes()[:400])
    return ["train", "--data", path]


def pickled_npz(here):
    np.savez(here / "set.npz", images=np.array([{"a": 1}], dtype=object), labels=np.zeros(1))
    return ["train", "--data", here / "set.npz"]


def labels_out_of_range(here):
    return ["train", "--data", arrays(here / "set.npz", labels=np.arange(20) - 5)]


def labels_too_few(here):
    return ["train", "--data", arrays(here / "set.npz", labels=np.zeros(7, dtype=int))]


def nan_pixels(here):
    pixels = np.random.default_rng(0).random((20, 8, 8))
    pixels[3, 2, 2] = np.nan
    return ["train", "--data", arrays(here / "set.npz", pixels=pixels)]


def foreign(here, name="taken"):
    (here / name).mkdir()
    (here / name / "thesis.txt").write_text("mine")
    return here / name


def foreign_out(*words):
    def build(here):
        return [*words, "--out", foreign(here)]

    return build


def unknown_key(here):
    (here / "c.yaml").write_text("recipe: {learning_rate: 1}\n")
    return ["train", "--config", here / "c.yaml"]


def out_is_a_file(here):
    (here / "file").write_text("mine")
    return ["train", *PCA, "--out", here / "file"]


# name: (words or how to make them, exit code, what the line must say)
CASES = {
    "missing path": (["train", "--data", "no/such/folder"], 1, ["no/such/folder", "no such file"]),
    "misspelt set": (["train", "--data", "fashon-mnist"], 1, ["fashon-mnist", "fashion-mnist"]),
    "empty class": (empty_class, 1, ["empty"]),
    "one folder too deep": (too_deep, 1, ["raw"]),
    "corrupt PNG": (corrupt_png, 1, ["3.png"]),
    "one class only": (one_class, 1, ["one class"]),
    "truncated IDX": (truncated_idx, 1, ["train-images-idx3-ubyte.gz"]),
    "truncated NPZ": (truncated_npz, 1, ["set.npz"]),
    "pickled NPZ": (pickled_npz, 1, ["set.npz"]),
    "labels out of range": (labels_out_of_range, 1, ["set.npz", "label"]),
    "labels too few": (labels_too_few, 1, ["set.npz"]),
    "NaN pixels": (nan_pixels, 1, ["set.npz", "NaN"]),
    "more images than there are": (["train", "--per-class", "100000"], 1, ["100000", "--per-class"]),
    "counts of other classes": (["train", "--class-counts", "5,5"], None, ["--class-counts"]),
    "train --out of somebody else": (foreign_out("train", *PCA), 1, ["taken", "--out"]),
    "train --out a file": (out_is_a_file, 1, ["file"]),
    "unknown YAML key": (unknown_key, 2, ["c.yaml", "recipe.learning_rate"]),
    "missing YAML": (["train", "--config", "none.yaml"], 2, ["none.yaml", "no such file"]),
    "unknown architecture": (["train", "--arch", "cdgan"], 2, ["cdgan", "cdcgan"]),
    "no generators": (["train", "--arch", "madgan", "--generators", "0"], 2, ["--generators 0"]),
    "another's option": (["train", "--generators", "4"], 2, ["--generators", "madgan"]),
    "two budgets": (["train", "--steps", "5", "--minutes", "1"], 2, ["--steps and --minutes"]),
    "not a number": (["train", "--steps", "many"], 2, ["--steps 'many'", "whole number"]),
    "odd checkpoints": (["train", "--checkpoint-every", "often"], 2, ["--checkpoint-every often"]),
    "image too small": (["train", "--image-size", "4"], 2, ["--image-size 4", "between 8 and 64"]),
    "no CUDA": (["train", "--device", "cuda"], 2, ["--device cuda"]),
    "no such device": (["train", "--device", "abacus"], 2, ["--device abacus"]),
    "negative ratio": (["augment", "--ratio", "-1"], 2, ["--ratio -1"]),
    "ratio and replace": (["augment", "--ratio", "1", "--replace", "0.5"], 2, ["--ratio and --replace"]),
    "share above one": (["augment", "--replace", "1.5"], 2, ["--replace 1.5"]),
    "no run yet": (["augment", "--balance", "--ratio", "0.5"], 1, ["gangda train"]),
    "not a run": (["augment", "--run", "none"], 1, ["none"]),
    "unknown class": (["augment", "--method", "traditional", "--ratio-for", "zebra=1"], None, ["zebra"]),
    "augment --out of somebody else": (
        foreign_out("augment", "--method", "traditional", "--ratio", "0.1"),
        1,
        ["taken", "--out"],
    ),
    "sample of nothing": (["sample", "none", "--per-class", "1"], 1, ["none"]),
    "sample of both": (["sample", "none", "--per-class", "1", "--counts", "0=1"], 2, ["--counts exclude"]),
    "odd shard": (["sample", "none", "--per-class", "1", "--shard", "3"], 2, ["--shard 3"]),
    "classify nothing": (["classify", "no/such/set"], 1, ["no/such/set"]),
    "classify with nothing": (["classify", "digits", "--test", "no/such/set"], 1, ["no/such/set"]),
    "classifier unknown": (["classify", "digits", "--classifier", "lenett"], 2, ["lenett", "lenet"]),
    "classify --out of somebody else": (
        foreign_out("classify", "digits", "--per-class", "4", "--classifier-steps", "1"),
        1,
        ["taken", "--out"],
    ),
    "score nothing": (["score", "no/such/set"], 1, ["no/such/set"]),
    "compare unknown arm": (["compare", "--arms", "real,fake"], 2, ["--arms fake"]),
    "compare no such cell": (["compare", "--cell", "99"], 2, ["--cell 99"]),
    "compare --out of somebody else": (
        foreign_out("compare", "--arch", "pca", "--seeds", "1", "--classifier-steps", "1"),
        1,
        ["taken", "--out"],
    ),
    "compare nothing to judge": (["compare", "--arch", "pca", "--judge", "--out", "new"], 3, ["missing"]),
    "compare an experiment of no plan": (
        ["compare", "--experiment", "pca-components", "--quick", "--judge", "--out", "new"],
        3,
        ["no plan there"],
    ),
    "compare a cell of no plan": (
        ["compare", "--cell", "0", "--out", "new"],
        2,
        ["--out new: no plan of a comparison"],
    ),
}
NEEDS_NO_CUDA = {"no CUDA"}


def tree(here: Path) -> dict[str, bytes]:
    """All files below a folder and what is in them; folders too."""
    return {
        str(path.relative_to(here)): b"" if path.is_dir() else path.read_bytes() for path in here.rglob("*")
    }


@pytest.mark.parametrize("name", CASES)
def test_one_line_and_nothing_half_written(gangda, tmp_path, name):
    if name in NEEDS_NO_CUDA and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    words, code, says = CASES[name]
    words = words(tmp_path) if callable(words) else words
    before = tree(tmp_path)
    answer = gangda(*words, "--quiet")
    refused(answer, code, says)
    assert tree(tmp_path) == before


def refused(answer, code, says):
    assert answer.err.startswith("gangda: ")
    assert answer.err.count("\n") == 1, answer.err
    assert "Traceback" not in answer.err
    assert answer.out == ""
    assert answer.code in ((1, 2) if code is None else (code,))
    for words in says:
        assert words in answer.err


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A finished run on the digits."""
    from gangda.config import architectures, schema
    from gangda.training import train

    spec = architectures.PcaSpec(components=4)
    data = schema.DataConfig(per_class=20)
    config = schema.TrainConfig(data=data, arch="pca", spec=spec, budget=schema.Budget())
    return train(config, tmp_path_factory.mktemp("runs") / "digits-pca").run


def of_run(gangda, tmp_path, run, words, code, says):
    before = (tree(tmp_path), tree(run))
    answer = gangda(*[run if word == "RUN" else word for word in words], "--quiet")
    refused(answer, code, says)
    assert (tree(tmp_path), tree(run)) == before


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["sample", "RUN"], 2, ["--per-class"]),
        (["sample", "RUN", "--counts", "zebra=4"], None, ["zebra"]),
        (["sample", "RUN", "--counts", "3"], None, ["--counts"]),
        (["sample", "RUN", "--counts", "#12=3"], None, ["#12"]),
        (["sample", "RUN", "--counts", "3=-1"], None, ["--counts"]),
        (["sample", "RUN", "--per-class", "1", "--generator", "2"], None, ["generator"]),
        (["sample", "RUN", "--per-class", "1", "--shard", "3/2"], None, ["shard"]),
        (["augment", "--run", "RUN", "--per-class", "10"], 1, ["digits-pca"]),
        (["compare", "--run", "RUN", "--per-class", "10"], 1, ["digits-pca"]),
    ],
)
def test_runs_that_do_not_fit(gangda, tmp_path, run, words, code, says):
    of_run(gangda, tmp_path, run, words, code, says)


@pytest.mark.parametrize(
    ("value", "code", "says"),
    [
        ("0", 2, ["--unlabelled 0", "above 0"]),
        ("5000", 1, ["--unlabelled 5000", "1237 training images are left"]),
        ("none/at/all", 1, ["no such folder"]),
    ],
)
@pytest.mark.parametrize(
    "command", [("train", *PCA), ("compare", "--arms", "real,pseudo-labelled+traditional")]
)
def test_unlabelled_images_that_are_not_there(gangda, tmp_path, command, value, code, says):
    refused(gangda(*command, "--per-class", "20", "--unlabelled", value, "--quiet"), code, says)
    assert not list(tmp_path.iterdir())


def test_a_run_trained_on_other_classes(gangda, tmp_path, run):
    data = folders(tmp_path / "set")
    of_run(gangda, tmp_path, run, ["augment", "--run", "RUN", "--data", data], 1, ["digits-pca", "class"])


@pytest.mark.parametrize("damage", ["generator.safetensors", "model.json", "rows.txt"])
def test_a_damaged_run(gangda, tmp_path, run, damage):
    copy = shutil.copytree(run, tmp_path / "copy")
    path = copy / "model" / damage
    path.write_bytes(path.read_bytes()[:5] + b"\xff\xff")
    answer = gangda("sample", copy, "--per-class", "1", "--quiet")
    refused(answer, 1, ["copy"])
    assert not (tmp_path / "samples").exists()


def test_sample_out_of_somebody_else(gangda, tmp_path, run):
    words = ["sample", "RUN", "--per-class", "1", "--out", foreign(tmp_path)]
    of_run(gangda, tmp_path, run, words, 1, ["taken", "--out"])


def test_score_samples_of_other_classes(gangda, tmp_path, run):
    gangda("sample", run, "--per-class", "2", "--out", "set", "--quiet")
    of_run(gangda, tmp_path, run, ["score", "set", "--data", folders(tmp_path / "own")], 1, ["set"])


def test_the_error_line_survives_json(gangda):
    answer = gangda("train", "--data", "none/at/all", "--json")
    assert answer.out == ""
    assert answer.err.startswith("gangda: ")


def test_png_that_is_no_picture_is_named(gangda, tmp_path):
    root = folders(tmp_path / "set")
    (root / "cat" / "x.png").write_bytes(b"not a picture at all")
    refused(gangda("train", "--data", root, "--quiet"), 1, ["x.png"])
