import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.torch import load_file

from gangda import search_spaces, tuning
from gangda.config.files import merge_sections
from gangda.config.resolve import resolve
from gangda.config.schema import DataConfig, TrainConfig
from gangda.data.loading import load_splits
from gangda.errors import OutcomeError, RunError, StoppedError, UsageError
from gangda.runtime.progress import Reporter
from gangda.training import fit_generator
from gangda.training.monitor.sample_monitor import SampleMonitor
from gangda.training.result import Estimate
from gangda.tuning import objectives, result, trial

pytest.importorskip("optuna")

SMALL = {
    "data": {"per_class": 12, "validation": 0.3},
    "arch": {"name": "cdcgan", "width": 4, "d_width": 4},
    "recipe": {"batch_size": 8},
    "budget": {"steps": 9},
    "classifier": {"classifier_steps": 10},
    "runtime": {"threads": 1},
}
PCA = {**SMALL, "arch": {"name": "pca"}, "recipe": {}, "budget": {}}
RATES = "{recipe.lr: [0.0005, 0.001, 0.002, 0.004]}"


@pytest.fixture
def space(tmp_path):
    def made(text=RATES):
        file = tmp_path / "mine.yaml"
        file.write_text(f"kind: search space\nspace: {text}\n")
        return search_spaces.read(str(file))

    return made


def configured(base, **tune):
    sections = merge_sections(base, {"tune": {"search": "grid", **tune}})
    return lambda more: resolve({}, {}, ("test", merge_sections(sections, more)))


@pytest.fixture
def by_rate(monkeypatch):
    """Scores that grow with the learning rate, and the (rate, steps) that were scored, in order."""
    scored = []

    def score(judge, model, config):
        scored.append((config.recipe.lr, model.steps))
        return config.recipe.lr

    monkeypatch.setattr(tuning, "OBJECTIVES", {"cas": objectives.Objective("rate", "maximize", score)})
    return scored


class Stopping(Reporter):
    """Sends SIGTERM as a trial has been scored so many times."""

    def __init__(self, after):
        self.left = after

    def line(self, text):
        if "going on from" in text:
            self.left -= 1
            if not self.left:
                os.kill(os.getpid(), signal.SIGTERM)


def test_the_best_of_a_grid_is_found_and_its_file_trains(space, tmp_path):
    asked = space("{arch.components: [1, 16]}")
    found = tuning.tune(asked, configured(PCA), tmp_path / "s")
    assert [row.finished for row in found.rows] == [True, True]
    values = {row.params["arch.components"]: row.value for row in found.rows}
    assert found.best.value == max(values.values())
    best = resolve({}, {}, tmp_path / "s/best.yaml").pick(TrainConfig)
    assert str(best.spec.components) == found.best.params["arch.components"]
    written = json.loads((tmp_path / "s/study.json").read_text())
    assert written["best"]["params"] == found.best.params
    page = (tmp_path / "s/report.html").read_text()
    assert "arch.components" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    again = tuning.tune(asked, configured(PCA), tmp_path / "s")
    assert again.rows == found.rows


def test_trials_that_are_not_among_the_best_end_early_and_the_others_are_whole_runs(space, by_rate, tmp_path):
    found = tuning.tune(space(), configured(SMALL), tmp_path / "s")
    assert found.rungs == (1, 3, 9)
    assert found.best.params == {"recipe.lr": "0.004"}
    ended = [row for row in found.rows if not row.finished]
    assert ended
    assert {row.reason for row in ended} == {result.NOT_BEST}
    assert found.steps == sum(row.steps for row in found.rows) == 1 + 1 + 3 + 9
    assert found.unpruned == 36
    config = resolve({}, {}, tmp_path / "s/best.yaml").pick(TrainConfig)
    splits = tuning.load_splits(config.data, 0)
    how = {"fingerprint": splits.fingerprint, "validation": splits.validation}
    fit_generator(config, splits.train, tmp_path / "whole", **how)
    names = ("model/generator.safetensors", "model/discriminator.safetensors")
    for name in names:
        one, other = (load_file(tmp_path / place / name) for place in ("whole", f"s/{found.best.run}"))
        assert all((one[key] == other[key]).all() for key in one)


def test_stopped_and_started_again_is_the_uninterrupted_study(space, by_rate, tmp_path):
    whole = tuning.tune(space(), configured(SMALL), tmp_path / "whole")
    by_rate.clear()
    with pytest.raises(StoppedError):
        tuning.tune(space(), configured(SMALL), tmp_path / "s", reporter=Stopping(after=2))
    found = tuning.tune(space(), configured(SMALL), tmp_path / "s")
    assert found.rows == whole.rows
    assert len(by_rate) == len(set(by_rate))  # nothing is scored twice
    assert found.steps == whole.steps


