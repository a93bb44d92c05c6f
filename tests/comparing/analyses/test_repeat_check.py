"""Rounding alone: what of it moves, in one seed, and what is said where it has no result."""

import dataclasses

import pytest
from fake_experiment import evaluation, finish, plan_for

from gangda.comparing.analyses.repeat_check import RepeatFit
from gangda.comparing.cell_result import CellResult
from gangda.comparing.plan import make_plan
from gangda.comparing.results import collect
from gangda.comparing.storage import read_cell, read_comparison, write_cell
from gangda.config.schema import CompareConfig, ComparisonConfig, DataConfig
from gangda.errors import UsageError

FIRST, SECOND = "generated+traditional", "traditional"


def repeated(out, fit):
    """Six cells, the first of which has the arms of the first difference once more."""
    plan = plan_for(out, seeds=6, repeat_check=True)
    finish(plan, out)
    if fit is not None:
        cell = read_cell(out, plan.cells[0], CellResult)
        write_cell(out, plan.cells[0], dataclasses.replace(cell, analyses={"repeat_check": fit(cell)}))
    return collect(plan, out)


def one_less(cell):
    """Of 400 test images the first arm gets one less right, the second the same ones."""
    labels, right = cell.test_labels, cell.arms[FIRST].test.correct
    wrong = ~right
    wrong[right.argmax()] = True
    arms = {FIRST: evaluation(labels, wrong), SECOND: cell.arms[SECOND].test}
    return RepeatFit(f"{FIRST} - {SECOND}", arms)


def test_what_moved_is_told_in_points_beside_the_spread(tmp_path):
    comparison = repeated(tmp_path, one_less)
    found = comparison.analyses["repeat_check"]
    assert [arm.moved for arm in found.arms] == pytest.approx([-1 / 400, 0])
    assert found.difference.before == comparison.judgement.contrasts[0].deltas[0]
    assert found.difference.moved == pytest.approx(-1 / 400)
    assert found.sd == comparison.judgement.contrasts[0].sd
    assert "one seed's difference moves by -0.25 points" in found.sentences[0]
    assert "How much of it is rounding?" in (tmp_path / "report.html").read_text()
    assert read_comparison(tmp_path).analyses["repeat_check"] == found


@pytest.mark.parametrize(
    ("fit", "reason"),
    [
        (None, "the first cell failed"),
        (lambda _: RepeatFit("a - b", {}, "the loss is NaN"), "the loss is NaN"),
    ],
)
def test_without_a_result_it_says_why(tmp_path, fit, reason):
    comparison = repeated(tmp_path, fit)
    assert f"--repeat-check has no result: {reason}." in comparison.notes
    assert "How much of it is rounding?" not in (tmp_path / "report.html").read_text()


def test_it_needs_a_difference_that_is_tested():
    compare = CompareConfig(seeds=2, arms=("real", "traditional"), repeat_check=True)
    with pytest.raises(UsageError, match="--repeat-check: nothing is tested"):
        make_plan(ComparisonConfig(data=DataConfig(per_class=8), compare=compare), "0", None, None)


def test_the_first_cell_is_another_one_where_another_difference_is_repeated():
    def cell(repeat_check, *contrast):
        compare = CompareConfig(seeds=1, repeat_check=repeat_check, contrast=contrast)
        config = ComparisonConfig(data=DataConfig(per_class=8), compare=compare)
        return make_plan(config, "0", None, None).cells[0].id

    other = "generated - real"
    assert cell(True) != cell(True, other)
    assert cell(False) == cell(False, other)
