"""Exchange rates and blocks of real images inside a comparison: which arms make the curve, and what is kept apart."""

import dataclasses
import json

import numpy as np
import pytest
from fake_experiment import cell_values, change_arm, plan_for

from gangda import experiments
from gangda.comparing import collect, compare, planned
from gangda.comparing.added_images import AddedImages
from gangda.comparing.arm_sets import ratios_of
from gangda.comparing.cells import splits_of
from gangda.comparing.storage import read_comparison, write_cell
from gangda.comparing.sweeps import sweep
from gangda.config import resolve
from gangda.config.schema import ClassifierConfig, CompareConfig, ComparisonConfig, DataConfig, Runtime
from gangda.errors import UsageError
from gangda.runtime.device import prepare

ARMS = ("real", "traditional", "held-back:0.5", "held-back:1", "held-back+traditional:1", "generated",
        "generated+traditional", "copies")  # fmt: skip
MEANS = {"real": 0.80, "held-back:0.5": 0.82, "held-back:1": 0.84, "traditional": 0.82, "copies": 0.80,
         "held-back+traditional:1": 0.86, "generated": 0.83, "generated+traditional": 0.81}  # fmt: skip
EXTRA = {"held-back:0.5": 200, "held-back:1": 400, "held-back+traditional:1": 400}


def with_extra(values):
    more = {
        name: dataclasses.replace(values.arms[name], n_train=400 + extra, n_generated=extra)
        for name, extra in EXTRA.items()
    }
    return dataclasses.replace(values, arms={**values.arms, **more})


def finish(plan, out):
    for cell in plan.cells:
        values = cell_values(plan, cell, MEANS, 0.8, 0.002, 4000)
        write_cell(out, cell, with_extra(values))


def test_arms_are_read_off_the_curve_of_their_own_way(tmp_path):
    plan = plan_for(tmp_path, arms=ARMS)
    finish(plan, tmp_path)
    result = collect(plan, tmp_path)
    document = json.loads((tmp_path / "comparison.json").read_text())
    plain, changed = document["analyses"]["exchange_rate"]["curves"]
    assert plain["arms"] == ["real", "held-back:0.5", "held-back:1"]
    assert plain["sizes"] == [400, 600, 800]
    assert changed["arms"] == ["traditional", "held-back+traditional:1"]
    generated, both = (one.rate for one in result.analyses["exchange_rate"].worth)
    assert (generated.name, both.name) == ("generated", "generated+traditional")
    assert 200 < generated.extra < 400
    assert generated.per_thousand == pytest.approx(2.5 * generated.extra)
    assert both.extra == -np.inf
    assert document["analyses"]["exchange_rate"]["worth"][1]["rate"]["extra"] == "-inf"
    assert read_comparison(tmp_path).analyses["exchange_rate"] == result.analyses["exchange_rate"]
    page = (tmp_path / "report.html").read_text()
    assert "What added images are worth" in page
    assert generated.sentence in page
    assert "<td>less than 0</td>" in page
    # Points of a curve are no test of the judge, and copies are read off nothing.
    assert [row["arm"] for row in document["analyses"]["calibration"]["rows"]] == ["copies"]


def test_without_the_real_images_alone_there_is_nothing_to_count_from(tmp_path):
    plan = plan_for(tmp_path, arms=tuple(arm for arm in ARMS if arm != "real"))
    finish(plan, tmp_path)
    result = collect(plan, tmp_path)
    assert result.analyses["exchange_rate"].curves == ()
    assert any("give the arm real too" in note for note in result.notes)


def test_nothing_is_read_off_real_images_that_do_not_help(tmp_path):
    plan = plan_for(tmp_path, arms=ARMS)
    for cell in plan.cells:
        falling = {**MEANS, "held-back:0.5": 0.78, "held-back:1": 0.76}
        values = cell_values(plan, cell, falling, 0.8, 0.002, 4000)
        write_cell(tmp_path, cell, with_extra(values))
    found = collect(plan, tmp_path).analyses["exchange_rate"]
    assert [one.rate.name for one in found.worth] == ["generated+traditional"]
    flat = "No exchange rate beside real: more real images did not do better here."
    assert found.sentences[-1] == flat
    assert flat in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("change", [{"generated_weight": 0.5}, {"recalibrate": True}])
