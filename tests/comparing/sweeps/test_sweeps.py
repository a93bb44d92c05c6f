"""Experiments over settings, small: PCA as the generator, classifiers of a few steps."""

import dataclasses
import functools
import json
import re
import shutil

import numpy as np
import pytest
import torch

from gangda import experiments
from gangda.comparing import added_images, storage
from gangda.comparing.cells import run_cell
from gangda.comparing.report.page import _means
from gangda.comparing.sweeps import MEASURES, sweep
from gangda.comparing.sweeps.findings import Findings, VariantRow, best_of, publish
from gangda.comparing.sweeps.scored import Scored, run_score
from gangda.config import resolve
from gangda.config.schema import ClassifierConfig, ComparisonConfig
from gangda.errors import DataError, IncompleteError, RunError, UsageError
from gangda.runtime.hashed_file import read_hashed_json, write_hashed_json
from gangda.runtime.part import WHOLE, Part
from gangda.runtime.plan_status import plan_status
from gangda.runtime.progress import Reporter
from gangda.statistics import values

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
        name: resolve.resolve({}, {}, (name, sections)).pick(ComparisonConfig)
        for name, sections in asked.variants.items()
    }
    return asked, configs


def run(tmp_path, text, **options):
    return sweep(*read(tmp_path, text), tmp_path / "out", **{"jobs": 1, **options})


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    return run(folder, COMPARED), folder


def test_variants_are_compared_in_the_arm_seed_by_seed(compared):
    result, folder = compared
    document = json.loads((folder / "out/experiment.json").read_text())
    assert (result.planned, result.finished) == (4, 4)
    first, second = document["rows"]
    for row in (first, second):
        own = json.loads((folder / "out/variants" / row["folder"] / "comparison.json").read_text())
        scores = [cell["arms"]["generated+traditional"]["test"]["accuracy"] for cell in own["cells"]]
        assert row["scores"] == pytest.approx(scores)
    [difference] = document["differences"]
    assert difference["deltas"] == pytest.approx(np.subtract(second["scores"], first["scores"]).tolist())
    assert difference["verdict"] == "too few seeds"
    assert difference["p"] is None
    assert document["by_validation"] is None
    assert "too few seeds for a verdict" in document["notes"][0]


@pytest.mark.parametrize("line", ["between: false\nvary: {arch.components: [4, 8]}", "variants: {only: {}}"])
def test_variants_that_are_not_compared_with_each_other_give_their_own_verdicts(tmp_path, line):
    text = BASE.replace("generated, generated+", "traditional, generated+") + line
    result = run(tmp_path, text)
    rows, headline = result.findings.rows, result.findings.headline
    assert result.findings.differences == ()
    assert all(row.verdict.startswith("No verdict: 2 seeds can show nothing") for row in rows)
    assert all("Underpowered: 2 seeds" in row.verdict for row in rows)
    short = "underpowered (generated+traditional - traditional, "
    assert headline == rows[0].verdict if len(rows) == 1 else headline.count(short) == len(rows)


@pytest.mark.parametrize(
    ("verdict", "error", "said"),
    [
        (values.INCONCLUSIVE, 0.01, "No number of seeds"),
        (values.INCONCLUSIVE, 1e-5, ""),
        (values.WORSE, 0.01, ""),
    ],
)
def test_a_variant_knows_where_its_test_images_are_too_few(tmp_path, monkeypatch, verdict, error, said):
    """What its comparison found is changed as it is read."""

    def read_changed(folder):
        found = storage.read_comparison(folder)
        judged = found.judgement
        first, *rest = judged.contrasts
        first = dataclasses.replace(first, verdict=verdict, image_error=error, margin=0.005)
        return dataclasses.replace(found, judgement=dataclasses.replace(judged, contrasts=(first, *rest)))

    monkeypatch.setattr("gangda.comparing.sweeps.settings.read_comparison", read_changed)
    text = BASE.replace("seeds: 2", "seeds: 1") + "between: false\nvary: {arch.components: [4, 8]}\n"
    for row in run(tmp_path, text).findings.rows:
        limit = row.too_few_images
        assert ("" if limit is None else limit.text[:18]) == said


