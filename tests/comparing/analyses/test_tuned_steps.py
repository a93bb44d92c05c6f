"""Steps chosen for each arm on validation images: what is fitted, what is judged, what is said."""

import dataclasses
import json

import numpy as np
import pytest
from fake_experiment import ACCURACY, change_cell, finish, plan_for

from gangda import comparing
from gangda.classifying import fit
from gangda.classifying.evaluation import evaluate_predictions
from gangda.comparing import arm_evaluator
from gangda.comparing.analyses.tuned_steps import StepsTrial, TunedFit
from gangda.comparing.cell_result import CellResult
from gangda.comparing.plan import make_plan
from gangda.comparing.results import collect
from gangda.comparing.storage import read_cell
from gangda.config.architectures import PcaSpec
from gangda.config.schema import (
    Budget,
    ClassifierConfig,
    CompareConfig,
    ComparisonConfig,
    DataConfig,
    Runtime,
)
from gangda.errors import OutcomeError, UsageError


def config(tune_steps=(5, 10, 40), validation=0.1, **compare):
    return ComparisonConfig(
        data=DataConfig(per_class=12, validation=validation),
        arch="pca",
        spec=PcaSpec(components=8),
        budget=Budget(steps=1),
        classifier=ClassifierConfig(classifier_steps=10),
        compare=CompareConfig(**{"seeds": 2, "tune_steps": tune_steps, **compare}),
        runtime=Runtime(device="cpu", precision="fp32", threads=1),
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("tuned") / "exp"
    result = comparing.compare(config(), out, jobs=1)
    return result, json.loads((out / "comparison.json").read_text())


def test_every_arm_has_the_same_trials_and_takes_the_best_of_them(finished):
    for cell in finished[1]["cells"]:
        assert list(cell["analyses"]["tuned_steps"]) == list(cell["arms"])
        for tuned in cell["analyses"]["tuned_steps"].values():
            scores = {trial["steps"]: trial["validation"] for trial in tuned["candidates"]}
            assert list(scores) == [5, 10, 40]
            assert tuned["steps"] == max(scores, key=scores.get)  # of equal ones the fewest: the first
            assert tuned["test"]["steps"] == tuned["steps"]


def test_with_the_usual_steps_it_is_the_arm_itself(finished):
    for cell in finished[1]["cells"]:
        for name, tuned in cell["analyses"]["tuned_steps"].items():
            same = next(trial for trial in tuned["candidates"] if trial["steps"] == 10)
            assert same["validation"] == cell["arms"][name]["validation_accuracy"]
            if tuned["steps"] == 10:
                assert tuned["test"] == cell["arms"][name]["test"]


def test_the_verdict_does_not_know_of_it(finished, tmp_path):
    plain = comparing.compare(config(tune_steps=()), tmp_path / "exp", jobs=1)
    assert plain.comparison.judgement == finished[0].comparison.judgement
    assert "tuned_steps" not in plain.comparison.analyses


def test_the_usual_steps_are_not_fitted_twice(tmp_path, monkeypatch):
    counted = []
    step_by_step = fit._optimise
    monkeypatch.setattr(
        fit, "_optimise", lambda *given: (counted.append(given[2].classifier_steps), step_by_step(*given))
    )
    comparing.compare(config(tune_steps=(5, 10), seeds=1), tmp_path / "exp", jobs=1)
    assert sorted(counted) == [5] * 4 + [10] * 4


def test_steps_that_diverge_are_not_chosen_and_the_cell_stands(tmp_path, monkeypatch):
    working = arm_evaluator.fit_classifier

    def fit_classifier(images, config, **given):
        if config.classifier_steps == 40 or (config.classifier_steps == 5 and len(images) > 110):
            raise OutcomeError("the loss is NaN or infinite")
        return working(images, config, **given)

    monkeypatch.setattr(arm_evaluator, "fit_classifier", fit_classifier)
    result = comparing.compare(config((5, 40), seeds=1), tmp_path / "exp", jobs=1)
    [cell] = json.loads((tmp_path / "exp/comparison.json").read_text())["cells"]
    real, generated = cell["analyses"]["tuned_steps"]["real"], cell["analyses"]["tuned_steps"]["generated"]
    assert [trial["validation"] is None for trial in real["candidates"]] == [False, True]
    assert real["steps"] == 5
    assert real["candidates"][1]["reason"] == "the loss is NaN or infinite"
    assert (generated["steps"], generated["test"]) == (None, None)
    assert {row.name: row.n for row in result.comparison.analyses["tuned_steps"].arms}["generated"] == 0


def test_the_figure_that_is_compared_chooses_the_steps(tmp_path, monkeypatch):
    """After 5 steps a rare class is always wrong: that is little of the accuracy, and a tenth of the balanced one."""

    def evaluate(fitted, images, train=None):
        labels = images.labels
        wrong = labels == 0 if fitted.steps == 5 else np.arange(len(labels)) % 3 == 0
        judged = evaluate_predictions(labels, np.where(wrong, (labels + 1) % 10, labels), 10)
        return dataclasses.replace(judged, train_accuracy=1.0)

    monkeypatch.setattr(arm_evaluator, "evaluate", evaluate)
    first = {}
    for score_by in ("accuracy", "balanced"):
        uneven = dataclasses.replace(DataConfig(), class_counts=(10, *[60] * 9))
        asked = dataclasses.replace(
            config((5, 40), seeds=1, score_by=score_by, arms=("real", "traditional")), data=uneven
        )
        comparing.compare(asked, tmp_path / score_by, jobs=1)
        [cell] = json.loads((tmp_path / score_by / "comparison.json").read_text())["cells"]
        first[score_by] = cell["analyses"]["tuned_steps"]["real"]["candidates"][0]["validation"]
    assert first["accuracy"] > first["balanced"] + 0.05


def test_means_differences_and_counts(tmp_path):
    plan = plan_for(tmp_path, tune_steps=(1000, 4000))
    finish(plan, tmp_path)
    tuned = collect(plan, tmp_path).analyses["tuned_steps"]
    assert tuned.steps == (1000, 4000)
    for row in tuned.arms:
        assert row.mean == pytest.approx(ACCURACY[row.name] + 0.02, abs=1e-9)
        assert (row.n, row.chosen) == (10, {"1000": 5, "4000": 5})
    first = tuned.differences[0]
    assert first.name == "generated+traditional - traditional"
    assert first.mean == pytest.approx(0.08, abs=1e-9)
    assert first.interval[0] <= 0.08 + 1e-9


def test_a_seed_in_which_no_steps_worked_is_left_out_of_its_arm_alone(tmp_path):
    plan = plan_for(tmp_path, tune_steps=(1000, 4000))
    finish(plan, tmp_path)
    trials = tuple(StepsTrial(steps, reason="diverged") for steps in (1000, 4000))
    others = read_cell(tmp_path, plan.cells[3], CellResult).analyses["tuned_steps"]
    failed = {**others, "generated": TunedFit(None, trials, None)}
    change_cell(tmp_path, plan.cells[3], analyses={"tuned_steps": failed})
    tuned = collect(plan, tmp_path).analyses["tuned_steps"]
    assert {row.name: row.n for row in tuned.arms} == {**dict.fromkeys(ACCURACY, 10), "generated": 9}
    assert [row.n for row in tuned.differences] == [10, 9, 9]


def test_the_report_shows_it_and_others_do_not(tmp_path):
    for name, steps, shown in (("with", (1000, 4000), True), ("without", (), False)):
        plan = plan_for(tmp_path / name, tune_steps=steps)
        finish(plan, tmp_path / name)
        collect(plan, tmp_path / name)
        text = (tmp_path / name / "report.html").read_text()
        assert ('href="#tuned"' in text) is shown
        assert ("1000 (5), 4000 (5)" in text) is shown


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"tune_steps": (1000,)}, "several numbers of steps"),
        ({"tune_steps": (1000, 1000)}, "each once"),
        ({"validation": 0.0}, "--tune-steps .* give --validation above 0"),
    ],
)
def test_what_leaves_no_choice_is_refused(options, complaint):
    with pytest.raises(UsageError, match=complaint):
        make_plan(config(**options), "0123", None, None)