def test_a_setting_that_weighs_added_images_leaves_no_curve(tmp_path, change):
    plan = plan_for(tmp_path, arms=ARMS, **change)
    finish(plan, tmp_path)
    result = collect(plan, tmp_path)
    assert result.analyses["exchange_rate"].curves == ()
    flag = "--" + next(iter(change)).replace("_", "-")
    assert any(note.startswith(f"No exchange rate: {flag}") for note in result.notes)


def test_an_arm_of_several_sizes_is_no_point_of_a_curve(tmp_path):
    plan = plan_for(tmp_path, arms=ARMS)
    finish(plan, tmp_path)
    for cell in plan.cells:
        for name in EXTRA:
            ratio = 2.0 if cell.index == 0 or name == "held-back:1" else 0.5
            change_arm(tmp_path, cell, name, ratio=ratio)
    [plain] = collect(plan, tmp_path).analyses["exchange_rate"].curves
    assert plain.arms == ("real", "held-back:1")


def test_points_of_a_curve_are_not_chosen():
    compare = CompareConfig(ratios=(0.5, 2.0, 1.0))
    names = ("held-back", "held-back+traditional", "held-back+traditional:0.5", "other-real", "generated")
    assert [ratios_of(compare, name) for name in names] == [(2.0,), (2.0,), (0.5,), (2.0,), (0.5, 1.0, 2.0)]


def test_without_more_real_images_nothing_is_said(tmp_path):
    plan = plan_for(tmp_path)
    for cell in plan.cells:
        write_cell(tmp_path, cell, cell_values(plan, cell, {**MEANS, "generated": 0.8}, 0.8, 0.002, 400))
    result = collect(plan, tmp_path)
    assert "exchange_rate" not in result.analyses
    assert not any("exchange" in note for note in result.notes)
    assert 'id="exchange"' not in (tmp_path / "report.html").read_text()


def test_an_experiment_tells_it_of_every_variant(tmp_path):
    text = """
kind: experiment
title: A title
question: How many?
between: false
arm: generated
base:
  arch: {name: pca}
  classifier: {classifier_steps: 2}
  compare: {seeds: 1, arms: [real, 'held-back:0.5', generated]}
  runtime: {device: cpu, precision: fp32, threads: 1}
vary: {data.per_class: [8, 6]}
"""
    (tmp_path / "mine.yaml").write_text(text)
    asked = experiments.read(str(tmp_path / "mine.yaml"))
    configs = {
        name: resolve.resolve({}, {}, (name, sections)).pick(ComparisonConfig)
        for name, sections in asked.variants.items()
    }
    rows = sweep(asked, configs, tmp_path / "out", jobs=1).findings.rows
    page = (tmp_path / "out/report.html").read_text()
    for row in rows:
        [sentence] = row.worth
        assert sentence.startswith(
            ("generated: its ", "No exchange rate beside real: more real images did not")
        )
        assert sentence in page


def config(arms, per_class=10, **changes):
    return ComparisonConfig(
        data=DataConfig(source="digits", per_class=per_class),
        arch="pca",
        spec=resolve.resolve({}, {}, ("test", {"arch": {"name": "pca"}})).pick(ComparisonConfig).spec,
        classifier=ClassifierConfig(classifier_steps=3),
        compare=CompareConfig(**{"seeds": 2, "arms": arms, **changes}),
        runtime=Runtime(device="cpu", precision="fp32", threads=1),
    )


def test_an_arms_own_ratio_is_that_arms_alone(tmp_path):
    arms = ("real", "held-back:0.5", "held-back", "held-back:3", "generated", "generated:2", "other-real")
    result = compare(config(arms, seeds=1), tmp_path / "out", jobs=1)
    sizes = {row.name: round(row.n_train) for row in result.comparison.arms}
    real = sizes["real"]
    assert real == 90  # nine of ten to train on
    assert sizes == {
        "real": real, "held-back:0.5": real + 50, "held-back": 2 * real, "held-back:3": 4 * real,
        "generated": 2 * real, "generated:2": 3 * real, "other-real": real,
    }  # fmt: skip
    document = json.loads((tmp_path / "out/comparison.json").read_text())
    assert document["analyses"]["exchange_rate"]["curves"][0]["sizes"] == [90, 140, 180, 360]
    assert [one["rate"]["added"] for one in document["analyses"]["exchange_rate"]["worth"]] == [90, 180]
    assert all(one["rate"]["interval"] is None for one in document["analyses"]["exchange_rate"]["worth"])


