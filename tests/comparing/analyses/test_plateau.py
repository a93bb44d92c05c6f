"""Curves over the steps on validation images: what is fitted, what is called level, what is said."""

import dataclasses

import numpy as np
import pytest
from fake_experiment import change_cell, finish, plan_for

from gangda import comparing
from gangda.comparing import arm_evaluator
from gangda.comparing.analyses import Judged
from gangda.comparing.analyses.plateau import PlateauCheck, PlateauFit
from gangda.comparing.arm_sets import uses_validation
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
from gangda.runtime.progress import CallbackReporter

FIRST, SECOND, THIRD = "generated+traditional", "traditional", "real"
LONG = 3  # times that a cell of ten images is repeated, so that two of them have enough


def right(text):
    return np.array([letter == "1" for letter in text])


def fit(labels, *, longer=False, times=1, **arms):
    """Of each arm: which images are right with half of the steps and with all, or with all and with twice as many."""
    names = {"first": FIRST, "second": SECOND, "third": THIRD}
    found = {names[name]: tuple(right(times * text) for text in curve) for name, curve in arms.items()}
    steps = (2000, 4000) if longer else (1000, 2000)
    return PlateauFit(2000, steps, np.array(list(times * labels), dtype=np.uint16), found)


def judge(found, **compare):
    arms = tuple(next(fit.arms for fit in found if fit is not None and fit.arms))
    config = ComparisonConfig(compare=CompareConfig(arms=arms, **compare))
    return PlateauCheck().judge(found, Judged(None, (), config))


# Over both cells the first arm gains 5 of 20 images, the second gains 3 and loses 1.
CELLS = tuple(
    fit("0101010101", times=LONG, first=first, second=second)
    for first, second in (
        (("1111100000", "1111111100"), ("1111100000", "1111111100")),
        (("1111110000", "1111111100"), ("1111110000", "1111100000")),
    )
)


def test_gains_are_pooled_over_the_images_with_their_standard_error():
    """By hand: variance (15 - 60 x 0.25^2) / 59 of the first arm, (12 - 60 x 0.1^2) / 59 of the second."""
    found = judge([*CELLS, None])
    first, second = found.arms
    assert (found.usual, found.steps, found.images, found.cells) == (2000, (1000, 2000), 60, 2)
    assert first.scores == pytest.approx((11 / 20, 16 / 20))
    assert (first.gain, first.error) == pytest.approx((0.25, (11.25 / 59 / 60) ** 0.5))
    assert (second.gain, second.error) == pytest.approx((0.1, (11.4 / 59 / 60) ** 0.5))
    assert (first.state, second.state) == ("still rising", "level")
    assert found.headline == (
        f"Still rising at 2,000 steps, on 60 validation images: {FIRST} (+25.00 points from half of the steps, "
        "standard error 5.64); more --classifier-steps may change the verdict."
    )
    assert found.notes == found.sentences == ()


def test_the_last_segment_decides():
    curve = ("1000000000", "1111111111", "1111111111")
    found = judge([dataclasses.replace(fit("0101010101", times=6, first=curve), steps=(1000, 2000, 4000))])
    assert found.arms[0].scores == pytest.approx((0.1, 1.0, 1.0))
    assert (found.arms[0].gain, found.arms[0].state) == (0.0, "level")
    assert "(with twice the steps: 0.00 to 0.00 points)" in found.headline


UP, DOWN, SAME = ("1111100000", "1111111111"), ("1111100000", "0000000000"), ("1111100000", "1111000001")
RISES = "(+50.00 points with twice the steps, standard error 6.51)"


