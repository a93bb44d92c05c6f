"""Cells whose training gave nothing that can be used: recorded, named, and left out of everything."""

import dataclasses
import functools
import json

import numpy as np
import pytest
from fake_experiment import ACCURACY, cell_values, plan_for

from gangda import comparing, experiments
from gangda.comparing import added_images, arm_evaluator, collect, compare
from gangda.comparing.added_images import SOURCES
from gangda.comparing.cell_result import CellResult, FailedCell
from gangda.comparing.cells import finish_cell
from gangda.comparing.storage import cell_path, read_cell, read_cells, write_cell
from gangda.comparing.sweeps import sweep
from gangda.comparing.workers import run_cells
from gangda.config import resolve
from gangda.config.methods import Budget
from gangda.config.schema import (
    ClassifierConfig,
    CompareConfig,
    ComparisonConfig,
    DataConfig,
    Runtime,
)
from gangda.errors import DataError, OutcomeError
from gangda.runtime.hashed_file import write_hashed_json
from gangda.runtime.part import Part
from gangda.runtime.plain import to_plain
from gangda.runtime.progress import Reporter
from gangda.sampling import sampler

QUICK = Runtime(device="cpu", precision="fp32", threads=1)


class Heard(Reporter):
    def __init__(self):
        self.lines = []

    def line(self, text):
        self.lines.append(text)


def collapse():
    raise OutcomeError("gan: only 0 of 6,400 samples are taken for class '3'; mode collapse?")


def finish_all_but(plan, out, failed):
    for cell in plan.cells:
        if cell.index in failed:
            finish_cell(cell, out, CellResult, collapse)
        else:
            write_cell(out, cell, cell_values(plan, cell, ACCURACY, 0.8, 0.005, 400))


def test_the_others_are_judged_and_the_failed_ones_are_named(tmp_path):
    plan = plan_for(tmp_path, seeds=10)
    finish_all_but(plan, tmp_path, {3, 7})
    result = collect(plan, tmp_path)
    document = json.loads((tmp_path / "comparison.json").read_text())
    assert result.judgement.n == 8
    assert all(len(arm["scores"]) == 8 for arm in document["judgement"]["arms"])
    assert [cell["seed"] for cell in document["cells"]] == [0, 1, 2, 4, 5, 6, 8, 9]
    assert [(one["index"], one["seed"]) for one in document["failed"]] == [(3, 3), (7, 7)]
    assert document["headline"].endswith("Without cells 3, 7, which failed.")
    assert "2 of 10 cells have no result" in result.notes[0]
    assert "cell 3 (seed 3): gan: only 0 of 6,400" in result.notes[0]
    page = (tmp_path / "report.html").read_text()
    assert "cell 7 (seed 7): gan: only 0" in page
    assert "8 paired seeds" in page


def test_a_cell_is_read_as_it_was_written(tmp_path):
    [cell] = (plan := plan_for(tmp_path, seeds=1, second_classifier="resnet", tune_steps=(1000, 4000))).cells
    written = cell_values(plan, cell, ACCURACY, 0.8, 0.005, 400)
    write_cell(tmp_path, cell, written)
    read = read_cell(tmp_path, cell, CellResult)
    assert to_plain(read) == to_plain(written)
    assert np.array_equal(read.arms["real"].test.correct, written.arms["real"].test.correct)
    assert np.array_equal(read.pictures.classes[0].real, written.pictures.classes[0].real)


@pytest.mark.parametrize(
    "damage", [lambda p: p.pop("arms"), lambda p: p.update(more=1), lambda p: p.update(seed="0")]
)
def test_a_cell_of_other_fields_is_missing_even_where_its_hash_is_right(tmp_path, damage):
    [cell] = (plan := plan_for(tmp_path, seeds=1)).cells
    plain = to_plain(cell_values(plan, cell, ACCURACY, 0.8, 0.005, 400))
    damage(plain)
    write_hashed_json(cell_path(tmp_path, cell), plain)
    assert read_cell(tmp_path, cell, CellResult) is None


