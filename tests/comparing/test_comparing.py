"""Whole experiments, small: PCA as the generator, a classifier of a few steps."""

import dataclasses
import functools
import json
import os
import shutil
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from gangda import comparing
from gangda.augmenting.selection import same_steps
from gangda.classifying.evaluation import evaluate_predictions
from gangda.classifying.fit import fit_classifier
from gangda.comparing import added_images, arm_evaluator
from gangda.comparing.cell_result import CellResult, FailedCell
from gangda.comparing.cells import finish_cell, run_cell
from gangda.comparing.storage import cell_path, read_cell, work_of, write_cell
from gangda.config.architectures import FlowSpec, PcaSpec
from gangda.config.sampler_options import SamplerOptions
from gangda.config.schema import (
    Budget,
    ClassifierConfig,
    CompareConfig,
    ComparisonConfig,
    DataConfig,
    Runtime,
)
from gangda.data.loading import load_splits
from gangda.errors import IncompleteError, RunError, StoppedError, UsageError
from gangda.runtime.locks import lock_folder
from gangda.runtime.part import Part
from gangda.runtime.progress import Reporter
from gangda.training.saved_model import ModelCard, save_model
from gangda.zoo.closed_form import pca


def experiment(seed=0, per_class=12, steps=20, **compare):
    return ComparisonConfig(
        data=DataConfig(per_class=per_class),
        arch="pca",
        spec=PcaSpec(components=8),
        budget=Budget(steps=1),
        classifier=ClassifierConfig(classifier_steps=steps),
        compare=CompareConfig(**{"seeds": 2, **compare}),
        runtime=Runtime(seed=seed, device="cpu", precision="fp32", threads=1),
    )


class Listener(Reporter):
    def __init__(self):
        self.lines, self.done = [], []

    def line(self, text):
        self.lines.append(text)

    def step(self, task, done, total, info="", finished=None):
        self.done.append(done)


def run(config, out, **options):
    return comparing.compare(config, out, **{"jobs": 1, **options})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("experiments") / "exp"
    listener = Listener()
    return run(experiment(), out, reporter=listener), out, listener


def cells_of(out):
    return json.loads((out / "comparison.json").read_text())["cells"]


def content_of(cell):
    return cell["generators"]["pca"]["samples"]["content"]


def test_every_cell_runs_the_whole_pipeline(finished):
    result, out, listener = finished
    assert result.finished == 2
    first, second = cells_of(out)
    assert first["rows"]["train"]["hash"] != second["rows"]["train"]["hash"]  # its own subset
    assert first["rows"]["test"] == second["rows"]["test"]
    assert content_of(first) != content_of(second)
    assert set(first["arms"]) == {"real", "traditional", "generated", "generated+traditional"}
    n = first["rows"]["train"]["count"]
    assert first["arms"]["generated"]["n_train"] == 2 * n
    assert {arm["steps"] for arm in first["arms"].values()} == {20}
    assert listener.done == sorted(listener.done)
    assert result.comparison.judgement.contrasts[0].verdict == "underpowered"


def test_the_generator_saw_only_this_cells_training_images(finished):
    _, out, _ = finished
    for cell in cells_of(out):
        splits = load_splits(DataConfig(per_class=12), cell["seed"])
        rows = np.array(
            (out / "work" / cell["id"] / "gan/model/rows.txt").read_text().split(), dtype=np.int64
        )
        assert sorted(rows) == sorted(splits.train.row_id)


def test_the_same_command_again_runs_nothing_and_says_the_same(finished):
    result, out, _ = finished
    before = {path: path.stat().st_mtime_ns for path in (out / "cells").iterdir()}
    listener = Listener()
    again = run(experiment(), out, reporter=listener)
    assert again.as_dict() == result.as_dict()
    assert {path: path.stat().st_mtime_ns for path in (out / "cells").iterdir()} == before
    assert listener.lines == []


def test_a_lost_cell_comes_out_the_same(finished):
    _, out, _ = finished
    path = next(path for path in sorted((out / "cells").iterdir()))
    before = json.loads(path.read_text())
    path.write_text("{")
    run(experiment(), out)
    after = json.loads(path.read_text())
    for cell in (before, after):
        cell.pop("seconds"), cell.pop("content")  # the hash counts the seconds too
        for made in cell["generators"].values():
            made.pop("train_seconds"), made["samples"].pop("draw_seconds")
        for arm in cell["arms"].values():
            arm.pop("seconds")
    assert after == before


