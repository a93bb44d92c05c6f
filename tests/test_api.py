"""`import gangda` is light, and its functions do what the commands do."""

import subprocess
import sys

import pytest

import gangda
from gangda.data.sample_set import read_set
from gangda.errors import UsageError

LIGHT = """
import sys
import gangda
assert gangda.__version__ and "train" in dir(gangda)
heavy = {"torch", "numpy", "typer", "yaml", "gangda.config"} & set(sys.modules)
assert not heavy, heavy
assert callable(gangda.train)
assert not {"torch", "numpy"} & set(sys.modules)
"""


def test_the_import_is_light():
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_from_real_images_to_a_verdict(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = {"per_class": 20, "seed": 3}
    splits = gangda.load("digits", image_size=16, **small)
    assert splits.train.pixels.shape == (180, 16, 16, 1)
    trained = gangda.train(arch="pca", components=4, out="run", **small)
    assert trained.arch == "pca"
    made = gangda.sample("run", counts="3=4", format="npz", out=tmp_path / "set")
    assert len(read_set(made.out).images) == 4
    augmented = gangda.augment(run="run", ratio=0.5, out="augmented", **small)
    fitted = gangda.classify(augmented.out, classifier_steps=5, repeats=2)
    assert len(fitted.as_dict()["runs"]) == 2
    scores = gangda.score("set", metrics=["diversity"], classifier_steps=5)
    assert {name.split("_")[0] for name in (row.name for row in scores.metrics)} == {"diversity", "vendi"}
    found = gangda.compare(
        arch="pca", arms=["real", "generated"], per_class=10, seeds=2, classifier_steps=5, jobs=1
    )
    assert found.report.is_file()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gangda.train(stepps=3), "stepps: no such option; did you mean 'steps'"),
        (lambda: gangda.train(per_class=1), "--per-class 1: must be at least 2"),
        (lambda: gangda.train(steps="many"), "--steps 'many': expected a whole number"),
        (lambda: gangda.compare(fresh=3), "fresh is now called synthetic_passes"),
        (lambda: gangda.augment(run="run", score_by="accuracy"), "--score-by: nothing is chosen"),
        (lambda: gangda.classify("digits", data="mnist"), "data: no such option"),
    ],
)
def test_options_are_checked_as_on_the_command_line(call, message):
    with pytest.raises(UsageError, match=f"^{message}"):
        call()


def test_other_attributes_are_errors():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        gangda.nothing  # noqa: B018