def test_where_the_number_of_images_alone_varies_each_tested_difference_is_shown_over_it(tmp_path):
    text = BASE + "vary: {data.per_class: [16, 12]}\narm: generated\n"
    text = text.replace("real, generated, generated+traditional", "real, generated")
    rows = run(tmp_path, text.replace("seeds: 2", "seeds: 1")).findings.rows
    assert [(row.per_class, [one.name for one in row.contrasts]) for row in rows] == [
        (16, ["generated - real"]),
        (12, ["generated - real"]),
    ]
    for row in rows:
        generated, real = (
            next(arm for arm in row.arms if arm.name == name) for name in ("generated", "real")
        )
        assert row.contrasts[0].mean == pytest.approx(generated.mean - real.mean)
    page = (tmp_path / "out/report.html").read_text()
    assert '<section id="gains"' in page
    assert page.count("<caption>") == page.count("<table>")


def test_scores_of_arms_stand_under_their_own_names(tmp_path):
    text = BASE.replace("seeds: 2", "seeds: 1") + "arm: generated\n"
    found = run(tmp_path, text + "vary: {compare.arms: [[real, generated], [traditional, generated]]}\n")
    page = (tmp_path / "out/report.html").read_text()
    table = page[page.index("<caption>Each arm's score") :]
    names = re.findall(r'<th scope="col">(.*?)</th>', table)[1:]
    assert names == ["real", "generated", "traditional"]
    shown = re.findall(r'<tr><th scope="row">.*?</tr>', table)
    for row, line in zip(found.findings.rows, shown, strict=True):
        means = {arm.name: f"{100 * arm.mean:.2f}" for arm in row.arms}
        assert re.findall(r"<td>(.*?)</td>", line) == [means.get(name, "-") for name in names]


def test_the_report_is_one_page_that_says_so(compared):
    page = (compared[1] / "out/report.html").read_text()
    assert "A &lt;title&gt;" in page
    assert "A <title>" not in page
    assert "too few seeds" in page
    assert page.count("<svg") == 2
    assert not re.search(r'(src|href)="(https?:)?//', page)
    for variant in ("components=4", "components=8"):
        assert variant in page
    assert page.count("<caption>") == page.count("<table>") == 3
    anchors = re.findall(r'<li><a href="#(\w+)">', page)
    assert anchors == re.findall(r'<section id="(\w+)"', page) == ["variants", "differences", "found"]


def test_the_same_again_runs_nothing(compared, monkeypatch):
    _, folder = compared
    monkeypatch.setattr("gangda.comparing.run_cells", lambda *_: pytest.fail("ran a cell again"))
    assert run(folder, COMPARED).finished == 4


def test_scores_of_every_seed(tmp_path):
    result = run(tmp_path, SCORED)
    document = json.loads((tmp_path / "out/experiment.json").read_text())
    row = document["rows"][0]
    assert set(row["figures"]) == {"gan_test", "fid"}
    assert 0.2 < row["mean"] <= 1
    assert len(row["scores"]) == 2
    files = (tmp_path / "out/variants" / row["folder"] / "scores").iterdir()
    floors = [json.loads(file.read_text())["values"]["gan_test"]["floor"] for file in files]
    assert all(0.5 < floor <= 1 for floor in floors)
    assert row["floors"]["gan_test"] == pytest.approx(np.mean(floors))
    assert result.findings.direction == "target"
    assert result.finished == result.planned == 4
    page = (tmp_path / "out/report.html").read_text()
    assert "components=8" in page
    assert "on validation images" in page
    assert "; chosen on validation images)" in result.findings.headline
    for row in result.findings.rows:
        files = (tmp_path / "out/variants" / row.folder / "scores").iterdir()
        choices = [json.loads(file.read_text())["values"]["gan_test on validation images"] for file in files]
        assert row.validation == pytest.approx(np.mean([choice["value"] for choice in choices]))
        assert {choice["n_real"] for choice in choices} <= {10, 20}