def test_the_same_configuration_is_trained_once(space, by_rate, tmp_path):
    asked = space("{recipe.lr: [0.001, 0.002]}")
    found = tuning.tune(asked, configured(SMALL, search="random", trials=6, prune=False), tmp_path / "s")
    assert len(found.rows) == 6
    assert len(by_rate) == 2
    assert found.steps == 18


def test_collapse_and_divergence_end_a_trial(space, by_rate, tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "FROM_STEP", 3)
    monkeypatch.setattr(SampleMonitor, "collapsed", property(lambda self: self.config.recipe.lr == 0.004))
    real = trial.fit_generator

    def fit(config, *args, **how):
        if config.recipe.lr == 0.002:
            raise OutcomeError("the loss is NaN")
        return real(config, *args, **how)

    monkeypatch.setattr(trial, "fit_generator", fit)
    found = tuning.tune(space(), configured(SMALL), tmp_path / "s")
    reasons = {row.params["recipe.lr"]: row.reason for row in found.rows}
    assert reasons["0.004"] == "mode collapse at step 3"
    assert reasons["0.002"] == "the loss is NaN"
    assert found.best.params == {"recipe.lr": "0.001"}


def test_a_combination_that_cannot_be_trained_is_a_trial_that_ended(space, tmp_path, by_rate):
    asked = space("{method.bcr: [5, 0], method.cr: [5]}")
    with pytest.raises(UsageError, match=r"method.bcr: --cr 5 and --bcr 5"):
        tuning.tune(asked, configured(SMALL), tmp_path / "s")
    asked = space("{method.bcr: [0, 5], method.cr: [0, 5]}")
    base = merge_sections(SMALL, {"budget": {"steps": 1}})
    found = tuning.tune(asked, configured(base, prune=False), tmp_path / "s")
    refused = [row for row in found.rows if row.reason]
    assert [row.params for row in refused] == [{"method.bcr": "5", "method.cr": "5"}]
    assert refused[0].reason.startswith("refused: --cr 5 and --bcr 5")


class Poisoned:
    """Images that must not be looked at."""

    def __getattr__(self, name):
        raise AssertionError(f"the test images were asked for {name}")


@pytest.mark.parametrize(
    ("objective", "arch"),
    [
        ("cas", "pca"),
        ("gan_test", "pca"),
        ("kid", "pca"),
        ("gain", "pca"),
        ("cas", "dcgan"),
        ("validation_loss", "flow"),
    ],
)
def test_no_test_image_is_looked_at(objective, arch, space, tmp_path, monkeypatch):
    real = tuning.load_splits
    monkeypatch.setattr(
        tuning, "load_splits", lambda *given: dataclasses.replace(real(*given), test=Poisoned())
    )
    monkeypatch.setattr(tuning, "refuse_synthetic", lambda splits: None)
    options = {"pca": {}, "dcgan": {"width": 4}, "flow": {"width": 8}}[arch]
    base = {**PCA, "arch": {"name": arch, **options}, "budget": {"steps": 1} if arch != "pca" else {}}
    varied = {"pca": "{arch.components: [4]}"}.get(arch, "{recipe.lr: [0.001]}")
    found = tuning.tune(space(varied), configured(base, objective=objective), tmp_path / "s")
    [row] = found.rows
    low, high = {"gain": (-1, 1), "kid": (-1, 100), "validation_loss": (0.1, 10)}.get(objective, (0, 1))
    assert low <= row.value <= high


