"""`gangda compare --experiment`, as typed."""

import numpy as np
import pytest
from PIL import Image

from gangda import experiments
from gangda.comparing.suited import FILLED, FOR_FEW, FOR_UNBALANCED
from gangda.config import arms
from gangda.config.schema import CompareConfig
from gangda.runtime.plain import to_plain

FLAGS = dict.fromkeys(("data.source", "compare.score_by"), "flag")

TINY = """
kind: experiment
title: Tiny
question: Which?
base:
  data: {source: digits, per_class: 12}
  arch: {name: pca, components: 4}
  classifier: {classifier_steps: 10}
  compare: {seeds: 2, arms: [real, generated+traditional]}
vary: {arch.components: [4, 8]}
quick: {compare: {seeds: 1}}
"""


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return str(path)


def test_the_list_has_every_experiment_and_arm(gangda):
    shown = gangda("compare", "--list").out
    values = gangda("compare", "--list", "--json").json
    assert [one["name"] for one in values["experiments"]] == experiments.names()
    assert [one["name"] for one in values["arms"]] == list(arms.ARMS)
    for name in [*experiments.names(), *arms.ARMS]:
        assert name in shown


@pytest.mark.usefixtures("empty_figures")
def test_an_experiment_of_ones_own(gangda, tmp_path, tiny):
    shown = gangda("compare", "--experiment", tiny, "--jobs", "1", "--out", str(tmp_path / "e"))
    assert shown.code == 0
    assert "components=8" in shown.out
    assert "too few seeds" in shown.out
    assert (tmp_path / "e/report.html").is_file()
    again = gangda("compare", "--experiment", tiny, "--judge", "--out", str(tmp_path / "e"), "--json")
    assert again.json["finished"] == 4
    for flags in ((), ("--judge",), ("--cell", "12"), ("--shard", "1/2"), ("--dry-run",)):
        refused = gangda("compare", "--out", str(tmp_path / "e"), *flags)
        assert refused.code == 1
        said = "holds the plan of an experiment, not of a comparison; give --experiment tiny and the other"
        assert said in refused.err
        assert len(refused.err.strip().splitlines()) == 1


def test_flags_count_for_all_variants(gangda, tmp_path, tiny):
    out = tmp_path / "e"
    shown = gangda(
        "compare", "--experiment", tiny, "--quick", "--classifier-steps", "7", "--dry-run", "--out", str(out)
    )
    assert shown.code == 0
    assert "cells finished: 0 of 2" in shown.out
    assert not out.exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--components", "3"), "varies arch.components itself"),
        (("--arch", "ppca"), "varies arch.components itself"),
        (("--run", "runs/x"), "--run does not go with --experiment"),
        (("--calibrate",), "--calibrate does not go with --experiment"),
        (("--per-class", "100000"), "variant 'components=4'"),
    ],
)
def test_what_an_experiment_cannot_take(gangda, tiny, flags, message):
    refused = gangda("compare", "--experiment", tiny, "--dry-run", *flags)
    assert refused.code in (1, 2)
    assert message in refused.err
    assert len(refused.err.strip().splitlines()) == 1


def test_quick_is_for_experiments(gangda):
    refused = gangda("compare", "--quick", "--dry-run")
    assert refused.code == 2
    assert "--quick is for --experiment" in refused.err


def test_calibration_adds_its_arms(gangda):
    values = gangda("compare", "--calibrate", "--dry-run", "--json").json
    assert values["plan"]["fixed"]["compare"]["arms"][-len(arms.CALIBRATION) :] == list(arms.CALIBRATION)
    assert values["options"]["compare.arms"] == "--calibrate"


@pytest.mark.parametrize(
    ("words", "origins"),
    [
        (
            (),
            {
                "data.source": "flag",
                **dict.fromkeys(("compare.arms", "compare.contrast", "compare.fill"), FOR_UNBALANCED),
                "compare.score_by": FOR_UNBALANCED,
            },
        ),
        (
            ("--balance",),
            {
                "data.source": "flag",
                **dict.fromkeys(("compare.balance", "compare.fill"), FILLED),
                "compare.score_by": FOR_UNBALANCED,
            },
        ),
        (("--score-by", "accuracy", "--ratios", "0.5"), {**FLAGS, "compare.ratios": "flag"}),
    ],
)
def test_options_are_those_of_the_comparison_as_run(gangda, tmp_path, words, origins):
    """Also of a plan: what is chosen for unbalanced classes, and by other options, with the values in `plan`."""
    rng = np.random.default_rng(0)
    for label in np.repeat(range(3), (60, 40, 12)):
        path = tmp_path / "icons" / "abc"[label] / f"{rng.integers(2**60)}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((rng.random((8, 8)) * 200 + 10 * label).astype(np.uint8)).save(path)
    out = tmp_path / "out"
    for last in (("--dry-run",), ("--plan",)):
        done = gangda("compare", "--data", "icons", "--arch", "pca", *words, "--out", out, "--json", *last)
        found = done.json
        assert found["options"] == {"arch.name": "flag", "transforms.policy": FOR_FEW, **origins}
        run, usual = found["plan"]["fixed"]["compare"], to_plain(CompareConfig())
        given = {name for name, value in run.items() if value != usual[name]}
        assert given <= {name.partition("compare.")[2] for name in origins}


def test_a_shared_generators_options_come_from_its_run(gangda):
    gangda("train", "--arch", "pca", "--components", "4", "--per-class", "20", "--out", "run")
    found = gangda("compare", "--run", "run", "--per-class", "20", "--dry-run", "--json").json
    options = found["options"]
    assert (options["arch.name"], options["arch.components"]) == ("--run", "--run")
    assert found["plan"]["fixed"]["arch"]["components"] == 4
    assert options["data.per_class"] == "flag"


@pytest.mark.long
@pytest.mark.parametrize("name", experiments.names())
def test_every_shipped_experiment_can_be_rehearsed(gangda, tmp_path, name):
    shown = gangda("compare", "--experiment", name, "--quick", "--jobs", "1", "--out", str(tmp_path / "e"))
    assert shown.code == 0, shown.err
    assert (tmp_path / "e/report.html").is_file()
