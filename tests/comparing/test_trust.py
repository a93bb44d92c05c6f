"""Calibration arms, the second classifier, and the training curves that a cell keeps."""

import dataclasses
import json

import pytest
from fake_experiment import ACCURACY, change_cell, finish, plan_for

from gangda.comparing.analyses.calibration import AS_IT_MUST, NOT_SO, TOO_FEW, outcome_of
from gangda.comparing.cell_result import CellResult, CurveAlarm
from gangda.comparing.pictures import POINTS, read_curves, read_evaluations, thinned
from gangda.comparing.plan import make_plan
from gangda.comparing.results import collect
from gangda.comparing.storage import read_cell
from gangda.config.schema import ClassifierConfig, CompareConfig, ComparisonConfig, DataConfig, Runtime
from gangda.errors import UsageError

CALIBRATED = ("real", "copies", "shuffled", "held-back")
AS_KNOWN = {"real": 0.80, "copies": 0.80, "shuffled": 0.70, "held-back": 0.84}


def outcomes(out, accuracy, seeds=10, **compare):
    plan = plan_for(out, seeds=seeds, arms=CALIBRATED, **compare)
    finish(plan, out, accuracy)
    collect(plan, out)
    document = json.loads((out / "comparison.json").read_text())
    rows = document["analyses"]["calibration"]["rows"]
    return {row["arm"]: row["outcome"] for row in rows}, " ".join(document["notes"])


def test_arms_with_a_known_answer_come_out_as_they_must(tmp_path):
    found, notes = outcomes(tmp_path, AS_KNOWN)
    assert found == dict.fromkeys(CALIBRATED[1:], AS_IT_MUST)
    assert "CALIBRATION" not in notes


@pytest.mark.parametrize(("arm", "wrong"), [("copies", 0.75), ("shuffled", 0.84), ("held-back", 0.76)])
def test_one_that_does_not_takes_the_verdict_away(tmp_path, arm, wrong):
    found, notes = outcomes(tmp_path, {**AS_KNOWN, arm: wrong})
    assert [name for name, outcome in found.items() if outcome == NOT_SO] == [arm]
    assert f"CALIBRATION FAILED: {arm}" in notes
    assert "a verdict of no effect cannot be trusted" in notes
    assert "NOT as it must" in (tmp_path / "report.html").read_text()


def test_too_few_seeds_say_so(tmp_path):
    found, notes = outcomes(tmp_path, {**AS_KNOWN, "held-back": 0.6}, seeds=3)
    assert set(found.values()) == {TOO_FEW}
    assert "CALIBRATION" not in notes


def test_where_classes_are_evened_out_no_outcome_is_known(tmp_path):
    found, notes = outcomes(tmp_path, {**AS_KNOWN, "copies": 0.9}, fill=(1.0,))
    assert found == {}
    assert "No calibration: --fill adds more images to smaller classes" in notes
    assert "--ratios 1 in its place has one" in notes
    assert (
        "The procedure was not tested on arms with a known outcome" in (tmp_path / "report.html").read_text()
    )


@pytest.mark.parametrize(
    ("expected", "interval", "mean", "outcome"),
    [
        ("worse", (-0.03, 0.01), -0.01, TOO_FEW),
        ("worse", (0.0, 0.02), 0.01, NOT_SO),
        ("worse", (-0.03, -0.01), -0.02, AS_IT_MUST),
        ("better", (-0.01, 0.03), 0.01, TOO_FEW),
        ("better", (-0.03, -0.01), -0.02, NOT_SO),
        ("better", (0.01, 0.03), 0.02, AS_IT_MUST),
        ("equal", (0.001, 0.02), 0.01, TOO_FEW),
        ("equal", (0.006, 0.02), 0.01, NOT_SO),
        ("equal", (-0.02, -0.006), -0.01, NOT_SO),
        ("equal", (-0.01, 0.02), 0.006, AS_IT_MUST),
        ("equal", (0.001, 0.006), 0.003, AS_IT_MUST),
        ("equal", None, 0.1, TOO_FEW),
    ],
)
def test_an_interval_that_holds_both_is_no_failure(expected, interval, mean, outcome):
    assert outcome_of(expected, interval, mean, 0.005) == outcome


def second_of(out, accuracy):
    plan = plan_for(out, second_classifier="resnet")
    finish(plan, out, accuracy)
    result = collect(plan, out)
    return json.loads((out / "comparison.json").read_text())["analyses"]["second_classifier"], result


def test_the_second_classifier_agrees(tmp_path):
    second, result = second_of(tmp_path, ACCURACY)
    assert second["agrees"] is True
    assert second["mean"] == pytest.approx(0.04, abs=0.005)  # half of 8 points, by construction
    assert result.headline.endswith(second["headline"])
    assert "the same sign" in second["headline"]


def test_the_second_classifier_disagrees(tmp_path):
    plan = plan_for(tmp_path, second_classifier="resnet")
    finish(plan, tmp_path, ACCURACY)
    for cell in plan.cells:
        second = read_cell(tmp_path, cell, CellResult).analyses["second_classifier"]
        names = ("traditional", "generated+traditional")
        swapped = dict(zip(names, (second.arms[name] for name in reversed(names)), strict=True))
        second = dataclasses.replace(second, arms=swapped)
        change_cell(tmp_path, cell, analyses={"second_classifier": second})
    comparison = collect(plan, tmp_path)
    assert "not the same sign, so this is no headline" in comparison.headline
    assert comparison.plain.endswith(", but not with resnet.")
    assert comparison.headline.startswith(comparison.plain)
    assert "Better, but not with resnet" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("lost", [1, 10])