def test_one_cell_at_a_time_then_collecting(tmp_path):
    config = experiment(steps=5)
    out = tmp_path / "exp"
    first = run(config, out, part=Part(cell=1))
    assert (first.finished, first.comparison) == (1, None)
    assert not (out / "comparison.json").exists()
    with pytest.raises(Exception, match="1 of 2 cells are missing, by number: 0;"):
        run(config, out, part=Part(only="judge"))
    assert run(config, out, part=Part(cell=0)).finished == 2
    assert run(config, out, part=Part(only="judge")).comparison is not None
    with pytest.raises(UsageError, match="--cell 2: the plan has cells 0 to 1"):
        run(config, out, part=Part(cell=2))


def test_a_dry_run_writes_nothing(tmp_path):
    result = run(experiment(), tmp_path / "exp", dry_run=True)
    assert result.dry_run
    assert len(result.plan.cells) == 2
    assert not (tmp_path / "exp").exists()


def test_the_ratio_is_chosen_on_validation_and_zero_means_real(tmp_path):
    config = experiment(ratios=(1.0, 0.0), seeds=1, steps=30, per_class=20)
    run(config, tmp_path / "exp")
    (cell,) = cells_of(tmp_path / "exp")
    arm, real = cell["arms"]["generated"], cell["arms"]["real"]
    scores = {one["ratio"]: one["validation"] for one in arm["candidates"]}
    assert list(scores) == [0.0, 1.0]
    assert scores[0.0] == real["validation_accuracy"]
    assert arm["ratio"] == max(scores, key=scores.get)
    if arm["ratio"] == 0.0:
        assert arm["test"] == real["test"]


@pytest.mark.parametrize(("score_by", "ratio", "score"), [("accuracy", 0.0, 0.8), ("balanced", 1.0, 0.75)])
def test_the_ratio_is_chosen_by_what_arms_are_compared_by(monkeypatch, score_by, ratio, score):
    """Of eight common images and two rare ones: all of the former right, or half of each and a rare one more."""
    labels = np.repeat([0, 1], [8, 2])
    said = {0.0: np.zeros(10, dtype=int), 1.0: np.array([0] * 4 + [1] * 6)}
    monkeypatch.setattr(
        arm_evaluator, "evaluate", lambda fitted, *_: evaluate_predictions(labels, said[fitted.ratio], 2)
    )
    config = experiment(ratios=(0.0, 1.0), score_by=score_by)
    splits = load_splits(config.data, 0)
    cell = arm_evaluator.ArmEvaluator(config, 0, splits, None, None, lambda share, info: None)

    def fitted(choice):
        known = SimpleNamespace(ratio=choice.candidate.ratio, steps=1, fingerprint="f")
        return arm_evaluator.Fitted(known, choice, 0.0)

    monkeypatch.setattr(cell, "_fit", fitted)
    monkeypatch.setattr(cell, "_images", lambda *_: splits.train)
    found = cell.run("generated")
    assert found.ratio == ratio
    assert max(one.validation for one in found.candidates) == score


def test_epochs_become_the_same_steps_for_every_arm():
    config = same_steps(ClassifierConfig(classifier_epochs=3), real=640)
    assert (config.classifier_steps, config.classifier_epochs) == (30, None)


def shared_run(folder, data, seed=0, rows=None):
    splits = load_splits(data, seed)
    shape, classes = splits.train.image_shape, splits.train.num_classes
    generator = pca.build(PcaSpec(components=8), shape, classes).generator
    generator.fit(splits.train)
    card = ModelCard(
        arch="pca", spec=dataclasses.asdict(PcaSpec(components=8)), image_shape=splits.train.image_shape,
        class_names=splits.train.class_names, data=dataclasses.asdict(data), fingerprint=splits.fingerprint,
        seed=seed, steps=0, precision="fp32", run=folder.name,
    )  # fmt: skip
    save_model(folder, generator, card, splits.train.row_id if rows is None else rows)
    return folder


def test_a_shared_generator_makes_the_verdict_conditional(tmp_path):
    data = DataConfig(per_class=12)
    model = shared_run(tmp_path / "one-gan", data, seed=5)
    result = run(experiment(steps=5), tmp_path / "exp", run=model)
    first, second = cells_of(tmp_path / "exp")
    assert first["rows"]["train"] == second["rows"]["train"]
    assert content_of(first) != content_of(second)
    assert any(note.startswith("Conditional on this generator") for note in result.comparison.notes)
    assert not list((tmp_path / "exp" / "work").glob("*/gan*"))


