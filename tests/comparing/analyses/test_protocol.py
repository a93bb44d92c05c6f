"""An analysis from outside the package: one class and one line of the catalog reach plan, cells, results and report."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from fake_experiment import change_cell, finish, plan_for

from gangda import comparing
from gangda.comparing.analyses import Additions, Analysis, AnalysisResult, Section
from gangda.comparing.cell_result import CellResult
from gangda.comparing.plan import make_plan
from gangda.comparing.results import collect
from gangda.comparing.storage import cell_path, read_cell, read_comparison
from gangda.config import catalog
from gangda.config.architectures import PcaSpec
from gangda.config.catalog import Entry
from gangda.config.schema import ClassifierConfig, CompareConfig, ComparisonConfig, DataConfig, Runtime
from gangda.errors import UsageError


@dataclass(frozen=True)
class Part:
    ratio: float | None
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class Total(AnalysisResult):
    accuracies: tuple[float, ...]


class Toy(Analysis):
    """Accuracy of every arm after twice the steps."""

    cell_type, result_type = Mapping[str, Part], Total

    def plan(self, config):
        if config.compare.alpha == 0.5:
            raise UsageError("a toy does not go with --alpha 0.5")
        return Additions(fits=len(config.compare.arms), fixed={"steps": 20}, validation=True)

    def run_in_cell(self, evaluator, config):
        fitted = {name: evaluator.again(name, steps=20) for name in config.compare.arms}
        return {
            name: Part(evaluator.ratio_of(name), evaluator.on_test(one).accuracy)
            for name, one in fitted.items()
        }

    def judge(self, found, judged):
        assert [row.name for row in judged.arms] == [arm.name for arm in judged.judgement.arms]
        return Total(
            accuracies=tuple(part["real"].accuracy for part in found),
            headline="A toy agrees.",
            objection="not with a toy",
            notes=("A toy was here.",),
            sentences=("A toy says so.",),
        )

    def section(self, result, comparison):
        return Section("toy", "A toy", f"<p>{len(result.accuracies)} of {comparison.judgement.n}</p>")


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setitem(catalog.ANALYSES, "toy", Entry(f"{__name__}:Toy", "a toy"))


def config(**compare):
    return ComparisonConfig(
        data=DataConfig(per_class=8),
        arch="pca",
        spec=PcaSpec(components=2),
        classifier=ClassifierConfig(classifier_steps=2),
        compare=CompareConfig(**{"seeds": 2, "arms": ("real", "generated"), **compare}),
        runtime=Runtime(device="cpu", precision="fp32", threads=1),
    )


def test_it_runs_in_every_cell_and_is_found_in_the_comparison(toy, tmp_path):
    result = comparing.compare(config(), tmp_path, jobs=1)
    cells = [read_cell(tmp_path, cell, CellResult) for cell in result.plan.cells]
    parts = [cell.analyses["toy"] for cell in cells]
    assert [part["generated"].ratio for part in parts] == [1.0, 1.0]
    found = result.comparison.analyses["toy"]
    assert found.accuracies == tuple(part["real"].accuracy for part in parts)
    assert read_comparison(tmp_path).analyses == result.comparison.analyses
    assert json.loads((tmp_path / "plan.json").read_text())["fixed"]["analyses"]["toy"] == {"steps": 20}
    assert "A toy agrees." in result.comparison.headline
    assert "A toy was here." in result.comparison.notes


def test_it_has_its_part_of_the_report(toy, tmp_path):
    plan = plan_for(tmp_path)
    finish(plan, tmp_path)
    for cell in plan.cells:
        change_cell(tmp_path, cell, analyses={"toy": {"real": Part(None, 0.5)}})
    collect(plan, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert '<a href="#toy">A toy</a>' in page
    assert '<section id="toy"' in page
    assert "<p>10 of 10</p>" in page
    assert '<p class="word">Better, but not with a toy</p>' in page
    assert '<p class="lead">A toy agrees.</p>' in page


def test_it_can_refuse_and_ask_for_validation_images(toy):
    with pytest.raises(UsageError, match="a toy does not go with --alpha"):
        make_plan(config(alpha=0.5), "0123", None, None)
    without = config()
    object.__setattr__(without.data, "validation", 0.0)
    with pytest.raises(UsageError, match="give --validation above 0"):
        make_plan(without, "0123", None, None)


def test_what_it_depends_on_is_part_of_the_plan_and_of_the_cells(toy, monkeypatch):
    first = make_plan(config(), "0123", None, None)
    monkeypatch.setattr(Toy, "plan", lambda self, config: Additions(fixed={"steps": 30}))
    second = make_plan(config(), "0123", None, None)
    assert first.hash != second.hash
    assert first.cells[0].id != second.cells[0].id


def test_a_cell_with_a_part_of_another_form_is_not_read(toy, tmp_path):
    plan = plan_for(tmp_path, seeds=1)
    finish(plan, tmp_path)
    change_cell(tmp_path, plan.cells[0], analyses={"toy": {"real": {"accuracy": "much"}}})
    assert cell_path(tmp_path, plan.cells[0]).exists()
    assert read_cell(tmp_path, plan.cells[0], CellResult) is None


def test_one_that_the_catalog_does_not_have_is_not_read(tmp_path):
    plan = plan_for(tmp_path, seeds=1)
    finish(plan, tmp_path)
    change_cell(tmp_path, plan.cells[0], analyses={"toy": {"real": Part(None, 0.5)}})
    assert read_cell(tmp_path, plan.cells[0], CellResult) is None