@pytest.mark.parametrize("text", [COMPARED, SCORED])
def test_a_dry_run_says_what_each_variant_takes(tmp_path, text):
    found = run(tmp_path, text, dry_run=True).as_dict()
    assert list(found["costs"]) == found["variants"]
    for cost in found["costs"].values():
        assert 0 < cost["cell_seconds"] <= cost["left_seconds"] <= 2 * cost["cell_seconds"]
        assert cost["memory_bytes"] > 0
    planned = run(tmp_path, text, part=Part(only="plan"))
    assert planned.cell_seconds == max(cost.cell_seconds for cost in planned.costs.values())
    assert planned.cell_memory > 0
    run(tmp_path, text)
    again = run(tmp_path, text, dry_run=True).as_dict()
    assert {cost["left_seconds"] for cost in again["costs"].values()} == {0}
    assert "costs" not in run(tmp_path, text).as_dict()


@pytest.mark.parametrize("text", [COMPARED, SCORED])
def test_a_run_says_once_what_all_variants_take(tmp_path, text):
    reporter, lines = Reporter(), []
    reporter.shown, reporter.line = True, lines.append
    for _ in range(2):  # the second time nothing is left
        run(tmp_path, text.replace("seeds: 2", "seeds: 1"), reporter=reporter)
    [said] = [line for line in lines if "on this machine" in line]
    assert said.startswith("all variants, one after the other: about ")


@pytest.mark.parametrize("text", [COMPARED, SCORED])
def test_with_other_threads_it_goes_on_with_its_own(tmp_path, text):
    run(tmp_path, text, part=Part(cell=0))
    reporter, lines = Reporter(), []
    reporter.line = lines.append
    other = text.replace("threads: 1", "threads: 2")
    found = run(tmp_path, other, part=Part(cell=3), reporter=reporter)
    assert found.finished == 2
    assert any("goes on with --threads 1" in line for line in lines)
    assert run(tmp_path, text, dry_run=True).finished == 2