def test_a_shared_generator_brings_its_own_architecture_and_options(tmp_path):
    data = DataConfig(per_class=12)
    model = shared_run(tmp_path / "one-gan", data)
    other = dataclasses.replace(experiment(), arch="flow", spec=FlowSpec(), method=None)
    plan = comparing.planned(other, model)
    assert (plan.config.arch, plan.config.spec) == ("pca", PcaSpec(components=8))
    guided = dataclasses.replace(other, sampler=SamplerOptions(guidance=1.5))  # an option of flows
    with pytest.raises(UsageError, match=r"--guidance 1\.5: not an option of --arch pca"):
        comparing.planned(guided, model)


@pytest.mark.parametrize(
    ("trained_on", "said"),
    [
        (DataConfig(per_class=60), "outside this subset"),
        (DataConfig(per_class=12, image_size=12), "makes 12x12 grey images"),
    ],
)
def test_a_shared_generator_that_saw_more_is_refused(tmp_path, trained_on, said):
    model = shared_run(tmp_path / "run", trained_on)
    with pytest.raises(RunError, match=said):
        run(experiment(), tmp_path / "exp", run=model)
    assert not (tmp_path / "exp").exists()


def test_a_shared_generator_that_saw_test_images_is_refused(tmp_path):
    data = DataConfig(per_class=12)
    splits = load_splits(data, 0)
    model = shared_run(tmp_path / "run", data, rows=np.append(splits.train.row_id, splits.test.row_id[:3]))
    with pytest.raises(RunError, match="saw 3 of this set's test images"):
        run(experiment(), tmp_path / "exp", run=model)


def test_jobs_times_threads_never_exceed_the_cores(monkeypatch):
    monkeypatch.setattr("gangda.comparing.workers.available_cores", lambda: 8)
    plan = comparing.planned(experiment(), None)
    assert comparing.job_count(None, plan) == comparing.job_count(8, plan) == (8, "")
    assert comparing.job_count(99, plan) == (8, " (--jobs 99 is more than fits: 8 cores, 1 for each cell)")
    two = dataclasses.replace(
        plan, config=dataclasses.replace(plan.config, runtime=Runtime(device="cpu", threads=3))
    )
    assert comparing.job_count(None, two) == (2, "")
    assert comparing.job_count(1, two) == (1, "")


def test_a_gpu_has_one_cell_at_a_time_unless_its_processes_share_it(monkeypatch, tmp_path):
    monkeypatch.setattr("gangda.comparing.workers.available_cores", lambda: 8)
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    plan = comparing.planned(experiment(), None)
    on_gpu = dataclasses.replace(
        plan, config=dataclasses.replace(plan.config, runtime=Runtime(device="cuda:1", threads=2))
    )
    more = " (--jobs 4 is more than fits: one cuda:1 device without NVIDIA's MPS)"
    assert comparing.job_count(None, on_gpu) == (1, "")
    assert comparing.job_count(4, on_gpu) == (1, more)
    os.mkfifo(tmp_path / "control")
    assert comparing.job_count(None, on_gpu) == (1, "")
    assert comparing.job_count(4, on_gpu) == (4, "")
    assert comparing.job_count(5, on_gpu)[0] == 4
    on_apple = dataclasses.replace(
        plan, config=dataclasses.replace(plan.config, runtime=Runtime(device="mps", threads=2))
    )
    assert comparing.job_count(4, on_apple) == (1, " (--jobs 4 is more than fits: one mps device)")


def test_cells_of_another_plan_are_not_taken(finished, tmp_path):
    _, out, _ = finished
    config = experiment(steps=5)
    plan = comparing.planned(config, None)
    target = cell_path(tmp_path / "exp", plan.cells[0])
    target.parent.mkdir(parents=True)
    target.write_bytes(next((out / "cells").iterdir()).read_bytes())
    (tmp_path / "exp" / "plan.json").write_text(json.dumps({"format_version": 2, **plan.as_dict()}))
    assert run(config, tmp_path / "exp", dry_run=True).finished == 0


def test_a_cell_goes_on_with_the_classifier_it_was_at(finished, tmp_path, monkeypatch):
    """Stopped in its second classifier and begun again, a cell trains only what is not finished, and gives the same."""
    _, whole, _ = finished
    plan = comparing.planned(experiment(), None)
    trained = []

    def fit(images, *args, stop_at=None, **how):
        if len(trained) == stop_at:
            raise StoppedError("now")
        trained.append(len(images))
        return fit_classifier(images, *args, **how)

    monkeypatch.setattr(arm_evaluator, "fit_classifier", functools.partial(fit, stop_at=1))
    with pytest.raises(StoppedError, match="now"):
        run_cell(plan, plan.cells[0], tmp_path, lambda share, info: None)
    first = tuple(trained)
    monkeypatch.setattr(arm_evaluator, "fit_classifier", fit)
    run_cell(plan, plan.cells[0], tmp_path, lambda share, info: None)
    assert len(first) == 1
    # Each once, and once more with half of the steps.
    assert len(trained) == 2 * len(plan.config.compare.arms)
    again, before = (read_cell(out, plan.cells[0], CellResult) for out in (tmp_path, whole))
    for name, arm in again.arms.items():
        assert arm.classifier == before.arms[name].classifier
        assert (arm.test.correct == before.arms[name].test.correct).all()
        assert arm.seconds > 0
    assert not list((tmp_path / "work").glob("*/fits"))


