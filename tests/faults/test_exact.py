"""Same seed, same bytes; and a run stopped at any step and resumed is the uninterrupted run, for every architecture."""

import os
import random
import signal
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from damage import few, many
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import contents

from gangda.config import architectures, catalog, presets
from gangda.config.methods import default_options
from gangda.config.schema import Budget, DataConfig, Runtime, TrainConfig
from gangda.errors import RunError, StoppedError
from gangda.training import metrics_logger, train
from gangda.training import run as training_run
from gangda.training.saved_model import load_model
from gangda.zoo import draw

pytestmark = pytest.mark.faults

FITTED = [name for name in catalog.ARCHITECTURES if architectures.spec_class(name).method == "closed-form"]
TRAINED = [name for name in catalog.ARCHITECTURES if name not in FITTED]
TINY = {"width": 4, "d_width": 4, "first_width": 4, "latent_dim": 8}
PRETRAINING, STEPS = 3, 5  # of 6 images each (10 for five generators), of 30: epochs end within steps
# Everything that is carried from step to step: running averages, the course of the rates, lazy penalties, a pool.
RICH = {
    "d_pretrain": PRETRAINING,
    "d_steps": 2,
    "r1_every": 3,
    "r2": 0.5,
    "lecam": 0.3,
    "lr_constant_steps": 2,
    "conditioning_warmup": 4,
    "curriculum": 2,
    "cr": 1.0,
    "diffaugment": ("translation", "cutout"),
}


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """Networks of fixed widths, narrower; a log line at every third step; small grids; no waiting for disks."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setattr(draw, "BLOCK", 10)
    monkeypatch.setattr(presets.MadganSeparateSpec, "first_widths", (8, 4))
    monkeypatch.setattr(metrics_logger, "LOG_EVERY", 3)


def config(arch, steps=STEPS, every="4", **recipe):
    spec_class = architectures.spec_class(arch)
    options = {name: value for name, value in TINY.items() if name in spec_class.__dataclass_fields__}
    if arch in ("flow", "edm"):
        options["width"] = 8
    spec = spec_class(**options)
    if spec.method == "closed-form":
        recipe, method = default_options({}, spec.method)
        own = {"recipe": recipe, "method": method, "runtime": Runtime(threads=1)}
        return TrainConfig(data=DataConfig(per_class=4), arch=arch, spec=spec, **own)
    own = {"batch_size": 2 * getattr(spec, "generators", 3), **recipe}
    if arch not in ("flow", "edm"):
        own = {"r1_every": 3, "d_pretrain": PRETRAINING, **own}
    recipe, method = default_options({**spec.recipe, **own}, spec.method)
    return TrainConfig(
        data=DataConfig(per_class=4),
        arch=arch,
        spec=spec,
        recipe=recipe,
        method=method,
        budget=Budget(steps=steps, checkpoint_every=every),
        runtime=Runtime(threads=1),
    )


class Stops:
    """Sends SIGTERM after the given records (turns of the pre-training and steps) of the training loop."""

    def __init__(self, monkeypatch, at):
        self.done, self.at, self.steps = 0, set(at), training_run.training_steps
        monkeypatch.setattr(training_run, "training_steps", self)

    def __call__(self, *arguments):
        for record in self.steps(*arguments):
            self.done += 1
            if self.done in self.at:
                os.kill(os.getpid(), signal.SIGTERM)
            yield record


def resumed(asked, run, at):
    """Train, stopped and run again at each of these records."""
    with pytest.MonkeyPatch.context() as patch:
        Stops(patch, at)
        for _ in at:
            with pytest.raises(StoppedError, match="all saved"):
                train(asked, run)
        train(asked, run)
    return contents(run)


def drawn(run):
    from gangda.runtime.device import prepare

    model = load_model(run)
    return draw.draw_block(model.generator, 0, 0, seed=1, context=prepare(Runtime(threads=1))).pixels


@pytest.mark.parametrize("arch", TRAINED)
def test_a_resumed_run_is_the_uninterrupted_one(tmp_path, arch):
    asked = config(arch, every="1000")
    train(asked, tmp_path / "a" / "run")
    at = [random.randrange(1, asked.method.pretraining_steps + STEPS)]
    assert contents(tmp_path / "a" / "run") == resumed(asked, tmp_path / "b" / "run", at), at
    assert np.array_equal(drawn(tmp_path / "a" / "run"), drawn(tmp_path / "b" / "run"))


@pytest.mark.parametrize("arch", FITTED)
def test_what_is_fitted_is_the_same_again(tmp_path, arch):
    for place in ("a", "b"):
        train(config(arch), tmp_path / place / "run")
    assert contents(tmp_path / "a" / "run") == contents(tmp_path / "b" / "run")


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    """A run with everything that is carried from step to step, uninterrupted."""
    run = tmp_path_factory.mktemp("rich") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics_logger, "LOG_EVERY", 3)
        patch.setattr(draw, "BLOCK", 10)
        train(config("cdcgan", **RICH), run)
    return contents(run)


RECORDS = st.sets(st.integers(1, PRETRAINING + STEPS - 1), min_size=1, max_size=4).map(sorted)


@pytest.mark.parametrize(
    "depth",
    [settings(few, max_examples=2), pytest.param(settings(many, max_examples=60), marks=pytest.mark.long)],
    ids=["few", "many"],
)
def test_stopped_anywhere_with_all_that_is_carried_along(rich, depth):
    @depth
    @given(RECORDS)
    def check(at):
        with tempfile.TemporaryDirectory() as folder:
            assert resumed(config("cdcgan", **RICH), Path(folder) / "run", at) == rich

    check()


@pytest.mark.parametrize("schedule", ["constant", "inverse-sqrt", "cosine"])
def test_steps_may_be_raised_where_nothing_depends_on_them(tmp_path, schedule):
    short, long = (
        config("cdcgan", steps, "2", lr_schedule=schedule, lr_constant_steps=2) for steps in (3, 5)
    )
    train(short, tmp_path / "a" / "run")
    if schedule == "cosine":
        with pytest.raises(RunError, match=r"budget.steps = 3, not 5"):
            train(long, tmp_path / "a" / "run", resume=True)
        return
    train(long, tmp_path / "a" / "run", resume=True)
    train(long, tmp_path / "b" / "run")
    found, straight = (contents(tmp_path / name / "run") for name in ("a", "b"))
    assert found.pop(
        "samples/grid-00000003.png"
    )  # the last of the shorter run stays, and is in the animation
    assert found.pop("samples/training.gif") != straight.pop("samples/training.gif")
    assert found == straight


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda asked: replace(asked, recipe=replace(asked.recipe, lr=0.1)),
            r"recipe\.lr = 0\.001, not 0\.1",
        ),
        (lambda asked: replace(asked, spec=replace(asked.spec, width=8)), r"arch\.width = 4, not 8"),
        (lambda asked: replace(asked, data=DataConfig(per_class=5)), r"data\.per_class = 4, not 5"),
        (lambda asked: replace(asked, runtime=Runtime(threads=1, seed=7)), r"runtime\.seed = 0, not 7"),
    ],
)
def test_other_parameters_are_refused_and_named(tmp_path, change, words):
    asked = config("cdcgan", 1)
    train(asked, tmp_path / "run")
    before = contents(tmp_path / "run")
    with pytest.raises(RunError, match=words):
        train(change(asked), tmp_path / "run", resume=True)
    assert contents(tmp_path / "run") == before