def test_too_few_that_are_left_are_called_too_few(tmp_path):
    plan = plan_for(tmp_path, seeds=6)
    finish_all_but(plan, tmp_path, {0})
    headline = collect(plan, tmp_path).headline
    assert headline.startswith("No verdict: 5 seeds can show nothing about adding generated images")
    assert "Underpowered: 5 seeds can never pass 0.05" in headline
    assert headline.endswith("Without cell 0, which failed.")


def test_where_all_fail_nothing_is_judged(tmp_path):
    plan = plan_for(tmp_path, seeds=3)
    finish_all_but(plan, tmp_path, {0, 1, 2})
    with pytest.raises(OutcomeError, match=r"all 3 cells failed.*cell 0 \(seed 0\): gan: only 0"):
        collect(plan, tmp_path)
    assert not (tmp_path / "comparison.json").exists()


def test_only_outcomes_are_recorded_as_failures(tmp_path):
    [cell] = plan_for(tmp_path, seeds=1).cells

    def mistake():
        raise DataError("no images")

    with pytest.raises(DataError, match=r"cell 0 \(seed 0\): no images"):
        finish_cell(cell, tmp_path, CellResult, mistake)
    assert read_cells([cell], tmp_path, CellResult).failed == ()


def test_a_damaged_record_is_no_failure_and_a_result_overrules_one(tmp_path):
    plan = plan_for(tmp_path, seeds=2)
    finish_all_but(plan, tmp_path, {0, 1})
    path = cell_path(tmp_path, plan.cells[0], FailedCell)
    path.write_text(path.read_text().replace("mode collapse", "mode collapsf"))
    assert [failure.index for failure in read_cells(plan.cells, tmp_path, CellResult).failed] == [1]
    write_cell(tmp_path, plan.cells[1], cell_values(plan, plan.cells[1], ACCURACY, 0.8, 0.005, 400))
    assert read_cells(plan.cells, tmp_path, CellResult).failed == ()


def config(**changes):
    return ComparisonConfig(
        data=DataConfig(source="digits", per_class=6),
        arch="dcgan",
        spec=resolve.resolve({}, {}, ("test", {"arch": {"name": "dcgan"}})).pick(ComparisonConfig).spec,
        budget=Budget(steps=1),
        classifier=ClassifierConfig(classifier_steps=2),
        compare=CompareConfig(seeds=2, arms=("real", "generated"), **changes),
        runtime=QUICK,
    )


def test_an_unconditional_generator_that_collapses_ends_its_cell_alone(tmp_path, monkeypatch):
    """One step of training: of most classes there is no sample, so that no cell can be filled."""
    short = functools.partial(added_images.fit_pseudo_labeler, config=ClassifierConfig(classifier_steps=20))
    monkeypatch.setattr(added_images, "fit_pseudo_labeler", short)
    monkeypatch.setattr(sampler, "ATTEMPTS_PER_CLASS", 1)
    monkeypatch.setattr(sampler, "MAX_ATTEMPTS", 2)
    heard = Heard()
    with pytest.raises(OutcomeError, match="all 2 cells failed"):
        compare(config(), tmp_path / "out", jobs=1, reporter=heard)
    told = [line for line in heard.lines if line.startswith("FAILED")]
    assert len(told) == 2
    assert all("mode collapse" in line for line in told)
    monkeypatch.setattr(comparing, "run_cells", lambda *_: pytest.fail("ran a cell again"))
    with pytest.raises(OutcomeError, match="all 2 cells failed"):
        compare(config(), tmp_path / "out", jobs=1)