@pytest.mark.parametrize("text", [COMPARED, SCORED])
def test_a_plan_has_every_variants_cells_and_is_judged_elsewhere(tmp_path, text):
    there = text.replace("device: cpu", "device: cuda")
    run(tmp_path, there, part=Part(only="plan"))
    assert [cell.state for cell in plan_status(tmp_path / "out")] == ["missing"] * 4
    with pytest.raises(IncompleteError, match=r"'components=8' lacks cells 2, 3"):
        run(tmp_path, text, part=Part(only="judge"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize("part", [WHOLE, Part(cell=0)])
def test_where_the_device_is_not_here_nothing_is_written(tmp_path, part):
    with pytest.raises(UsageError, match="no such CUDA device"):
        run(tmp_path, COMPARED.replace("device: cpu", "device: cuda"), part=part)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize("text", [COMPARED, SCORED])
def test_a_finished_cell_needs_no_device(tmp_path, text, monkeypatch):
    there = text.replace("seeds: 2", "seeds: 1").replace("device: cpu", "device: cuda")
    with monkeypatch.context() as patched:
        for module in ("runtime.device", "comparing", "comparing.sweeps"):
            patched.setattr(f"gangda.{module}.pick_device", lambda *_: torch.device("cpu"))
        run(tmp_path, there, part=Part(cell=0))
    assert run(tmp_path, there, part=Part(cell=0)).finished == 1
    with pytest.raises(UsageError, match="no such CUDA device"):
        run(tmp_path, there, part=Part(cell="0-1"))


def test_a_variants_damaged_plan_is_refused_by_name(tmp_path):
    run(tmp_path, COMPARED, part=Part(only="plan"))
    path = tmp_path / "out/variants/00-components-4/plan.json"
    plan = json.loads(path.read_text())
    path.write_text(json.dumps({**plan, "fixed": {**plan["fixed"], "runtime": 1}}))
    with pytest.raises(RunError, match=r"00-components-4: its plan has "):
        run(tmp_path, COMPARED, part=Part(only="judge"))


def test_what_is_seen_in_the_data_is_said_once(tmp_path):
    reporter, lines = Reporter(), []
    reporter.line = lines.append
    for part in (Part(only="plan"), Part(cell=3)):
        run(tmp_path, COMPARED, part=part, reporter=reporter)
    assert sum("10 classes" in line for line in lines) == 1


@pytest.mark.parametrize("text", [COMPARED, SCORED])
def test_cells_of_another_device_are_judged_here_but_none_is_run(tmp_path, text, monkeypatch):
    text = text.replace("seeds: 2", "seeds: 1")
    there = text.replace("device: cpu, precision: fp32", "device: cuda, precision: bf16")
    with monkeypatch.context() as patched:  # the CPU, under the other's name
        patched.setattr("gangda.runtime.device.pick_device", lambda *_: torch.device("cpu"))
        patched.setattr("gangda.comparing.pick_device", lambda *_: torch.device("cpu"))
        patched.setattr("gangda.comparing.sweeps.pick_device", lambda *_: torch.device("cpu"))
        run(tmp_path, there)
    files = [file for file in (tmp_path / "out").rglob("*") if file.name in ("plan.json", "config.yaml")]
    before = {file: file.read_bytes() for file in files}
    with pytest.raises(RunError, match=r"its plan has runtime\.device = cuda, this command has cpu"):
        run(tmp_path, text)
    result = run(tmp_path, text, part=Part(only="judge"))
    assert (result.finished, result.runtime.device) == (2, "cuda")
    assert {file: file.read_bytes() for file in files} == before


@pytest.mark.parametrize("text", [COMPARED, SCORED])
def test_cell_by_cell_and_what_is_missing(tmp_path, text):
    assert run(tmp_path, text, dry_run=True).finished == 0
    assert not (tmp_path / "out").exists()
    assert run(tmp_path, text, part=Part(cell=3)).finished == 1
    with pytest.raises(
        IncompleteError, match=r"'components=4' lacks cells 0, 1; 'components=8' lacks cells 2"
    ):
        run(tmp_path, text, part=Part(only="judge"))
    with pytest.raises(UsageError, match="cells 0 to 3"):
        run(tmp_path, text, part=Part(cell=4))


@pytest.mark.parametrize("text", [COMPARED, SCORED])
def test_cell_by_cell_to_the_end_and_on(tmp_path, text):
    """Then more seeds in the same way: what was found of the first ones is not taken for all."""
    for seeds in (1, 2):
        more = text.replace("seeds: 2", f"seeds: {seeds}")
        for cell in range(2 * seeds):
            run(tmp_path, more, part=Part(cell=cell))
        result = run(tmp_path, more, part=Part(only="judge"))
        assert result.finished == result.planned == 2 * seeds
        for row in result.findings.rows:
            assert len(row.scores) == seeds
            assert all(len(arm.scores) == seeds for arm in row.arms)


@pytest.mark.parametrize("text", [COMPARED, SCORED])
def test_added_seeds_are_in_the_plan_of_every_variant(tmp_path, text):
    fewer = text.replace("seeds: 2", "seeds: 1")
    for part in (Part(only="plan"), Part(cell=3)):
        run(tmp_path, fewer, part=Part(only="plan"))
        run(tmp_path, text, part=part)
        planned = plan_status(tmp_path / "out")
        assert [(cell.index, cell.seed) for cell in planned] == [(0, 0), (1, 1), (2, 0), (3, 1)]
        shutil.copytree(tmp_path / "out", tmp_path / "before", dirs_exist_ok=True)
        with pytest.raises(RunError, match="its plan has 2 seeds, this command 1; seeds can be added"):
            run(tmp_path, fewer.replace("[gan_test, fid]", "[gan_test]"), part=Part(only="plan"))
        plan = (tmp_path / "out/plan.json").read_bytes()
        assert plan == (tmp_path / "before/plan.json").read_bytes()
        shutil.rmtree(tmp_path / "out")
    assert planned[3].state == "finished"


@pytest.mark.parametrize("text", [COMPARED, SCORED])
def test_cells_without_versions_are_finished(tmp_path, text):
    run(tmp_path, text, part=Part(cell=0))
    for kind in ("cells", "scores"):
        for path in (tmp_path / "out").rglob(f"{kind}/*.json"):
            plain = read_hashed_json(path)
            del plain["versions"]
            write_hashed_json(path, plain)
    assert run(tmp_path, text, dry_run=True).finished == 1


def test_a_plan_that_was_cut_short_is_completed(tmp_path):
    run(tmp_path, COMPARED, part=Part(only="plan"))
    shutil.rmtree(tmp_path / "out/variants")
    run(tmp_path, COMPARED, part=Part(only="plan"))
    assert len(plan_status(tmp_path / "out")) == 4


def test_judging_leaves_the_metrics_of_the_plan(tmp_path):
    run(tmp_path, SCORED.replace("seeds: 2", "seeds: 1"))
    before = (tmp_path / "out/plan.json").read_bytes()
    fewer = SCORED.replace("seeds: 2", "seeds: 1").replace("[gan_test, fid]", "[gan_test]")
    run(tmp_path, fewer, part=Part(only="judge"))
    assert (tmp_path / "out/plan.json").read_bytes() == before


def test_a_cell_that_lacks_a_metric_asked_for_later_is_open(tmp_path):
    fewer = SCORED.replace(", fid", "").replace("seeds: 2", "seeds: 1")
    run(tmp_path, fewer)
    assert [cell.state for cell in plan_status(tmp_path / "out")] == ["finished"] * 2
    assert run(tmp_path, fewer.replace("[gan_test]", "[gan_test, fid]"), part=Part(cell=0)).finished == 1
    first, second = plan_status(tmp_path / "out")
    assert first.state == "finished"
    assert second.state in ("stopped", "missing")
    run(tmp_path, fewer)
    assert [cell.state for cell in plan_status(tmp_path / "out")] == ["finished"] * 2


def test_a_scored_cell_is_read_only_as_it_was_written(tmp_path):
    """Of a flipped digit nobody would know; the generator's model is still there, so that it is not trained again."""
    text = SCORED.replace("{name: pca, components: 4}", "{name: cdcgan, width: 4, d_width: 4}")
    text = text.replace("arch.components: [4, 8]", "recipe.batch_size: [4]").replace(", fid", "")
    text = text.replace("seeds: 2", "seeds: 1").replace("  runtime", "  budget: {steps: 2}\n  runtime")
    first = run(tmp_path, text).findings.rows[0]
    [variant] = (tmp_path / "out/variants").iterdir()
    [file] = (variant / "scores").iterdir()
    assert not list(variant.glob("work/*/gan/checkpoints"))
    whole = json.loads(file.read_text())
    assert whole["seed"] == 0
    file.write_text(json.dumps({**whole, "seed": 7}))
    with pytest.raises(IncompleteError, match="lacks cells 0"):
        run(tmp_path, text, part=Part(only="judge"))
    assert run(tmp_path, text).findings.rows[0].scores == first.scores


@pytest.mark.parametrize("text", [COMPARED, SCORED])
def test_images_that_changed_since_the_plan_are_refused(tmp_path, text):
    asked, configs = read(tmp_path, text)
    plan = MEASURES[asked.measure].plan_of(asked, configs["components=4"])
    plan = dataclasses.replace(plan, fingerprint="of other images")
    work = run_cell if text == COMPARED else functools.partial(run_score, metrics=asked.metrics)
    with pytest.raises(DataError, match=r"cell 0 \(seed 0\): digits has changed since the plan"):
        work(plan, plan.cells[0], tmp_path / "out", lambda *_: None)


@pytest.mark.parametrize(
    ("lacking", "note", "tested"),
    [
        ("components=8", "gan_test has no value in some seed of components=8: they are not tested.", ["16"]),
        ("components=4", "of components=4: no difference is tested.", []),
    ],
)
def test_a_metric_without_a_value_is_left_untested(tmp_path, monkeypatch, lacking, note, tested):
    real = Scored.value

    def value(self, result, figure):
        return None if lacking == self.name else real(self, result, figure)

    monkeypatch.setattr(Scored, "value", value)
    result = run(tmp_path, SCORED.replace("[4, 8]", "[4, 8, 16]").replace(", fid", ""))
    document = json.loads((tmp_path / "out/experiment.json").read_text())
    assert any(note in one for one in document["notes"])
    assert [d["name"].removeprefix("components=") for d in document["differences"]] == tested
    row = next(row for row in document["rows"] if row["name"] == lacking)
    assert (row["mean"], row["interval"], row["scores"]) == (None, None, [None, None])
    assert f"Best mean: {lacking}" not in result.findings.headline
    assert lacking in (tmp_path / "out/report.html").read_text()


@pytest.mark.parametrize(
    ("direction", "share", "best"),
    [("higher", True, "c, 90.00%"), ("lower", False, "a, 0.2000"), ("target", False, "b, 0.5000")],
)
def test_the_best_is_best_in_the_figures_own_direction(direction, share, best):
    means = {"a": 0.2, "b": 0.5, "c": 0.9, "none": float("nan")}
    rows = tuple(
        VariantRow(name, name, (mean,), mean, 0.0, None, {"x": mean}, (), floors={"x": 0.6})
        for name, mean in means.items()
    )
    assert best_of(Findings("x", direction, share, 0.05, rows, (), ())).startswith(f"Best mean: {best} (")
    assert "No variant can be called best" in best_of(Findings("x", direction, share, 0.05, rows[3:], (), ()))


@pytest.mark.parametrize(
    ("by_validation", "best"),
    [
        (True, "a, 0.2000 (higher is better; chosen on validation images)."),
        (False, "b, 0.5000 (higher is better; chosen on the images that it is reported of, so flattering)."),
        (None, "b, 0.5000 (higher is better)."),
    ],
)
def test_validation_images_choose_the_best_and_test_images_report_it(by_validation, best):
    rows = tuple(
        VariantRow(name, name, (mean,), mean, 0.0, None, {"x": mean}, (), validation=validation)
        for name, mean, validation in (("a", 0.2, 0.9), ("b", 0.5, 0.1))
    )
    found = Findings("x", "higher", False, 0.05, rows, (), (), by_validation=by_validation)
    assert best_of(found) == f"Best mean: {best}"


def test_without_validation_images_the_page_says_what_the_choice_was_made_on(tmp_path):
    text = SCORED.replace("per_class: 12}", "per_class: 12, validation: 0}").replace("seeds: 2", "seeds: 1")
    result = run(tmp_path, text)
    assert result.findings.by_validation is False
    assert {row.validation for row in result.findings.rows} == {None}
    assert "chosen on the images that it is reported of" in (tmp_path / "out/report.html").read_text()


def test_figures_of_the_samples_during_training_are_drawn(tmp_path):
    """At the steps that all seeds of a variant have."""
    seeds = tuple(
        ({"step": 10, "gan_test": level}, {"step": steps, "gan_test": level + 0.1, "distance": None})
        for level, steps in ((0.5, 20), (0.7, 30))
    )
    row = VariantRow("a", "00-a", (0.5,), 0.5, 0.0, None, {"fid": 0.5}, (), evaluations=seeds)
    findings = Findings("fid", "lower", False, 0.05, (row,), (), (), "It is found.")
    about = {**dict.fromkeys(("title", "origin", "question", "name"), "x"), "measure": "score", "seeds": 2}
    publish(tmp_path, {**about, "varied": [], "versions": {"machine": "here"}}, findings)
    page = (tmp_path / "report.html").read_text()
    assert '<section id="training"' in page
    figures = re.findall(r'<svg role="img" aria-label="[^"]*one line for each variant', page)
    assert len(figures) == 1  # nothing was evaluated for the others
    document = json.loads((tmp_path / "experiment.json").read_text())
    assert _means(document["rows"][0]["evaluations"], "gan_test") == pytest.approx({10: 0.6})


def test_fid_is_better_lower(tmp_path):
    result = run(tmp_path, SCORED.replace("[gan_test, fid]", "[fid]").replace("seeds: 2", "seeds: 1"))
    best = min(result.findings.rows, key=lambda row: row.validation)
    assert result.findings.headline.startswith(f"Best mean: {best.name}, {best.mean:.4f} (lower is better; ")
    assert "lower is better" in (tmp_path / "out/report.html").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("vary: {arch.components: [4, 8]}", "vary: {compare.seeds: [1, 2]}"), "different numbers of seeds"),
        (("[4, 8]}", "[4, 8]}\narm: traditional"), "none of real, generated"),
        (("arch.components: [4, 8]", "compare.replace: [[0.5], [0.7]]"), "--ratios and --replace exclude"),
        (("per_class: 12", "per_class: 1000"), "class"),
    ],
)
def test_what_cannot_run_is_refused_when_it_is_planned(tmp_path, change, message):
    text = COMPARED.replace("ratios: [1.0]", "ratios: [1.0, 2.0]").replace(*change)
    with pytest.raises(Exception, match=message) as error:
        run(tmp_path, text)
    assert error.type.__name__ in ("UsageError", "DataError")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "change",
    [("[4, 8]", "[4, 16]"), ("[4, 8]", "[8, 4]"), ("[4, 8]", "[4]"), ("vary", "arm: generated\nvary")],
)
def test_a_folder_of_another_experiment_is_refused(compared, tmp_path, change):
    _, folder = compared
    before = sorted(folder.rglob("*"))
    asked, configs = read(tmp_path, COMPARED.replace(*change))
    with pytest.raises(RunError, match=r"its plan has (variants|figure)") as error:
        sweep(asked, configs, folder / "out", jobs=1)
    assert "\n" not in str(error.value)
    asked, configs = read(tmp_path, COMPARED.replace("steps: 20", "steps: 30"))
    first = r"00-components-4: its plan has classifier\.classifier_steps = 20, this command has 30;"
    with pytest.raises(RunError, match=first):
        sweep(asked, configs, folder / "out", jobs=1)
    renamed = dataclasses.replace(read(tmp_path, COMPARED)[0], name="other")
    with pytest.raises(RunError, match="its plan has experiment = mine, this command has other"):
        sweep(renamed, read(tmp_path, COMPARED)[1], folder / "out", jobs=1)
    with pytest.raises(
        RunError, match="holds the plan of a comparison, not of an experiment; give the options"
    ):
        sweep(*read(tmp_path, COMPARED), folder / "out/variants/00-components-4", jobs=1)
    assert sorted(folder.rglob("*")) == before


