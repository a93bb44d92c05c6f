"""`import gangda` is light, and its functions do what the commands do, in memory and without side effects."""

import os
import random
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import gangda
from gangda.api.data import store
from gangda.config.schema import TrainConfig
from gangda.data.sample_set import read_set
from gangda.errors import DataError, RunError, UsageError
from gangda.runtime.torch_state import unchanged_torch

LIGHT = """
import sys
import gangda
assert gangda.__version__ and "train" in dir(gangda)
heavy = {"torch", "numpy", "typer", "yaml", "gangda.config"} & set(sys.modules)
assert not heavy, heavy
assert callable(gangda.train)
assert not {"torch", "numpy"} & set(sys.modules)
"""
RNG = np.random.default_rng(0)


def test_the_import_is_light():
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("GANGDA_CACHE", str(folder / "cache"))
        yield folder


@pytest.fixture(scope="module")
def data(here):
    return gangda.load("digits", image_size=16, per_class=20, seed=3)


@pytest.fixture(scope="module")
def run(data):
    return gangda.train(data, arch="pca", components=4, out="run")


def test_from_real_images_to_a_verdict(data, run, monkeypatch, here):
    monkeypatch.chdir(here)
    assert data.train.pixels.shape == (180, 16, 16, 1)
    assert repr(data).startswith("Data(digits, 10 classes, train=180, validation=20, test=")
    assert run.arch == "pca"
    made = gangda.sample(run, counts="3=4", format="npz", out=here / "set")
    assert len(read_set(made.out).images) == len(made.read()) == 4
    augmented = gangda.augment(data, run=run, ratio=0.5, out="augmented")
    fitted = gangda.fit(augmented, classifier_steps=5, repeats=2)
    assert len(fitted.as_dict()["runs"]) == 2
    scores = gangda.score(made, metrics=["diversity"], classifier_steps=5)
    assert {name.split("_")[0] for name in (row.name for row in scores.metrics)} == {"diversity", "vendi"}


def test_a_comparison_shows_itself_in_a_notebook(monkeypatch, here, empty_figures):
    monkeypatch.chdir(here)
    small = {"arch": "pca", "arms": ["real", "generated"], "seeds": 2, "classifier_steps": 5, "jobs": 1}
    seen = []
    found = gangda.compare("digits", per_class=10, progress=lambda *what: seen.append(what), **small)
    assert found.report.is_file()
    assert seen
    html = found._repr_html_()
    assert "<td>generated - real</td>" in html
    assert found.comparison.plain in html
    assert found.comparison.advice.text in html
    planned = gangda.compare("digits", per_class=10, dry_run=True, **small)
    assert planned._repr_html_() == str(planned.out)


def test_samples_in_memory_are_those_of_the_set(run, here, monkeypatch):
    monkeypatch.chdir(here)
    images, labels = run.sample(per_class=3, seed=5)
    written = gangda.sample(run, per_class=3, seed=5, format="npz").read()
    np.testing.assert_array_equal(images, written.pixels)
    assert labels.tolist() == written.labels.tolist()
    assert gangda.open_run("run") == run
    with pytest.raises(RunError, match="holds no trained generator"):
        gangda.open_run("nothing")


