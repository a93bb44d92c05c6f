"""Twice the steps on validation images: what is fitted, what is called level, what is said."""

import dataclasses

import numpy as np
import pytest
from fake_experiment import change_cell, finish, plan_for

from gangda import comparing
from gangda.comparing import arm_evaluator
from gangda.comparing.analyses import Judged
from gangda.comparing.analyses.plateau import PlateauArm, PlateauCheck, PlateauFit
from gangda.comparing.cell_result import CellResult
from gangda.comparing.plan import make_plan
from gangda.comparing.results import collect
from gangda.comparing.storage import read_cell, read_comparison
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
from gangda.report.page import flags

FIRST, SECOND = "generated+traditional", "traditional"


def right(text):
    return np.array([letter == "1" for letter in text])


def fit(labels, **arms):
    """Of each arm: which images are right with the usual steps, and with twice as many."""
    names = {"first": FIRST, "second": SECOND}
    found = {names[name]: PlateauArm(*map(right, pair)) for name, pair in arms.items()}
    return PlateauFit(4000, np.array(list(labels), dtype=np.uint16), found)


def judge(found, score_by="accuracy"):
    config = ComparisonConfig(compare=CompareConfig(plateau_check=True, score_by=score_by))
    return PlateauCheck().judge(found, Judged(None, (), config))


# Over both cells the first arm gains 5 of 20 images, the second gains 3 and loses 1.
CELLS = (
    fit("0101010101", first=("1111100000", "1111111100"), second=("1111100000", "1111111100")),
    fit("0101010101", first=("1111110000", "1111111100"), second=("1111110000", "1111100000")),
)


def test_gains_are_pooled_over_the_images_with_their_standard_error():
    """By hand: variance (5 - 20 x 0.25^2) / 19 of the first arm, (4 - 20 x 0.1^2) / 19 = 0.2 of the second."""
    found = judge([*CELLS, None])
    first, second = found.arms
    assert (found.steps, found.images, found.cells) == (4000, 20, 2)
    assert (first.usual, first.longer, first.gain) == pytest.approx((11 / 20, 16 / 20, 0.25))
    assert first.error == pytest.approx((3.75 / 19 / 20) ** 0.5)
    assert (second.gain, second.error) == pytest.approx((0.1, 0.1))
    assert (first.state, second.state) == ("still rising", "level")
    assert found.notes == (
        f"With twice the steps (4,000) {FIRST} gains +25.00 points (standard error 9.93, still rising) on validation "
        f"images, {SECOND} +10.00 points (standard error 10.00, level): not yet level; --tune-steps gives each arm its "
        "own.",
    )


@pytest.mark.parametrize(
    ("longer", "end"),
    [
        ("1111100001", "on 10 validation images neither is shown to rise or to be past its best."),
        ("0000000000", "past the best; --tune-steps gives each arm its own."),
    ],
)
def test_what_is_level_and_what_falls_is_said(longer, end):
    one = fit("0101010101", first=("1111100000", longer), second=("1111100000", "1111100000"))
    [sentence] = judge([one]).notes
    assert sentence.endswith(end)


def test_balanced_scores_weigh_classes_alike():
    """By hand: the one image of class 1 weighs 2, the three of class 0 weigh 2/3; variance (4 - 4 x 0.5^2) / 3 = 1."""
    found = judge([fit("0001", first=("1000", "1001"), second=("1000", "1000"))], "balanced").arms[0]
    assert (found.usual, found.longer) == pytest.approx((1 / 6, 2 / 3))
    assert (found.gain, found.error) == pytest.approx((0.5, 0.5))


def test_a_failed_longer_training_is_left_out_and_said():
    failed = dataclasses.replace(CELLS[0], arms={}, reason="the loss is NaN")
    found = judge([failed, CELLS[1]])
    assert (found.images, found.cells) == (10, 1)
    assert found.notes[1] == "--plateau-check: a longer training failed: the loss is NaN."
    assert judge([failed]).notes == (found.notes[1], "--plateau-check has no result.")
    [note] = judge([None, None]).notes
    assert note == "--plateau-check has no result: the first 2 cells failed, or hold none."


def test_the_report_shows_it_and_reads_it_back(tmp_path):
    plan = plan_for(tmp_path, seeds=6, plateau_check=True)
    finish(plan, tmp_path)
    for cell, part in zip(plan.cells, CELLS, strict=False):
        change_cell(tmp_path, cell, analyses={"plateau": part})
    comparison = collect(plan, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "Had the arms reached their plateau?" in page
    assert "with twice the steps only" in page
    assert PlateauCheck().limit(None) == (
        "Whether more steps would change an arm was not measured; --plateau-check does that."
    )
    assert str(flags(comparison.analyses["plateau"].notes[0])) in page
    assert read_comparison(tmp_path).analyses["plateau"] == comparison.analyses["plateau"]


def config(validation=0.25, **compare):
    return ComparisonConfig(
        data=DataConfig(per_class=12, validation=validation),
        arch="pca",
        spec=PcaSpec(components=4),
        budget=Budget(steps=1),
        classifier=ClassifierConfig(classifier_steps=10),
        compare=CompareConfig(**{"seeds": 3, "arms": (SECOND, FIRST), "plateau_check": True, **compare}),
        runtime=Runtime(device="cpu", precision="fp32", threads=1),
    )


def test_the_first_two_cells_alone_train_twice_as_long(tmp_path, monkeypatch):
    working, trained = arm_evaluator.fit_classifier, []

    def fit_classifier(images, config, **given):
        trained.append(config.classifier_steps)
        return working(images, config, **given)

    monkeypatch.setattr(arm_evaluator, "fit_classifier", fit_classifier)
    checked = comparing.compare(config(), tmp_path, jobs=1)
    assert sorted(trained) == [10] * 6 + [20] * 4
    cells = [read_cell(tmp_path, cell, CellResult) for cell in checked.plan.cells]
    assert ["plateau" in cell.analyses for cell in cells] == [True, True, False]
    for cell in cells[:2]:
        part = cell.analyses["plateau"]
        assert (part.steps, len(part.labels)) == (20, cell.rows["validation"].count)
        for name, arm in part.arms.items():
            assert arm.usual.mean() == pytest.approx(cell.arms[name].validation_accuracy)


def test_where_a_longer_training_diverges_the_cell_stands(tmp_path, monkeypatch):
    working = arm_evaluator.fit_classifier

    def fit_classifier(images, config, **given):
        if config.classifier_steps == 20:
            raise OutcomeError("the loss is NaN or infinite")
        return working(images, config, **given)

    monkeypatch.setattr(arm_evaluator, "fit_classifier", fit_classifier)
    found = comparing.compare(config(seeds=1), tmp_path, jobs=1).comparison
    assert found.judgement.n == 1
    assert "--plateau-check: a longer training failed: the loss is NaN or infinite." in found.notes
    assert "Had the arms reached" not in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"arms": ("real", "traditional")}, "--plateau-check: nothing is tested"),
        ({"validation": 0.0}, "--plateau-check,.* give --validation above 0"),
    ],
)
def test_what_it_needs_is_said(options, complaint):
    with pytest.raises(UsageError, match=complaint):
        make_plan(config(**options), "0123", None, None)
