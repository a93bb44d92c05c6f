"""What the time of a cell is made of."""

import itertools

import pytest

from gangda.comparing import estimate
from gangda.comparing.plan import make_plan
from gangda.config.architectures import PcaSpec
from gangda.config.schema import (
    ClassifierConfig,
    CompareConfig,
    ComparisonConfig,
    DataConfig,
    Runtime,
    TransformConfig,
)
from gangda.data.loading import load_splits
from gangda.training.result import Estimate

USUAL = ("real", "traditional", "generated")


@pytest.mark.parametrize(
    ("arms", "compare", "policy", "keys", "fits"),
    [
        (USUAL, {}, "explicit", {"pca"}, 3),
        (USUAL, {"ratios": (0.5, 1.0)}, "explicit", {"pca"}, 4),
        (USUAL, {}, "auto", {"pca"}, 3 + 12),
        (("real", "traditional+teacher"), {}, "explicit", set(), 2 + 3),
        (
            (*USUAL, "generated-unlabelled+traditional", "leaky", "generated@ppca"),
            {},
            "explicit",
            {"pca", "pca+unlabelled", "leaky", "ppca"},
            6 + 3,
        ),
    ],
)
def test_every_generator_and_every_classifier_counts_once(monkeypatch, arms, compare, policy, keys, fits):
    unlabelled = "30" if any("unlabelled" in name for name in arms) else None
    config = ComparisonConfig(
        data=DataConfig(per_class=6, unlabelled=unlabelled),
        arch="pca",
        spec=PcaSpec(components=2),
        transforms=TransformConfig(policy=policy),
        classifier=ClassifierConfig(classifier_steps=estimate.TRIED),
        compare=CompareConfig(arms=arms, seeds=1, **compare),
        runtime=Runtime(device="cpu", precision="fp32", threads=1),
    )
    plan = make_plan(config, load_splits(config.data, 0).fingerprint, None, None)
    seen = []
    none = Estimate({}, 0, 0.0, 0, 0.0, memory_bytes=1000, disk_bytes=500)
    monkeypatch.setattr(estimate, "_generator", lambda plan, key, *_: seen.append(key) or none)
    monkeypatch.setattr(estimate, "fit_classifier", lambda *_, **__: None)
    monkeypatch.setattr(estimate.time, "perf_counter", itertools.count().__next__)
    cost = estimate.cost_of(plan, 0, jobs=1)
    fits += len(arms) / 2  # each arm once more, with half of the steps
    assert cost.cell_seconds == cost.left_seconds == pytest.approx(fits)
    assert cost.memory_bytes > 1000
    assert cost.disk_bytes == estimate.CELL + 500 * len(keys)
    better, *fairer = cost.choices
    assert better.startswith("better: --seeds 6, about ")
    other, takes = ("auto", fits + 12) if policy == "explicit" else ("explicit", fits - 12)
    open_transforms = any("traditional" in name for name in arms)
    said = f"--policy {other}, about {estimate.duration(takes)}"
    assert [one.partition(": ")[2] for one in fairer] == [said] * open_transforms
    assert len(seen) == len(keys)
    assert set(seen) == keys


@pytest.mark.parametrize(
    ("seeds", "validation", "compare", "fits"),
    [
        (2, 0.1, {}, 2 * 0.5),
        (8, 0.1, {}, 2 * 0.5 * 2 / 8),
        (8, 0.1, {"plateau_check": True}, 2 * (0.5 + 2) * 2 / 8),
        (8, 0.1, {"repeat_check": True}, 2 * 0.5 * 2 / 8 + 2 / 8),
        (2, 0.1, {"tune_steps": (500, 2000)}, 2 * 0.5 + 2 * (0.5 + 2)),
        (2, 0.0, {}, 0),
    ],
)
def test_classifiers_of_analyses_are_a_mean_over_the_cells(monkeypatch, seeds, validation, compare, fits):
    config = ComparisonConfig(
        data=DataConfig(per_class=6, validation=validation),
        arch="pca",
        spec=PcaSpec(components=2),
        classifier=ClassifierConfig(classifier_steps=1000),
        compare=CompareConfig(arms=("real", "generated"), seeds=seeds, **compare),
        runtime=Runtime(device="cpu", precision="fp32", threads=1),
    )
    plan = make_plan(config, load_splits(config.data, 0).fingerprint, None, None)
    monkeypatch.setattr(estimate, "_fit_seconds", lambda *_: 1.0)
    monkeypatch.setattr(estimate, "_generator", lambda *_: Estimate({}, 0, 0.0, 0, 0.0))
    cost = estimate.cost_of(plan, 0, jobs=1)
    assert cost.cell_seconds == pytest.approx(2 + fits)
    assert cost.left_seconds == pytest.approx(seeds * (2 + fits))


def test_what_the_first_classifier_loads_is_not_counted_for_its_steps(monkeypatch):
    clock = [0.0]

    def fit(real, config, **_):
        clock[0] += 0.5 + 0.01 * config.classifier_steps + (100.0 if clock[0] == 0 else 0)

    config = ComparisonConfig(
        data=DataConfig(per_class=6),
        arch="pca",
        spec=PcaSpec(components=2),
        classifier=ClassifierConfig(classifier_steps=1000),
        compare=CompareConfig(arms=("real", "generated"), seeds=2),
        runtime=Runtime(device="cpu", precision="fp32", threads=1),
    )
    plan = make_plan(config, load_splits(config.data, 0).fingerprint, None, None)
    monkeypatch.setattr(estimate, "fit_classifier", fit)
    monkeypatch.setattr(estimate.time, "perf_counter", lambda: clock[0])
    assert estimate.cost_of(plan, 0, jobs=1).cell_seconds == pytest.approx(3 * (0.5 + 10))


def test_no_cheaper_run_is_named_that_could_show_nothing():
    """Of two differences by Holm's procedure the smallest p must reach 0.025, which takes seven seeds."""
    contrasts = ("generated - real", "generated - traditional")
    compare = CompareConfig(arms=USUAL, seeds=10, contrast=contrasts, multiplicity="holm")
    plan = make_plan(ComparisonConfig(compare=compare), "0123456789abcdef", None, None)
    seeds = ("cheaper: --seeds 7, about 7 min 0 s", "better: --seeds 20, about 20 min 0 s")
    assert tuple(estimate._choices(plan, 60.0, 90.0, 1))[:2] == seeds


def test_the_cheaper_run_says_what_else_must_go_where_an_arm_asks_for_the_search():
    compare = CompareConfig(arms=("real", "traditional:auto"), seeds=6)
    plan = make_plan(ComparisonConfig(compare=compare), "0123456789abcdef", None, None)
    assert any(
        "--policy explicit (and no :auto in --arms)" in one for one in estimate._choices(plan, 60.0, 50.0, 1)
    )


def test_no_search_of_transforms_is_named_where_no_class_has_two_images(monkeypatch):
    config = ComparisonConfig(
        data=DataConfig(class_counts=(1,) * 10, validation=0.0),
        compare=CompareConfig(arms=("real", "traditional"), seeds=8),
        runtime=Runtime(device="cpu", precision="fp32", threads=1),
    )
    plan = make_plan(config, load_splits(config.data, 0).fingerprint, None, None)
    monkeypatch.setattr(estimate, "_fit_seconds", lambda *_: 1.0)
    assert not any("--policy" in one for one in estimate.cost_of(plan, 0, jobs=1).choices)
