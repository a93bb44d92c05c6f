import dataclasses
import json

import numpy as np
import pytest
from fake_experiment import change_arm, change_cell, finish, plan_for

from gangda.classifying.evaluation import evaluate_predictions
from gangda.comparing.cell_result import CellResult
from gangda.comparing.results import collect
from gangda.comparing.storage import cell_path, read_cell, read_comparison, write_cell
from gangda.errors import DataError, IncompleteError

EQUAL = {"real": 0.8, "traditional": 0.8, "generated": 0.8, "generated+traditional": 0.8}


def test_a_clear_win_is_judged_and_written(tmp_path):
    plan = plan_for(tmp_path)
    finish(plan, tmp_path)
    result = collect(plan, tmp_path)
    assert result.judgement.contrasts[0].verdict == "better"
    written = json.loads((tmp_path / "comparison.json").read_text())
    assert written["judgement"]["contrasts"][0]["mean"] == pytest.approx(0.08, abs=0.01)
    assert [cell["seed"] for cell in written["cells"]] == list(range(10))
    assert written["cells"][0]["arms"]["real"]["test"]["correct"]
    assert written["plan"]["hash"] == plan.hash
    assert "subset" in written["varied"]
    assert set(written["versions"]) >= {"gangda", "torch", "numpy", "python"}
    assert (tmp_path / "report.html").is_file()


def test_the_page_says_what_the_cells_ran_on_not_what_judges_them(tmp_path):
    plan = plan_for(tmp_path)
    finish(plan, tmp_path)
    for cell in plan.cells:
        change_cell(
            tmp_path,
            cell,
            versions={"gangda": "0.9", "torch": "2.99", "machine": f"node {cell.index % 2}", "gpu": "a card"},
        )
    collect(plan, tmp_path)
    written = json.loads((tmp_path / "comparison.json").read_text())
    assert written["versions"]["machine"] == "node 0 and node 1"
    page = (tmp_path / "report.html").read_text()
    assert "node 0 and node 1" in page
    assert "torch 2.99" in page


def test_scores_come_from_per_image_correctness(tmp_path):
    plan = plan_for(tmp_path, seeds=6)
    finish(plan, tmp_path, sd=0.0)
    arms = {arm.name: arm for arm in collect(plan, tmp_path).judgement.arms}
    assert arms["generated"].scores == pytest.approx([0.86] * 6)


def test_missing_and_damaged_cells_are_named(tmp_path):
    plan = plan_for(tmp_path)
    finish(plan, tmp_path)
    cell_path(tmp_path, plan.cells[1]).unlink()
    cell_path(tmp_path, plan.cells[2]).write_text('{"format_version": 2, "id": ')
    cell_path(tmp_path, plan.cells[7]).write_bytes(cell_path(tmp_path, plan.cells[8]).read_bytes())
    with pytest.raises(
        IncompleteError, match=r"3 of 10 cells are missing, by number: 1-2,7 \(damaged"
    ) as error:
        collect(plan, tmp_path)
    paths = [str(cell_path(tmp_path, plan.cells[index])) for index in (1, 2, 7)]
    assert [path in str(error.value) for path in paths] == [False, True, True]
    assert not (tmp_path / "comparison.json").exists()


def test_the_declared_margin_is_in_points(tmp_path):
    plan = plan_for(tmp_path, margin=3.0)
    finish(plan, tmp_path, EQUAL)
    judged = collect(plan, tmp_path).judgement
    assert {contrast.margin for contrast in judged.contrasts} == {0.03}
    assert judged.margin_rule == "declared"
    assert judged.contrasts[0].verdict == "equivalent"


@pytest.mark.parametrize(
    ("pool", "said"),
    [
        (300, ["share 33% of their training images in the mean", "no second seed without shared images"]),
        (1000, ["share 10% of", "all drawn from 4,000 images", "enough for 5 seeds without a shared image"]),
        (2000, []),
    ],
)
def test_seeds_whose_subsets_overlap_say_how_much(tmp_path, pool, said):
    """100 of each class are trained on and as many validated on, so that 5 seeds take 1,000 of a class."""
    plan = plan_for(tmp_path, seeds=6)
    finish(plan, tmp_path)
    change_cell(tmp_path, plan.cells[0], pool=(pool,) * 4)
    notes = " ".join(collect(plan, tmp_path).notes)
    assert ("Seeds overlap" in notes) == bool(said)
    assert all(words in notes for words in said)


def test_every_verdict_begins_with_a_plain_sentence(tmp_path):
    plan = plan_for(tmp_path)
    finish(plan, tmp_path)
    result = collect(plan, tmp_path)
    plain = "Adding generated images to traditional augmentation made the classifier better by"
    assert result.headline.startswith(f"{result.plain} Better. ")
    assert result.plain.startswith(plain)
    assert json.loads((tmp_path / "comparison.json").read_text())["plain"] == result.plain
    assert result.plain in (tmp_path / "report.html").read_text()