@pytest.mark.parametrize(
    ("text", "base", "tune", "words"),
    [
        ("{arch.components: [4]}", SMALL, {}, "arch.components is no option of cdcgan"),
        ("{arch.width: [4, -1]}", SMALL, {}, r"arch.width: --width -1: must be at least"),
        (RATES, {**SMALL, "data": {"per_class": 12, "validation": 0}}, {}, "give --validation above 0"),
        (RATES, SMALL, {"objective": "validation_loss"}, "cdcgan has no loss on held-out images"),
        (
            "{arch.width: [4]}",
            {**SMALL, "arch": {"name": "dcgan"}},
            {"objective": "gan_test"},
            "dcgan does not know classes",
        ),
        (RATES, {**SMALL, "budget": {"minutes": 1}}, {}, "--minutes: a trial is scored after steps"),
        (RATES, {**SMALL, "classifier": {"classifier": "resnet18"}}, {}, "did you mean 'resnet'"),
        (RATES, {**SMALL, "transforms": {"policy": "auto"}}, {}, "--policy auto: compare alone"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_any_work(text, base, tune, words, space, tmp_path):
    with pytest.raises(UsageError, match=words):
        tuning.tune(space(text), configured(base, **tune), tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_another_search_in_the_same_folder_is_refused(space, by_rate, tmp_path):
    tuning.tune(space(), configured(SMALL, trials=1), tmp_path / "s")
    with pytest.raises(RunError, match=r"its plan has tune\.reduction = 3, this command has 2"):
        tuning.tune(space(), configured(SMALL, trials=1, reduction=2), tmp_path / "s")


def test_moved_images_are_the_same_study(space, by_rate, tmp_path):
    digits = load_splits(DataConfig(per_class=12), 0).train
    first, moved = tmp_path / "first.npz", tmp_path / "moved.npz"
    np.savez(first, images=digits.pixels, labels=digits.labels)
    base = merge_sections(SMALL, {"data": {"per_class": 8, "source": str(first)}})
    tuning.tune(space(), configured(base, trials=1), tmp_path / "s")
    before = list(by_rate)
    first.rename(moved)
    base = merge_sections(base, {"data": {"source": str(moved)}})
    assert len(tuning.tune(space(), configured(base, trials=2), tmp_path / "s").rows) == 2
    assert by_rate[: len(before)] == before
    assert before[0][0] not in {rate for rate, _ in by_rate[len(before) :]}
    assert str(moved) in (tmp_path / "s/best.yaml").read_text()
    np.savez(moved, images=255 - digits.pixels, labels=digits.labels)
    with pytest.raises(RunError, match=r"its plan has data\.source = "):
        tuning.tune(space(), configured(base, trials=3), tmp_path / "s")


def test_without_optuna_it_says_what_to_install(space, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UsageError, match=r"pip install 'gangda\[tune\]'"):
        tuning.tune(space(), configured(SMALL), tmp_path / "s")


def test_a_dry_run_writes_nothing(space, tmp_path):
    found = tuning.tune(space(), configured(SMALL), tmp_path / "s", dry_run=True)
    assert (found.planned, found.rungs) == (4, (1, 3, 9))
    values = found.as_dict()
    assert values["unpruned_steps"] == 36
    assert values["seconds"] > 0
    assert not (tmp_path / "s").exists()


def test_a_dry_run_takes_trials_to_be_as_long_as_the_longer_end_of_the_space(space, tmp_path, monkeypatch):
    def estimates(config, images, context):
        seconds = float(config.budget.steps * config.spec.width)
        return iter((Estimate({}, 0, 1.0, config.budget.steps, seconds), Estimate({}, 0, 1.0, 1, 1e9)))

    monkeypatch.setattr(tuning, "estimates", estimates)
    base = {**SMALL, "budget": {}, "arch": {"name": "cdcgan", "d_width": 4}}
    asked = space("{budget.steps: [9, 90], arch.width: [4, 8]}")
    found = tuning.tune(asked, configured(base), tmp_path / "s", dry_run=True).as_dict()
    assert (found["planned"], found["unpruned_steps"], found["seconds"]) == (4, 4 * 90, 4 * 90 * 8)
    other = space("{budget.steps: [90, 9], arch.width: [4, 8]}")
    found = tuning.tune(other, configured(base), tmp_path / "s", dry_run=True).as_dict()
    assert (found["unpruned_steps"], found["seconds"]) == (4 * 90, 4 * 90 * 4)


@pytest.mark.faults
def test_processes_share_a_study_and_a_killed_one_loses_nothing(tmp_path):
    file, out = tmp_path / "mine.yaml", tmp_path / "s"
    file.write_text("kind: search space\nspace: {recipe.lr: [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016]}\n")
    words = [
        "--space",
        file,
        "--search",
        "grid",
        "--per-class",
        12,
        "--width",
        4,
        "--d-width",
        4,
        "--steps",
        90,
    ]
    words += ["--validation", 0.3, "--classifier-steps", 20, "--threads", 1, "--out", out]
    command = [sys.executable, "-m", "gangda", "tune", *map(str, words)]

    def start():
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    killed, other = start(), start()
    end = time.monotonic() + 120
    while not list(out.glob("runs/*/checkpoints/*.pt")):
        assert time.monotonic() < end
        time.sleep(0.05)
    killed.kill()
    last = start()
    for process in (other, last):
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
    found = json.loads((out / "study.json").read_text())
    assert found["finished"] == 6
    assert len({row["params"]["recipe.lr"] for row in found["trials"]}) == 6
    assert found["running"] == 0


def test_two_trials_of_the_same_values_at_once_train_once(tmp_path, monkeypatch):
    trained = []

    def train_and_score(self, config, steps):
        time.sleep(0.3)
        trained.append(steps)
        return trial.Score(steps, 0.5)

    monkeypatch.setattr(trial.Trainer, "_train_and_score", train_and_score)
    splits = SimpleNamespace(fingerprint="of the images", unlabelled_folder="")
    trainer = trial.Trainer(tmp_path, None, None, None, splits, None, Reporter())
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda steps: trainer.score(TrainConfig(), steps), (9, 9)))
    assert (trained, found) == ([9], [trial.Score(9, 0.5)] * 2)
