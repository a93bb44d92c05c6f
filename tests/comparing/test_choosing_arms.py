"""Filters and shares of classes that the arms of a comparison choose on each seed's validation images."""

import base64
import dataclasses
import json
import sys

import numpy as np
import pytest

from gangda import comparing, experiments
from gangda.classifying.evaluation import evaluate_predictions
from gangda.comparing import arm_evaluator
from gangda.comparing.added_images import SOURCES, AddedImages
from gangda.comparing.arm_sets import choices_of, fixed_filters
from gangda.comparing.plan import make_plan
from gangda.comparing.sweeps.scored import Scored
from gangda.config.architectures import PcaSpec
from gangda.config.schema import (
    Budget,
    ClassifierConfig,
    CompareConfig,
    ComparisonConfig,
    DataConfig,
    Runtime,
)
from gangda.data.loading import load_splits
from gangda.errors import DataError, FilterError, OutcomeError, RunError, UsageError
from gangda.runtime.device import prepare
from gangda.runtime.plain import to_plain

DRAWS_FIGURES = True


def experiment(data=DataConfig(per_class=12), **compare):  # noqa: B008  (frozen)
    return ComparisonConfig(
        data=data,
        arch="pca",
        spec=PcaSpec(components=8),
        budget=Budget(steps=1),
        classifier=ClassifierConfig(classifier="logistic", classifier_steps=8),
        compare=CompareConfig(**{"seeds": 1, **compare}),
        runtime=Runtime(device="cpu", precision="fp32", threads=1),
    )


def pools_of(config, work):
    splits = load_splits(config.data, 0)
    plan = make_plan(config, splits.fingerprint, None, None)
    context = prepare(plan.config.runtime)
    return AddedImages(plan, plan.cells[0], splits, context, work, lambda share, info: None)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("experiments") / "exp"
    arms = ("real", "generated", "generated-by-recall", "wrong-range")
    config = experiment(arms=arms, ratios=(0.0, 1.0), filter=("auto", "duplicates"))
    result = comparing.compare(config, out, jobs=1)
    [cell] = json.loads((out / "comparison.json").read_text())["cells"]
    return result, out, cell


def test_ratio_and_filter_are_chosen_together(finished):
    _, _, cell = finished
    for name in ("generated", "generated-by-recall"):
        arm = cell["arms"][name]
        rows = [(row["ratio"], row["filters"]) for row in arm["candidates"]]
        assert rows == [(0.0, []), (1.0, []), (1.0, ["duplicates"])]
        scores = [row["validation"] for row in arm["candidates"]]
        chosen = arm["candidates"][int(np.argmax(scores))]
        assert (arm["ratio"], arm["filters"]) == (chosen["ratio"], chosen["filters"])
        assert arm["validation_accuracy"] == max(scores)
    assert [row["filters"] for row in cell["arms"]["wrong-range"]["candidates"]] == [[], []]


def test_every_filter_tells_its_acceptance_and_shows_what_it_rejected(finished):
    result, out, cell = finished
    made = cell["generators"]["pca"]
    assert made["samples"]["filtering"] == {}
    assert set(made["filtered"]) == {"duplicates"}
    shares = made["filtered"]["duplicates"]["filtering"]
    assert list(shares) == cell["class_names"]
    [table] = result.comparison.filters
    assert (table.generator, table.filters) == ("pca", "duplicates")
    assert to_plain(table.classes) == shares
    [published] = (out / "cells").iterdir()
    [sheet] = json.loads(published.read_text())["pictures"]["filtered"]
    assert base64.b64decode(sheet["png"]).startswith(b"\x89PNG")
    page = (out / "report.html").read_text()
    assert 'id="filters"' in page
    assert "rejected by duplicates" in page
    assert sheet["png"] in page
    assert "generated, duplicates" in page, "a line of its own in the figure of ratios"


def test_without_a_choice_a_cell_says_nothing_of_filters(tmp_path):
    config = experiment(arms=("real", "generated"))
    comparing.compare(config, tmp_path / "exp", jobs=1)
    [cell] = json.loads((tmp_path / "exp/comparison.json").read_text())["cells"]
    assert cell["arms"]["generated"]["candidates"][0]["filters"] == []
    assert cell["arms"]["generated"]["filters"] == []
    assert cell["generators"]["pca"]["filtered"] == {}
    assert 'id="filters"' not in (tmp_path / "exp/report.html").read_text()