def test_extension_and_collapse_are_said(tmp_path):
    plan_for(tmp_path, seeds=8)
    plan = plan_for(tmp_path, seeds=10)
    finish(plan, tmp_path, recognised=0.2)
    notes = " ".join(collect(plan, tmp_path).notes)
    assert "planned with 8 seeds" in notes
    assert "ALARM" in notes
    assert "20%" in notes


def test_cells_on_different_test_images_do_not_belong_together(tmp_path):
    plan = plan_for(tmp_path, seeds=6)
    finish(plan, tmp_path)
    rows = read_cell(tmp_path, plan.cells[0], CellResult).rows
    other = dataclasses.replace(rows["test"], hash="other")
    change_cell(tmp_path, plan.cells[0], rows={**rows, "test": other})
    with pytest.raises(DataError, match="different test images"):
        collect(plan, tmp_path)


RARE = np.repeat([0, 1, 2, 3], [300, 60, 30, 10])  # of 400 test images


def rarely_right(plan, out):
    """`generated` gets rare classes right that `real` gets wrong, and as many common ones wrong."""
    finish(plan, out, EQUAL)
    for cell in plan.cells:
        change_cell(out, cell, test_labels=RARE.astype(np.uint16))
        for arm, first in (("real", 390), ("generated", 0)):
            wrong = np.arange(first, first + 10)
            right = evaluate_predictions(RARE, answers(wrong, 10 + cell.index), 4)
            change_arm(out, cell, arm, test=dataclasses.replace(right, train_accuracy=1.0))
    return collect(plan, out)


def answers(wrong, taken_for_1):
    found = RARE.copy()
    found[wrong] = (found[wrong] + 1) % 4
    found[taken_for_1] = 1  # so that seeds differ
    return found


def test_balanced_accuracy_can_be_asked_for(tmp_path):
    judged = {}
    for score_by in ("accuracy", "balanced"):
        out = tmp_path / score_by
        plan = plan_for(out, arms=("real", "generated"), score_by=score_by)
        judged[score_by] = rarely_right(plan, out).judgement
    plain, balanced = judged["accuracy"], judged["balanced"]
    assert plain.contrasts[0].mean == pytest.approx(0.0)
    assert balanced.contrasts[0].mean == pytest.approx(
        (1 - 10 / 300) / 4
    )  # recalls by hand: 1/4 against 10/300/4
    assert balanced.contrasts[0].verdict == "better"
    cells = [read_cell(tmp_path / "balanced", cell, CellResult) for cell in plan.cells]
    for arm in balanced.arms:
        assert arm.scores == pytest.approx([c.arms[arm.name].test.balanced_accuracy for c in cells])
    # Sums over classes: sum w^2 = sum over classes of size (400 / (4 size))^2.
    p = balanced.arms[0].mean
    squares = sum(size * (100 / size) ** 2 for size in (300, 60, 30, 10))
    assert balanced.test_se == pytest.approx(np.sqrt(p * (1 - p) * squares) / 400)
    assert balanced.resolution == pytest.approx(1 / (4 * 10))
    assert plain.resolution == pytest.approx(1 / 400)


def test_the_report_says_what_was_compared(tmp_path):
    plan = plan_for(tmp_path, arms=("real", "generated"), score_by="balanced")
    headline = rarely_right(plan, tmp_path).headline
    assert "weighs up to 2.50 points" in headline
    assert "a balanced accuracy to about" in headline
    page = (tmp_path / "report.html").read_text()
    assert "Test balanced accuracy over the seeds" in page
    assert "(of plain accuracy)" in page
    written = json.loads((tmp_path / "comparison.json").read_text())
    assert written["judgement"]["score"] == "balanced accuracy"
    assert len(written["cells"][0]["test_labels"]["base64"]) == 0, "said once for all cells"
    assert read_comparison(tmp_path).test_labels.tolist() == RARE.tolist()


def test_under_holm_the_report_does_not_speak_of_a_sequence(tmp_path):
    plan = plan_for(tmp_path, multiplicity="holm")
    finish(plan, tmp_path)
    collect(plan, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "Holm's step-down procedure at alpha" in page.replace("&#39;", "'")
    assert "fixed sequence" not in page
    assert "tested in this order" not in page


def test_classes_without_test_images_are_named_and_leave_no_nan(tmp_path):
    plan = plan_for(tmp_path)
    finish(plan, tmp_path)

    def untested(arm, labels):
        predicted = np.where(arm.test.correct, labels, 0)
        test = dataclasses.replace(evaluate_predictions(labels, predicted, 4), train_accuracy=1.0)
        return dataclasses.replace(arm, test=test)

    for cell in plan.cells:
        result = read_cell(tmp_path, cell, CellResult)
        labels = np.where(result.test_labels == 2, 3, result.test_labels)
        arms = {name: untested(arm, labels) for name, arm in result.arms.items()}
        write_cell(tmp_path, cell, dataclasses.replace(result, test_labels=labels, arms=arms))
    found = collect(plan, tmp_path)
    assert "Without test images: 'a/b'. Scores are of the other 3 of 4 classes." in found.notes
    page = (tmp_path / "report.html").read_text()
    assert "nan)" not in page
    assert "nan%" not in page