def test_a_dataset_draws_the_same_images_in_any_order_and_worker(run, here, monkeypatch):
    monkeypatch.chdir(here)
    images, labels = run.sample(counts="0=130,2=3")
    asked = gangda.SampleDataset(run, counts="0=130,2=3")
    assert len(asked) == 133
    read = [asked[i] for i in RNG.permutation(133)]
    by_label = {label: sorted(x.numpy().tobytes() for x, y in read if y == label) for label in (0, 2)}
    for label in (0, 2):
        own = images[labels == label].transpose(0, 3, 1, 2)
        assert by_label[label] == sorted(np.ascontiguousarray(one).tobytes() for one in own)
    assert [y for _, y in (asked[i] for i in range(6))] == [0, 2, 0, 2, 0, 2]
    alone = [x.tolist() for x, _ in DataLoader(asked, 19)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about forking
        shared = [x.tolist() for x, _ in DataLoader(asked, 19, num_workers=2)]
    assert alone == shared
    with pytest.raises(UsageError, match="say how many samples"):
        run.dataset()
    halves = run.dataset(per_class=1, transform=lambda image: image.float() / 255)
    assert halves[9][0].max() <= 1


def test_arrays_a_torch_dataset_and_a_folder_are_the_same_data(here, monkeypatch):
    monkeypatch.chdir(here)
    images = RNG.integers(0, 256, (40, 8, 8), np.uint8)
    labels = np.arange(40) % 2
    folder = here / "mine"
    from PIL import Image

    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        (folder / "ab"[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / "ab"[label] / f"{i:02}.png")
    pairs = TensorDataset(torch.from_numpy(images)[:, None], torch.from_numpy(labels))
    pairs.classes = ["a", "b"]
    loaded = [gangda.load(one, seed=1) for one in ((images, labels, ["a", "b"]), pairs)]
    by_folder = gangda.load(folder, seed=1)
    for one in loaded:
        assert one.class_names == by_folder.class_names == ("a", "b")
        assert {x.tobytes() for x in one.test.pixels} <= {x.tobytes() for x in images}
        np.testing.assert_array_equal(one.train.pixels, loaded[0].train.pixels)
    texts = gangda.load((images, np.where(labels, "dog", "cat")))
    assert texts.class_names == ("cat", "dog")
    assert store(images, labels) == store(images, labels) != store(images[::-1], labels)
    trained = gangda.train((images, labels), arch="pca", components=2)
    assert trained.sample(per_class=1).labels.tolist() == [0, 1]
    with pytest.raises(DataError, match="give a name, a path"):
        gangda.load(3)
    with pytest.raises(DataError, match="differ in size"):
        gangda.load(_Ragged())


class _Ragged(torch.utils.data.Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, i):
        return torch.zeros(8 + i, 8), 0


def state():
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    return [
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_float32_matmul_precision(),
        (cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32, matmul.allow_tf32),
        bool(torch.tensor(1e-39, dtype=torch.float32) * 1.0),
        torch.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),
        random.getstate(),
        dict(os.environ),
        torch.is_grad_enabled(),
        list(warnings.filters),
    ]


def test_torch_is_left_as_it_was(here, monkeypatch, capfd):
    monkeypatch.chdir(here)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        before = state()
        data = gangda.load(per_class=10)
        trained = gangda.train(data, arch="cdcgan", steps=2, width=8, d_width=8, threads=1, out="tiny")
        trained.sample(per_class=1)
        gangda.fit(data, classifier_steps=2)
        dataset = trained.dataset(per_class=1)
        dataset[3]
        with pytest.raises(UsageError):
            gangda.train(stepps=3)
        assert state() == before
    finally:
        torch.set_num_threads(threads)
    assert capfd.readouterr() == ("", "")


def test_all_that_may_be_changed_is_undone():
    before = state()
    with unchanged_torch():
        torch.set_num_threads(torch.get_num_threads() + 1)
        torch.set_default_dtype(torch.float64)
        torch.use_deterministic_algorithms(True)
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
        torch.set_flush_denormal(True)
        torch.manual_seed(3), np.random.seed(3), random.seed(3)
        assert [a == b for a, b in zip(state(), before, strict=True)][:9] == [False] * 9
    assert state() == before


def test_an_architecture_by_name_has_its_own_recipe():
    from gangda.config.resolve import resolve

    for arch in ("sagan", "flow", "madgan", "cdcgan"):
        assert TrainConfig(arch=arch) == resolve({("arch", "name"): arch}, {}).pick(TrainConfig)
    assert TrainConfig(arch="sagan").recipe.lr == 8e-4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gangda.train(stepps=3), "stepps: no such option; did you mean 'steps'"),
        (lambda: gangda.train(per_class=1), "--per-class 1: must be at least 2"),
        (lambda: gangda.train(steps="many"), "--steps 'many': expected a whole number"),
        (lambda: gangda.compare(fresh=3), "fresh is now called synthetic_passes"),
        (lambda: gangda.augment(run="run", score_by="accuracy"), "--score-by: nothing is chosen"),
        (lambda: gangda.classify("digits", data="mnist"), "data: no such option"),
        (lambda: gangda.train(progress=print, reporter=1), "progress and reporter exclude"),
    ],
)
def test_options_are_checked_as_on_the_command_line(call, message):
    with pytest.raises(UsageError, match=f"^{message}"):
        call()


def test_other_attributes_are_errors():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        gangda.nothing  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        gangda.api.nothing  # noqa: B018


def test_no_data_is_not_the_digits():
    with pytest.raises(DataError, match="data is None: give"):
        gangda.load(None)