@pytest.mark.parametrize(
    ("first", "second", "third", "sentence"),
    [
        (
            SAME,
            SAME,
            UP,
            "No tested arm was still rising at 2,000 steps, as far as 60 validation images show (with twice the steps: "
            "0.00 to 0.00 points).",
        ),
        (
            UP,
            UP,
            SAME,
            f"Still rising at 2,000 steps, on 60 validation images: {FIRST} {RISES}, {SECOND} (+50.00, 6.51); "
            "more --classifier-steps may change the verdict.",
        ),
        (
            SAME,
            DOWN,
            SAME,
            f"Falling at 2,000 steps, on 60 validation images: {SECOND} {RISES.replace('+', '-')}; "
            "other --classifier-steps may change the verdict.",
        ),
        (
            UP,
            DOWN,
            SAME,
            f"Still rising at 2,000 steps, on 60 validation images: {FIRST} {RISES}; falling: {SECOND} "
            f"{RISES.replace('+', '-')}; other --classifier-steps may change the verdict.",
        ),
    ],
)
def test_the_verdict_names_the_tested_arms_that_rise_or_fall(first, second, third, sentence):
    one = fit("0101010101", longer=True, times=6, first=first, second=second, third=third)
    assert judge([one], plateau_check=True).headline == sentence


def test_where_nothing_is_tested_every_arm_counts():
    found = judge([fit("0101010101", times=6, second=SAME, third=SAME)])
    assert found.headline.startswith("No arm was still rising at 2,000 steps")


def test_on_too_few_images_nothing_is_claimed():
    few = [
        fit("0101010101", times=4, first=UP, second=UP),
        fit("010101010", second=("1" * 9,) * 2, first=("1" * 9,) * 2),
    ]
    found = judge(few)
    assert found.images == 49
    assert {row.state for row in found.arms} == {"not known"}
    assert found.headline == (
        "Whether longer training would change this is not known: 49 validation images are too few to tell."
    )
    assert PlateauCheck().limit(found) == found.headline


def test_balanced_scores_weigh_classes_alike():
    """By hand: the one image of class 1 weighs 2, the three of class 0 weigh 2/3; variance (4 - 4 x 0.5^2) / 3 = 1."""
    found = judge([fit("0001", first=("1000", "1001"))], score_by="balanced").arms[0]
    assert found.scores == pytest.approx((1 / 6, 2 / 3))
    assert (found.gain, found.error) == pytest.approx((0.5, 0.5))


def test_a_failed_training_is_left_out_and_said():
    failed = dataclasses.replace(CELLS[0], arms={}, reason="real: the loss is NaN")
    found = judge([failed, CELLS[1]])
    assert (found.images, found.cells) == (30, 1)
    assert found.notes == ("Plateau: a shorter or longer training failed: real: the loss is NaN.",)
    alone = PlateauCheck().judge([failed], Judged(None, (), ComparisonConfig()))
    assert alone.notes == (*found.notes, "Plateau: no result.")
    assert alone.headline == ""


def test_where_the_first_cells_have_no_part_only_who_asked_is_told():
    asked = ComparisonConfig(compare=CompareConfig(plateau_check=True))
    assert PlateauCheck().judge([None, None], Judged(None, (), ComparisonConfig())) is None
    [note] = PlateauCheck().judge([None, None], Judged(None, (), asked)).notes
    assert note == "--plateau-check: no result: the first 2 cells failed, or hold none."


def test_the_report_shows_it_beside_the_verdict_and_reads_it_back(tmp_path):
    plan = plan_for(tmp_path, seeds=6, arms=(SECOND, FIRST))
    finish(plan, tmp_path)
    for cell, part in zip(plan.cells, CELLS, strict=False):
        change_cell(tmp_path, cell, analyses={"plateau": part})
    comparison = collect(plan, tmp_path)
    found, page = comparison.analyses["plateau"], (tmp_path / "report.html").read_text()
    assert found.headline in comparison.headline
    assert f'<p class="lead">{flags(found.headline)}</p>' in page
    assert "Had the arms reached their plateau?" in page
    assert "on 60 validation images of 2 seeds, between 1,000 and 2,000 steps only" in page
    assert "with 1,000 steps in place of 2,000" in page
    assert read_comparison(tmp_path).analyses["plateau"] == found
    assert PlateauCheck().limit(None) == (
        "Whether the arms had reached their plateau is not known: it is measured on validation images of the first 2 "
        "seeds (--validation)."
    )