def test_a_folder_of_others_is_left_alone(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="not an experiment's folder"):
        run(tmp_path, COMPARED)


def test_samples_without_a_class_are_scored_as_they_come(tmp_path, monkeypatch):
    """Two steps are a collapse: not a class of them may be there, and the variant must still get its figures."""
    short = functools.partial(added_images.fit_pseudo_labeler, config=ClassifierConfig(classifier_steps=20))
    monkeypatch.setattr(added_images, "fit_pseudo_labeler", short)
    text = SCORED.replace("arch: {name: pca, components: 4}", "arch: dcgan\n  budget: {steps: 2}")
    text = text.replace("vary: {arch.components: [4, 8]}", "vary: {recipe.lr: [0.0002]}")
    text = text.replace("[gan_test, fid]", "[fid]").replace("seeds: 2", "seeds: 1")
    run(tmp_path, text)
    [path] = (tmp_path / "out").rglob("scores/*.json")
    cell = json.loads(path.read_text())
    assert sum(cell["generator"]["samples"]["made"]) >= cell["n_train"]
    assert (
        min(cell["generator"]["samples"]["made"]) < 5
    )  # of some class hardly one, which is how it is scored
    assert json.loads((tmp_path / "out/experiment.json").read_text())["rows"][0]["mean"] > 0