def test_held_back_images_are_nobody_elses(tmp_path):
    """Neither the subset, nor its validation images, nor the test images; smaller ratios lie inside larger ones."""
    plan = planned(config(("real", "held-back:0.5", "held-back:2", "other-real")), None)
    for cell in plan.cells:
        splits = splits_of(plan, cell)
        pools = AddedImages(plan, cell, splits, prepare(plan.config.runtime), tmp_path, lambda *_: None)
        pool = pools.of("held back")
        assert (pool.counts() >= 2 * splits.train.counts()).all()
        seen = {image.tobytes() for image in pool.pixels}
        for images in (splits.train, splits.validation, splits.test):
            twins = [image for image in images.pixels if image.tobytes() in seen]
            assert len(twins) == 0


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ("held-back:x", "'x' is not a ratio"),
        ("held-back:0", "'0' is not a ratio"),
        ("held-back:inf", "'inf' is not a ratio"),
        ("held-back:", "'' is not a ratio"),
        ("real:2", "real adds no images; leave out :2"),
        ("generated-only:2", "adds no images"),
        ("held-back:40", "images outside the subset"),
    ],
)
def test_a_ratio_that_cannot_be_is_refused(arm, message):
    with pytest.raises(UsageError, match=message):
        planned(config(("real", arm)), None)


def test_other_real_images_are_asked_for_by_the_arms_that_add_them_alone():
    """62 of a class are outside a subset of 80: enough for a quarter of it more, whatever the other arms add."""
    few = config(("real", "held-back:0.25", "generated"), per_class=80, ratios=(2.0,))
    assert planned(few, None).cells
    for arms, change, cause in (
        (("real", "other-real", "held-back:0.25"), {}, "--arms other-real: .*; give a smaller --per-class$"),
        (("real", "held-back:0.25", "held-back:1"), {}, "--arms held-back:1: .*--per-class or ratio$"),
        (
            ("real", "held-back:0.25"),
            {"synthetic_passes": 5},
            "--arms held-back:0.25: .*--per-class, ratio or --synthetic-passes$",
        ),
    ):
        with pytest.raises(UsageError, match=cause):
            planned(config(arms, per_class=80, **change), None)


def test_real_images_are_held_back_from_a_subset_only():
    whole = config(("real", "other-real"))
    whole = dataclasses.replace(whole, data=DataConfig(source="digits"))
    with pytest.raises(UsageError, match="--arms other-real: nothing is held back; give --per-class"):
        planned(whole, None)


def test_the_shipped_experiment_measures_it_at_several_sizes():
    asked = experiments.read("exchange-rate")
    sizes = [sections["data"]["per_class"] for sections in asked.variants.values()]
    assert len(sizes) >= 3
    for layer in asked.variants.items():
        arms = resolve.resolve({}, {}, layer).pick(ComparisonConfig).compare.arms
        assert {"real", "traditional", "generated", "generated+traditional"} <= set(arms)
        assert sum(arm.startswith("held-back:") for arm in arms) >= 3
        assert sum(arm.startswith("held-back+traditional:") for arm in arms) >= 3


def test_arms_of_different_blocks_are_paired_by_seed(tmp_path):
    """The plumbing of an A/A comparison: two blocks of real images in every seed, and a test between them."""
    blocks = config(("real", "other-real"), seeds=3, contrast=("other-real - real",))
    compare(blocks, tmp_path / "out", jobs=1)
    document = json.loads((tmp_path / "out/comparison.json").read_text())
    [contrast] = document["judgement"]["contrasts"]
    assert contrast["name"] == "other-real - real"
    assert len(contrast["deltas"]) == 3
    scores = {arm["name"]: np.array(arm["scores"]) for arm in document["judgement"]["arms"]}
    assert contrast["deltas"] == pytest.approx(scores["other-real"] - scores["real"])
    fitted = [
        {cell["arms"][arm]["classifier"] for arm in ("real", "other-real")} for cell in document["cells"]
    ]
    assert all(len(pair) == 2 for pair in fitted)  # not the same images twice