def test_the_arm_that_failed_is_named_and_a_second_classifier_ends_no_cell(tmp_path, monkeypatch):
    pca = resolve.resolve({}, {}, ("test", {"arch": {"name": "pca"}})).pick(ComparisonConfig).spec
    small = dataclasses.replace(config(second_classifier="logistic"), arch="pca", spec=pca, method=None)
    fit = arm_evaluator.fit_classifier

    def diverges(images, asked, **more):
        if asked.classifier == "logistic":
            raise OutcomeError("the loss is NaN or infinite")
        return fit(images, asked, **more)

    monkeypatch.setattr(arm_evaluator, "fit_classifier", diverges)
    compare(small, tmp_path / "second", jobs=1)
    document = json.loads((tmp_path / "second/comparison.json").read_text())
    assert [cell["analyses"]["second_classifier"]["reason"] for cell in document["cells"]] == [
        "the loss is NaN or infinite"
    ] * 2
    assert "With logistic: failed in all 2 seeds" in document["headline"]
    first = dataclasses.replace(small, compare=config().compare, classifier=ClassifierConfig("logistic", 2))
    with pytest.raises(OutcomeError, match=r"cell 0 \(seed 0\): arm real: the loss is NaN"):
        compare(first, tmp_path / "first", jobs=1)


def fail_on_even(plan, cell, out, tell):
    def run():
        return collapse() if cell.index % 2 == 0 else cell_values(plan, cell, ACCURACY, 0.8, 0.005, 400)

    finish_cell(cell, out, CellResult, run)


def test_workers_go_on_after_a_failed_cell(tmp_path):
    plan = plan_for(tmp_path, seeds=4)
    run_cells(plan, plan.cells, tmp_path, 2, Reporter(), fail_on_even)
    assert [failure.index for failure in read_cells(plan.cells, tmp_path, CellResult).failed] == [0, 2]
    assert [read_cell(tmp_path, cell, CellResult) is None for cell in plan.cells] == [
        True,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize("measure", ["compare", "score\nmetrics: [gan_test]"])
def test_variants_are_compared_over_the_seeds_that_both_have(tmp_path, monkeypatch, measure):
    text = f"""
kind: experiment
title: A title
question: Which?
measure: {measure}
arm: generated
base:
  data: {{source: digits, per_class: 8}}
  arch: {{name: pca, components: 2}}
  classifier: {{classifier_steps: 2}}
  compare: {{seeds: 3, arms: [real, generated]}}
  runtime: {{device: cpu, precision: fp32, threads: 1}}
vary: {{arch.components: [2, 4, 6]}}
"""
    (tmp_path / "mine.yaml").write_text(text)
    asked = experiments.read(str(tmp_path / "mine.yaml"))
    configs = {
        name: resolve.resolve({}, {}, (name, sections)).pick(ComparisonConfig)
        for name, sections in asked.variants.items()
    }
    real = SOURCES["generator"]

    def sometimes(own, *rest):
        if (own.plan.config.spec.components, own.cell.seed) in ((4, 1), (6, 0), (6, 1), (6, 2)):
            collapse()
        return real(own, *rest)

    monkeypatch.setitem(SOURCES, "generator", sometimes)
    result = sweep(asked, configs, tmp_path / "out", jobs=1)
    first, second, third = result.findings.rows
    assert (result.planned, result.finished) == (9, 5)
    assert np.isnan(second.scores).tolist() == [False, True, False]
    assert np.isnan(third.scores).all()
    [difference] = result.findings.differences
    kept = np.delete(np.subtract(second.scores, first.scores), 1)
    assert difference.deltas == pytest.approx(kept)
    assert second.mean == pytest.approx(np.nanmean(second.scores))
    assert "components=4: FAILED: 1 of 3 cells has no result" in result.findings.notes[0]
    assert result.findings.headline.endswith("components=6: Without cells 0, 1, 2, which failed.")
    page = (tmp_path / "out/report.html").read_text()
    assert "components=6: FAILED: 3 of 3" in page
    again = sweep(asked, configs, tmp_path / "out", part=Part(only="judge"))
    assert again.as_dict() == result.as_dict()