def test_the_spread_of_cas_is_taken_apart(tmp_path):
    """Three classifiers for each of two generators; the first is the one that a single score would have had."""
    text = SCORED.replace("[gan_test, fid]", "[cas]").replace(
        "{arch.components: [4, 8]}", "{arch.components: [4]}"
    )
    text = text.replace("per_class: 12", "per_class: 8")
    single = run(tmp_path, text).findings.rows[0]
    again = sweep(*read(tmp_path, text + "repeats: 3\n"), tmp_path / "more", jobs=1).findings.rows[0]
    cells = [json.loads(path.read_text()) for path in (tmp_path / "more").rglob("scores/*.json")]
    cells.sort(key=lambda cell: cell["seed"])
    assert [len(set(cell["repeats"])) > 1 for cell in cells] == [True, True]
    assert [cell["repeats"][0] for cell in cells] == pytest.approx(single.scores)
    assert again.scores == pytest.approx([np.mean(cell["repeats"]) for cell in cells])
    spread = again.spread
    assert (spread.groups, spread.repeats) == (2, 3)
    assert spread.within == pytest.approx(
        np.sqrt(np.mean([np.var(cell["repeats"], ddof=1) for cell in cells]))
    )
    assert single.spread is None
    page = (tmp_path / "more/report.html").read_text()
    assert "Where the spread comes from" in page
    assert page.count("<caption>") == page.count("<table>") == 2
    with pytest.raises(RunError, match="its plan has repeats = 3, this command has 1"):
        sweep(*read(tmp_path, text), tmp_path / "more", jobs=1)