def test_a_cell_that_another_process_has_finished_is_not_run_again(tmp_path):
    plan, begun = comparing.planned(experiment(), None), []
    cell, ready = plan.cells[0], threading.Event()

    def hold():
        with lock_folder(work_of(tmp_path, cell)):
            ready.set()
            time.sleep(0.5)
            write_cell(tmp_path, cell, FailedCell(cell.index, cell.seed, cell.id, "collapsed"))

    other = threading.Thread(target=hold)
    other.start()
    ready.wait()
    finish_cell(cell, tmp_path, CellResult, lambda: begun.append(cell))
    other.join()
    assert not begun
    assert read_cell(tmp_path, cell, FailedCell).reason == "collapsed"


def test_other_threads_run_the_cells_of_the_plan_and_none_again(tmp_path, monkeypatch):
    config = experiment()
    more = dataclasses.replace(config, runtime=dataclasses.replace(config.runtime, threads=2))
    assert run(config, tmp_path / "exp", part=Part(cell=0)).finished == 1
    assert run(more, tmp_path / "exp", part=Part(cell=1)).finished == 2
    monkeypatch.setattr(comparing, "run_cells", lambda *_: pytest.fail("all cells are finished"))
    assert run(more, tmp_path / "exp").comparison is not None


def test_a_plan_for_another_device_is_made_and_judged_here_but_not_run(finished, tmp_path):
    there = dataclasses.replace(experiment(), runtime=Runtime(device="cuda", precision="fp32"))
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    out = tmp_path / "exp"
    planned = comparing.compare(there, out, part=Part(only="plan"))
    assert planned.runtime.device == "cuda"
    assert planned.cell_seconds is None
    with pytest.raises(UsageError, match="no such CUDA device"):
        comparing.compare(there, out)
    with pytest.raises(IncompleteError, match="0-1"):
        comparing.compare(there, out, part=Part(only="judge"))


def test_judging_needs_no_permission_to_write(finished, tmp_path, monkeypatch):
    _, whole, _ = finished
    out = tmp_path / "exp"
    shutil.copytree(whole, out)
    (out / "report.html").unlink()
    before = {path: path.stat().st_mtime_ns for path in (out, *out.rglob("*"))}
    monkeypatch.setattr(comparing.os, "access", lambda path, mode: False)
    found = comparing.compare(experiment(), out, part=Part(only="judge"))
    assert found.comparison.judgement.n == 2
    assert found.report is None
    assert {path: path.stat().st_mtime_ns for path in (out, *out.rglob("*"))} == before


@pytest.mark.parametrize("phase", ["pseudo-labeler", "samples"])
def test_a_stop_is_seen_while_sorting_and_drawing(tmp_path, phase, monkeypatch):
    monkeypatch.setattr(added_images, "needs_pseudo_labels", lambda model: phase == "pseudo-labeler")
    plan = comparing.planned(experiment(steps=5, per_class=30), None)
    told = []

    def tell(share, info):
        told.append(info)
        if told.count(phase) == 2:  # not only as it begins
            raise StoppedError("now")

    with pytest.raises(StoppedError, match="now"):
        run_cell(plan, plan.cells[0], tmp_path, tell)


def test_a_comparison_without_test_images_is_refused_before_anything_is_trained(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.new("L", (8, 8), 40 * ord(name) % 256).save(tmp_path / name / "0.png")
    config = dataclasses.replace(experiment(), data=DataConfig(source=str(tmp_path), no_cache=True))
    with pytest.raises(
        UsageError, match="needs test images, and there are none; give at least two images of a class"
    ):
        comparing.planned(config, None)


def test_images_without_classes_are_refused_with_why_their_table_is_not_used(tmp_path):
    for number in range(6):
        Image.new("L", (8, 8), 40 * number).save(tmp_path / f"{number}.png")
    (tmp_path / "labels.csv").write_text("file,label\n0.png,a\n0.png,b\n1.png,b\n")
    config = dataclasses.replace(experiment(), data=DataConfig(source=str(tmp_path), no_cache=True))
    with pytest.raises(UsageError, match=r"two classes or more; labels.csv is not used .*named twice"):
        comparing.planned(config, None)