def test_seeds_in_which_the_second_classifier_failed_are_left_out_of_its_say_alone(tmp_path, lost):
    plan = plan_for(tmp_path, second_classifier="resnet")
    finish(plan, tmp_path, ACCURACY)
    for cell in plan.cells[:lost]:
        second = read_cell(tmp_path, cell, CellResult).analyses["second_classifier"]
        failed = dataclasses.replace(second, arms={}, reason="the loss is NaN or infinite")
        change_cell(tmp_path, cell, analyses={"second_classifier": failed})
    result = collect(plan, tmp_path)
    second = json.loads((tmp_path / "comparison.json").read_text())["analyses"]["second_classifier"]
    assert result.judgement.n == 10
    assert len(second["deltas"]) == 10 - lost
    assert second["agrees"] is (lost == 1)
    said = (
        "(without 1 of 10 seeds, in which it failed); the same sign"
        if lost == 1
        else "failed in all 10 seeds"
    )
    assert said in result.headline


def config(**compare) -> ComparisonConfig:
    return ComparisonConfig(
        data=DataConfig(per_class=50),
        classifier=ClassifierConfig(),
        compare=CompareConfig(**compare),
        runtime=Runtime(device="cpu", precision="fp32", threads=1),
    )


def test_the_recipe_of_an_arms_own_architecture_is_part_of_the_plan():
    plan = make_plan(config(arms=("real", "generated@dcgan-5x5")), "0123", None, None)
    assert plan.fixed["method"]["simultaneous"] is False
    assert plan.fixed["others"]["dcgan-5x5"]["method"]["simultaneous"] is True


def test_a_second_classifier_makes_another_plan_and_other_cells():
    plan = make_plan(config(), "0123", None, None)
    other = make_plan(config(second_classifier="resnet"), "0123", None, None)
    assert other.hash != plan.hash
    assert other.cells[0].id != plan.cells[0].id


def test_with_one_the_cells_depend_on_what_is_tested_first():
    contrasts = ("generated - real", "generated - traditional")
    plain, second = (
        [make_plan(config(contrast=(one,), second_classifier=name), "0123", None, None) for one in contrasts]
        for name in (None, "resnet")
    )
    assert plain[0].cells == plain[1].cells
    assert second[0].cells != second[1].cells


@pytest.mark.parametrize(
    ("compare", "complaint"),
    [
        ({"second_classifier": "lenet"}, "is --classifier already"),
        ({"second_classifier": "resnett"}, "did you mean 'resnet'"),
        ({"second_classifier": "resnet", "arms": ("real", "traditional")}, "nothing is tested"),
    ],
)
def test_a_second_classifier_that_would_say_nothing_is_refused(compare, complaint):
    with pytest.raises(UsageError, match=complaint):
        make_plan(config(**compare), "0123", None, None)


def log(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_curves_are_thinned_and_keep_both_ends_and_all_alarms(tmp_path):
    lines = [{"step": 0, "pretraining_step": 1, "d_loss": 1.0, "seconds": 0.1}]
    for step in range(50, 50 * 1001, 50):
        lines.append({"step": step, "d_loss": 1 / step, "g_loss": 2.0, "epoch": 0.1, "seconds": 1.0})
        if step % 5000 == 0:
            alarms = ["collapse"] if step == 10_000 else []
            lines.append({"step": step, "evaluation": {"distance": 0.1}, "best": True, "alarms": alarms})
    curves = read_curves(log(tmp_path / "metrics.jsonl", lines))
    assert len(curves.steps) <= POINTS
    assert (curves.steps[0], curves.steps[-1]) == (50, 50_000)
    assert set(curves.terms) == {"d_loss", "g_loss"}
    assert curves.terms["d_loss"][0] == pytest.approx(0.02)
    assert [look["step"] for look in curves.evaluations] == list(range(5000, 50_001, 5000))
    assert curves.alarms == (CurveAlarm(10_000, ("collapse",)),)


def test_nothing_was_trained_step_by_step(tmp_path):
    assert read_curves(tmp_path / "metrics.jsonl") is None


@pytest.mark.parametrize(
    "damage",
    [
        b'{"step": 100, "d_lo\n', b"\xff\xfe\n", b"[1]\n", b"\n", b'{"epoch": 1.0}\n',
        b'{"step": "x", "epoch": 1.0}\n', b'{"step": 150, "evaluation": 3, "alarms": 4}\n',
    ],
)  # fmt: skip
def test_a_damaged_line_of_a_log_costs_only_itself(tmp_path, damage):
    step = {"step": 50, "d_loss": 1.0, "epoch": 0.1, "seconds": 1.0}
    look = {"step": 200, "evaluation": {"distance": 0.1}, "alarms": ["collapse"]}
    whole, path = log(tmp_path / "whole.jsonl", [step, look]), tmp_path / "damaged.jsonl"
    first, second = whole.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + damage + second)
    assert read_curves(path) == read_curves(whole)
    assert read_evaluations(path) == read_evaluations(whole) == [{"step": 200, "distance": 0.1}]


def test_a_term_that_is_no_number_is_left_out(tmp_path):
    line = {"step": 50, "d_loss": "much", "g_loss": 1.0, "epoch": 0.1}
    assert read_curves(log(tmp_path / "log.jsonl", [line])).terms == {"d_loss": (None,), "g_loss": (1.0,)}


@pytest.mark.parametrize("count", [1, 199, 200, 201, 398, 399, 400, 1000])
def test_thinning(count):
    lines = [{"step": i} for i in range(count)]
    kept = thinned(lines)
    assert len(kept) <= POINTS
    assert kept[0] == lines[0]
    assert kept[-1] == lines[-1]
