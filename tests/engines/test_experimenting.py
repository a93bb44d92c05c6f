"""Experiments over settings, small: PCA as the generator, classifiers of a few steps."""

import json
import re

import numpy as np
import pytest

from gangda import experiments, settings
from gangda.configs import ExperimentConfig
from gangda.engines.experimenting import experiment
from gangda.errors import IncompleteError, RunError, UsageError

BASE = """
kind: experiment
title: A <title>
question: Which?
base:
  data: {source: digits, per_class: 12}
  arch: {name: pca, components: 4}
  classifier: {classifier_steps: 20}
  compare: {seeds: 2, ratios: [1.0], arms: [real, generated, generated+traditional]}
  runtime: {device: cpu, precision: fp32, threads: 1}
"""
COMPARED = BASE + "vary: {arch.components: [4, 8]}\n"
SCORED = BASE + "measure: score\nmetrics: [gan_test, fid]\nvary: {arch.components: [4, 8]}\n"


def read(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    asked = experiments.read(str(path))
    configs = {
        variant.name: settings.resolve({}, {}, (variant.name, variant.sections)).pick(ExperimentConfig)
        for variant in asked.variants
    }
    return asked, configs


def run(tmp_path, text, **options):
    return experiment(*read(tmp_path, text), tmp_path / "out", **{"jobs": 1, **options})


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    return run(folder, COMPARED), folder


def test_variants_are_compared_in_the_arm_seed_by_seed(compared):
    result, folder = compared
    document = json.loads((folder / "out/experiment.json").read_text())
    assert (result.cells, result.finished) == (4, 4)
    first, second = document["rows"]
    for row in (first, second):
        own = json.loads((folder / "out/variants" / row["folder"] / "comparison.json").read_text())
        scores = [cell["arms"]["generated+traditional"]["test"]["accuracy"] for cell in own["cells"]]
        assert row["scores"] == pytest.approx(scores)
    [difference] = document["differences"]
    assert difference["deltas"] == pytest.approx(np.subtract(second["scores"], first["scores"]).tolist())
    assert difference["verdict"] == "too few seeds"
    assert difference["p"] is None
    assert "too few seeds for a verdict" in document["notes"][0]


def test_the_report_is_one_page_that_says_so(compared):
    page = (compared[1] / "out/report.html").read_text()
    assert "A &lt;title&gt;" in page
    assert "A <title>" not in page
    assert "too few seeds" in page
    assert page.count("<svg") == 2
    assert not re.search(r'(src|href)="(https?:)?//', page)
    for variant in ("components=4", "components=8"):
        assert variant in page


def test_the_same_again_runs_nothing(compared, monkeypatch):
    _, folder = compared
    monkeypatch.setattr("gangda.engines.comparing.run_cells", lambda *_: pytest.fail("ran a cell again"))
    assert run(folder, COMPARED).finished == 4


def test_scores_of_every_seed(tmp_path):
    result = run(tmp_path, SCORED)
    document = json.loads((tmp_path / "out/experiment.json").read_text())
    row = document["rows"][0]
    assert set(row["figures"]) == {"gan_test", "fid"}
    assert 0.2 < row["mean"] <= 1
    assert len(row["scores"]) == 2
    assert row["floors"]["gan_test"] == pytest.approx(row["floors"]["gan_test"])
    assert result.finished == result.cells == 4
    assert "components=8" in (tmp_path / "out/report.html").read_text()


@pytest.mark.parametrize("text", [COMPARED, SCORED])
def test_cell_by_cell_and_what_is_missing(tmp_path, text):
    assert run(tmp_path, text, dry_run=True).finished == 0
    assert not (tmp_path / "out").exists()
    assert run(tmp_path, text, cell=3).finished == 1
    with pytest.raises(
        IncompleteError, match=r"'components=4' lacks cells 0, 1; 'components=8' lacks cells 2"
    ):
        run(tmp_path, text, jobs=0)
    with pytest.raises(UsageError, match="cells 0 to 3"):
        run(tmp_path, text, cell=4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("vary: {arch.components: [4, 8]}", "vary: {compare.seeds: [1, 2]}"), "different numbers of seeds"),
        (("[4, 8]}", "[4, 8]}\narm: traditional"), "none of its arms"),
        (("arch.components: [4, 8]", "compare.mode: [add, replace]"), "variant 'mode=replace'"),
        (("per_class: 12", "per_class: 1000"), "class"),
    ],
)
def test_what_cannot_run_is_refused_when_it_is_planned(tmp_path, change, message):
    text = COMPARED.replace("ratios: [1.0]", "ratios: [1.0, 2.0]").replace(*change)
    with pytest.raises(Exception, match=message) as error:
        run(tmp_path, text)
    assert error.type.__name__ in ("UsageError", "DataError")
    assert not (tmp_path / "out").exists()


def test_a_folder_of_others_is_left_alone(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="not an experiment's folder"):
        run(tmp_path, COMPARED)