@pytest.mark.parametrize("line", ["repeats: 0", "repeats: true", "repeats: 101", "repeats: 2"])
def test_repeats_that_cannot_be_are_refused(tmp_path, line):
    with pytest.raises(UsageError, match="repeats"):
        read(tmp_path, SCORED + line + "\n")


@pytest.fixture
def twins(tmp_path):
    """Images of which a third are there twice."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "set.npz", images=np.concatenate([pixels, pixels[:20]]), labels=np.arange(60) % 2)
    return tmp_path / "set.npz"


def test_alarms_about_the_data_are_said_and_kept(tmp_path, twins):
    text = COMPARED.replace("{source: digits, per_class: 12}", f"{{source: {twins}}}")
    lines = []
    reporter = Reporter()
    reporter.line = lines.append
    found = run(tmp_path, text, dry_run=True, reporter=reporter)
    (alarm,) = found.about["data_alarms"]
    assert alarm.startswith("20 of 60 images are identical to another")
    assert lines == [alarm]


def test_an_alarm_of_all_variants_is_said_once(tmp_path, twins):
    """On the terminal, on the experiment's page and in its JSON; each variant's own page has it too."""
    text = COMPARED.replace("{source: digits, per_class: 12}", f"{{source: {twins}}}")
    lines = []
    reporter = Reporter()
    reporter.line = lines.append
    found = run(tmp_path, text, reporter=reporter)
    said = "20 of 60 images are identical"
    assert [said in line for line in lines].count(True) == 1
    assert [said in note for note in found.findings.notes].count(True) == 1
    assert not any(said in note for row in found.findings.rows for note in row.notes)
    assert (tmp_path / "out/report.html").read_text().count(said) == 1
    for row in found.findings.rows:
        assert said in (tmp_path / "out" / row.report).read_text()


def test_an_alarm_of_some_variants_names_them(tmp_path, twins):
    clean = tmp_path / "clean.npz"
    with np.load(twins) as stored:
        np.savez(clean, images=stored["images"][:40], labels=stored["labels"][:40])
    text = COMPARED.replace("{source: digits, per_class: 12}", "{}")
    text = text.replace(
        "arch.components: [4, 8]", f"data.source: ['{clean}', '{twins}'], arch.components: [4, 8]"
    )
    found = run(tmp_path, text, dry_run=True)
    [alarm] = found.about["data_alarms"]
    assert alarm.startswith(f"{'; '.join(found.about['variants'][2:])}: 20 of 60 images are identical")