def judge_as(monkeypatch, wrong):
    """All images right but those of one class."""

    def evaluate(fitted, images, train=None):
        said = np.where(images.labels == wrong, (wrong + 1) % 10, images.labels)
        return evaluate_predictions(images.labels, said, 10)

    monkeypatch.setattr(arm_evaluator, "evaluate", evaluate)


def test_classes_recalled_worse_get_more_of_the_same_total(tmp_path, monkeypatch):
    judge_as(monkeypatch, wrong=3)
    config = experiment(DataConfig(per_class=20, validation=0.2), arms=("real", "generated-by-recall"))
    pools = pools_of(config, tmp_path)
    cell = arm_evaluator.ArmEvaluator(config, 0, pools.splits, pools, pools.context, pools.progress)
    found = cell.run("generated-by-recall")
    real = pools.splits.train.counts()
    assert real.tolist() == [16] * 10
    # Of 4 validation images: rates 5/6 and nine times 1/6, so quotas of 57.14 and nine times 11.43.
    assert found.added_per_class == (12, 12, 12, 57, 12, 11, 11, 11, 11, 11)
    assert found.n_generated == 160
    images = cell._images(cell._chosen["generated-by-recall"])
    pool = pools.of("generator")
    for label in (0, 3):
        added = images.pixels[(images.labels == label) & (images.origin != 0)]
        same = min(len(added), int((pool.labels == label).sum()))
        assert np.array_equal(added[:same], pool.pixels[pool.labels == label][:same])


def test_a_filter_that_lets_too_little_pass_is_no_candidate_and_no_failure(tmp_path, monkeypatch):
    judge_as(monkeypatch, wrong=3)
    config = experiment(arms=("real", "generated"), filter=("auto", "duplicates"))
    pools = pools_of(config, tmp_path)
    draw = pools.of

    def of(added, arch=None, filters=None):
        if filters:
            raise FilterError("only 1 of 64 samples pass")
        return draw(added, arch, filters)

    monkeypatch.setattr(pools, "of", of)
    cell = arm_evaluator.ArmEvaluator(config, 0, pools.splits, pools, pools.context, pools.progress)
    found = cell.run("generated")
    assert found.filters == ()
    assert found.candidates[1].validation is None
    assert found.candidates[1].reason == "only 1 of 64 samples pass"
    fixed = experiment(arms=("real", "generated"), filter=("duplicates",))
    asked = arm_evaluator.ArmEvaluator(fixed, 0, pools.splits, pools, pools.context, pools.progress)
    with pytest.raises(FilterError, match="only 1 of 64"):
        asked.run("generated")


def test_filters_that_let_too_little_pass_are_tried_once_for_each_generator(tmp_path, monkeypatch):
    asked = []

    def source(pools, arch, filters):
        asked.append((arch, filters))
        raise FilterError("only 1 of 64 samples pass")

    pools = pools_of(experiment(), tmp_path)
    monkeypatch.setitem(SOURCES, "generator", source)
    for filters in (("duplicates",), ("duplicates",), ("agreement",)):
        with pytest.raises(FilterError, match="only 1 of 64"):
            pools.of("generator", None, filters)
    assert asked == [("pca", ("duplicates",)), ("pca", ("agreement",))]


@pytest.mark.parametrize("error", [DataError, RunError, OutcomeError])
def test_what_goes_wrong_behind_a_filter_is_not_taken_for_its_strictness(tmp_path, monkeypatch, error):
    """A classifier that diverges on filtered images, or a file that cannot be read, must not choose another filter."""
    judge_as(monkeypatch, wrong=3)
    config = experiment(arms=("real", "generated"), filter=("auto", "duplicates"))
    pools = pools_of(config, tmp_path)
    cell = arm_evaluator.ArmEvaluator(config, 0, pools.splits, pools, pools.context, pools.progress)
    cell.run("real")
    images, fit = [], arm_evaluator.fit_classifier

    def failing(train, *args, **kwargs):
        images.append(train)
        if len(images) == 2:
            raise error("something cannot be read")
        return fit(train, *args, **kwargs)

    monkeypatch.setattr(arm_evaluator, "fit_classifier", failing)
    with pytest.raises(error, match="cannot be read"):
        cell.run("generated")
    assert len(images) == 2, "without a filter, then behind one"