def config(validation=0.25, **compare):
    return ComparisonConfig(
        data=DataConfig(per_class=12, validation=validation),
        arch="pca",
        spec=PcaSpec(components=4),
        budget=Budget(steps=1),
        classifier=ClassifierConfig(classifier_steps=10),
        compare=CompareConfig(**{"seeds": 3, "arms": (SECOND, FIRST, THIRD), **compare}),
        runtime=Runtime(device="cpu", precision="fp32", threads=1),
    )


@pytest.fixture
def trained(monkeypatch):
    """The steps of every classifier."""
    working, steps = arm_evaluator.fit_classifier, []

    def fit_classifier(images, config, **given):
        steps.append(config.classifier_steps)
        return working(images, config, **given)

    monkeypatch.setattr(arm_evaluator, "fit_classifier", fit_classifier)
    return steps


@pytest.mark.parametrize("longer", [False, True])
def test_every_arm_is_trained_otherwise_in_the_first_two_cells_alone(tmp_path, trained, longer):
    seen = []
    reporter = CallbackReporter(lambda task, done, total: seen.append(done) if task == "cells" else None)
    checked = comparing.compare(config(plateau_check=longer), tmp_path, jobs=1, reporter=reporter)
    # A cell whose bar went over its end would step back to it.
    assert seen == sorted(seen)
    assert seen[-1] == 3
    assert sorted(trained) == [5] * 6 + [10] * 9 + [20] * 6 * longer
    cells = [read_cell(tmp_path, cell, CellResult) for cell in checked.plan.cells]
    assert ["plateau" in cell.analyses for cell in cells] == [True, True, False]
    for cell in cells[:2]:
        part = cell.analyses["plateau"]
        assert (part.usual, part.steps) == (10, (5, 10, 20) if longer else (5, 10))
        assert len(part.labels) == cell.rows["validation"].count
        for name, curve in part.arms.items():
            assert len(curve) == len(part.steps)
            assert curve[1].mean() == pytest.approx(cell.arms[name].validation_accuracy)


@pytest.mark.parametrize("options", [{"validation": 0.0}, {"steps": 1}])
def test_without_validation_images_or_a_shorter_training_it_is_not_there(tmp_path, trained, options):
    asked = config(validation=options.get("validation", 0.25), seeds=1, arms=(SECOND, THIRD))
    steps = options.get("steps", 10)
    asked = dataclasses.replace(asked, classifier=ClassifierConfig(classifier_steps=steps))
    found = comparing.compare(asked, tmp_path, jobs=1)
    assert trained == [steps, steps]
    assert found.comparison.analyses == {}
    assert "Whether the arms had reached their plateau is not known" in (tmp_path / "report.html").read_text()


def test_the_default_needs_no_validation_images():
    assert not uses_validation(config())
    assert uses_validation(config(plateau_check=True))


def test_where_a_shorter_training_diverges_the_cell_stands(tmp_path, monkeypatch):
    working = arm_evaluator.fit_classifier

    def fit_classifier(images, config, **given):
        if config.classifier_steps == 5:
            raise OutcomeError("the loss is NaN or infinite")
        return working(images, config, **given)

    monkeypatch.setattr(arm_evaluator, "fit_classifier", fit_classifier)
    found = comparing.compare(config(seeds=1), tmp_path, jobs=1).comparison
    assert found.judgement.n == 1
    assert (
        f"Plateau: a shorter or longer training failed: {SECOND}: the loss is NaN or infinite." in found.notes
    )
    assert "Had the arms reached" not in (tmp_path / "report.html").read_text()


def test_it_asks_for_validation_images():
    with pytest.raises(UsageError, match=r"--plateau-check,.* give --validation above 0"):
        make_plan(config(validation=0.0, plateau_check=True), "0123", None, None)
