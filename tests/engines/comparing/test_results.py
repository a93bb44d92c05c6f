import json

import pytest
from fake_experiment import finish, plan_for

from gangda.engines.comparing.cells import cell_path, read_cell, write_cell
from gangda.engines.comparing.results import collect
from gangda.errors import DataError, IncompleteError

EQUAL = {"real": 0.8, "traditional": 0.8, "generated": 0.8, "generated+traditional": 0.8}


def test_a_clear_win_is_judged_and_written(tmp_path):
    plan = plan_for(tmp_path)
    finish(plan, tmp_path)
    result = collect(plan, tmp_path)
    assert result.comparison.contrasts[0].verdict == "better"
    written = json.loads((tmp_path / "comparison.json").read_text())
    assert written["comparison"]["contrasts"][0]["mean"] == pytest.approx(0.08, abs=0.01)
    assert [cell["seed"] for cell in written["cells"]] == list(range(10))
    assert written["cells"][0]["arms"]["real"]["test"]["correct"]
    assert written["plan"]["hash"] == plan.hash
    assert "subset" in written["varied"]
    assert set(written["versions"]) >= {"gangda", "torch", "numpy", "python"}
    assert (tmp_path / "report.html").is_file()
    shown = result.as_dict()
    json.dumps(shown, allow_nan=False)
    assert shown["report"] == str(tmp_path / "report.html")


def test_scores_come_from_per_image_correctness(tmp_path):
    plan = plan_for(tmp_path, seeds=6)
    finish(plan, tmp_path, sd=0.0)
    arms = {arm.name: arm for arm in collect(plan, tmp_path).comparison.arms}
    assert arms["generated"].scores == pytest.approx([0.86] * 6)


def test_missing_and_damaged_cells_are_named(tmp_path):
    plan = plan_for(tmp_path)
    finish(plan, tmp_path)
    cell_path(tmp_path, plan.cells[1]).unlink()
    cell_path(tmp_path, plan.cells[2]).write_text('{"format_version": 1, "id": ')
    cell_path(tmp_path, plan.cells[7]).write_bytes(cell_path(tmp_path, plan.cells[8]).read_bytes())
    with pytest.raises(IncompleteError, match="3 of 10 cells are missing: 1-2, 7"):
        collect(plan, tmp_path)
    assert not (tmp_path / "comparison.json").exists()


def test_the_declared_margin_is_in_points(tmp_path):
    plan = plan_for(tmp_path, margin=3.0)
    finish(plan, tmp_path, EQUAL)
    judged = collect(plan, tmp_path).comparison
    assert judged.margin == pytest.approx(0.03)
    assert judged.contrasts[0].verdict == "equivalent"


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
    other = read_cell(tmp_path, plan.cells[0])
    other["rows"]["test"]["hash"] = "other"
    write_cell(tmp_path, plan.cells[0], other)
    with pytest.raises(DataError, match="different test images"):
        collect(plan, tmp_path)