def test_a_filter_is_no_choice_where_a_class_has_too_few_images(tmp_path):
    counts = DataConfig(class_counts=(12,) * 9 + (2,), validation=0.5)
    config = experiment(counts, arms=("real", "generated"), filter=("auto",))
    pools = pools_of(config, tmp_path)
    cell = arm_evaluator.ArmEvaluator(config, 0, pools.splits, pools, pools.context, pools.progress)
    assert [one.filters for one in cell._candidates("generated")] == [(), ("duplicates",)]
    fixed = experiment(counts, arms=("real", "generated"), filter=("agreement",))
    with pytest.raises(UsageError, match="the smallest class has 1 training image; it takes two"):
        comparing.compare(fixed, tmp_path / "exp", dry_run=True)


def test_what_arms_choose_from():
    auto = experiment(arms=("real", "generated"), filter=("auto",))
    arm = arm_evaluator.parse_arm("generated")[0]
    assert choices_of(auto, arm, None, 10) == ((), ("agreement",), ("duplicates",))
    assert choices_of(auto, arm, "acgan", 10) == ((), ("agreement",), ("discriminator",), ("duplicates",))
    assert choices_of(auto, arm_evaluator.parse_arm("smote")[0], None, 10) == ((),)
    assert fixed_filters(auto.compare) == ()
    named = experiment(arms=("real", "generated"), filter=("duplicates", "agreement"))
    assert choices_of(named, arm, None, 10) == (("agreement", "duplicates"),)


@pytest.mark.parametrize(
    ("change", "compare", "said"),
    [
        ({"validation": 0.0}, {"filter": ("auto",)}, "--validation above 0"),
        ({"validation": 0.0}, {"arms": ("real", "generated-by-recall")}, "--validation above 0"),
        (
            {},
            {"arms": ("real", "generated-by-recall"), "replace": (1.0,)},
            "neither --replace nor --balance nor --fill",
        ),
        ({}, {"filter": ("auto", "discriminator")}, "--arch pca has no discriminator"),
    ],
)
def test_what_cannot_be_chosen_is_refused_when_it_is_planned(tmp_path, change, compare, said):
    config = experiment(DataConfig(per_class=12, **change), **compare)
    with pytest.raises(UsageError, match=said):
        comparing.compare(config, tmp_path / "exp", dry_run=True)


def test_scored_samples_have_nobody_who_chooses():
    with pytest.raises(UsageError, match="--filter auto: samples are scored, no"):
        Scored.plan_of(experiments.read("capacity"), experiment(filter=("auto",)))


@pytest.mark.parametrize(
    ("ratios", "added"), [((0.0,), [[22, 0]]), ((1.0,), [[22, 99]]), ((0.0, 1.0), [[0, 0], [22, 99]])]
)
def test_a_ratio_of_its_own_counts_at_0_where_there_is_no_choice(tmp_path, ratios, added):
    config = experiment(arms=("real", "generated"), ratios=ratios, ratio_for=("#4=2",))
    comparing.compare(config, tmp_path / "exp", jobs=1)
    [cell] = json.loads((tmp_path / "exp/comparison.json").read_text())["cells"]
    generated = cell["arms"]["generated"]
    assert [row["ratio"] for row in generated["candidates"]] == list(ratios)
    counts = generated["added_per_class"]
    assert [counts[4], sum(counts) - counts[4]] in added
    if counts == [0] * 10:  # the very classifier of the real images
        assert generated["classifier"] == cell["arms"]["real"]["classifier"]


@pytest.mark.parametrize(
    "arms", [("real", "generated:0.5", "generated:0.50"), ("generated:1", "generated:1.0")]
)
def test_one_ratio_in_two_spellings_is_one_arm(arms):
    with pytest.raises(UsageError, match=r"there twice|at least two different"):
        make_plan(experiment(arms=arms), "0123", None, None)


@pytest.mark.parametrize("arm", ["crt+traditional", "ldam-drw+traditional"])
def test_a_classifier_without_a_linear_last_layer_is_refused_when_it_is_planned(tmp_path, monkeypatch, arm):
    (tmp_path / "ends_in_softmax.py").write_text(
        "from torch import nn\n\n"
        "def build(num_classes, channels, size):\n"
        "    linear = nn.Linear(channels * size * size, num_classes)\n"
        "    return nn.Sequential(nn.Flatten(), linear, nn.LogSoftmax(1))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    first = dataclasses.replace(
        experiment(arms=("real", arm)), classifier=ClassifierConfig("ends_in_softmax:build")
    )
    contrast = {"contrast": (f"{arm} - real",), "second_classifier": "ends_in_softmax:build"}
    for own in (first, experiment(arms=("real", arm), **contrast)):
        with pytest.raises(UsageError, match=r"not the output of a torch\.nn\.Linear"):
            comparing.compare(own, tmp_path / "exp", dry_run=True)
