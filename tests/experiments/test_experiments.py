"""Experiments: the shipped ones are whole, and what is wrong with a file of one's own is said."""

from importlib import resources

import pytest

from gangda import experiments
from gangda.config import resolve
from gangda.config.schema import ComparisonConfig
from gangda.errors import UsageError

GOOD = """
kind: experiment
title: A title
question: A question?
base: {data: {per_class: 10}, arch: {name: madgan, generators: 2}}
vary: {arch.generators: [1, 2], method.loss: [nonsaturating, minimax]}
quick: {budget: {steps: 3}}
"""


def file(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("name", experiments.names())
def test_every_shipped_experiment_resolves(name, quick):
    experiment = experiments.read(name, quick)
    assert experiment.question.endswith("?")
    for sections in experiment.variants.values():
        config = resolve.resolve({}, {}, (name, sections)).pick(ComparisonConfig)
        assert experiment.measure == "score" or experiment.arm in config.compare.arms


def test_combinations_are_named_by_what_differs(tmp_path):
    experiment = experiments.read(file(tmp_path, GOOD))
    assert list(experiment.variants) == [
        "generators=1, loss=nonsaturating",
        "generators=1, loss=minimax",
        "generators=2, loss=nonsaturating",
        "generators=2, loss=minimax",
    ]
    assert list(experiment.variants.values())[1] == {
        "data": {"per_class": 10},
        "arch": {"name": "madgan", "generators": 1},
        "method": {"loss": "minimax"},
    }
    assert experiment.varied == ("arch.generators", "method.loss")
    assert next(iter(experiments.read(file(tmp_path, GOOD), quick=True).variants.values()))["budget"] == {
        "steps": 3
    }


def test_another_architecture_takes_nothing_of_the_first(tmp_path):
    text = GOOD.replace("vary: {arch", "variants: {plain: {arch: dcgan}}\nx: {arch").replace("x: {", "#")
    experiment = experiments.read(file(tmp_path, text))
    assert experiment.variants["plain"]["arch"] == {"name": "dcgan"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("kind: experiment", "kind: run"), "must say kind: experiment"),
        (("question: A question?", "questoin: x"), "unknown key questoin; did you mean question"),
        (("question: A question?", ""), "question: say it in words"),
        (("per_class", "per_clas"), "base: unknown key data.per_clas; did you mean data.per_class"),
        (("arch.generators: [1, 2]", "arch: [1]"), "expected section.option and a list"),
        (("arch.generators: [1, 2]", "method.los: [1]"), "unknown key method.los"),
        (("arch.generators: [1, 2]", "arch.generators: []"), "a list of values"),
        (("title: A title", "variants: {a: {}}\ntitle: A title"), "either vary"),
        (("title: A title", "measure: look\ntitle: A title"), "measure: 'look': expected compare or score"),
        (("title: A title", "arm: gnerated\ntitle: A title"), "no such arm; did you mean 'generated'"),
        (("title: A title", "metrics: [fdi]\ntitle: A title"), "unknown metric 'fdi'"),
        (("title: A title", "format_version: 99\ntitle: A title"), "format 99 is newer"),
        (("kind: experiment", "kind: ["), "not readable as YAML"),
        (("title: A title", "metrics:\ntitle: A title"), "metrics: None: expected a list of names"),
        (("title: A title", "metrics: 3\ntitle: A title"), "metrics: 3: expected a list of names"),
        (("title: A title", "metrics: fid\ntitle: A title"), "metrics: 'fid': expected a list of names"),
        (("title: A title", "metrics: []\ntitle: A title"), r"metrics: \[\]: expected a list of names"),
        (("title: A title", "metrics: [[1]]\ntitle: A title"), r"metrics: \[\[1\]\]: expected a list"),
        (("title: A title", "metrics: [fid, fid]\ntitle: A title"), "expected a list of names, each once"),
        (("title: A title", "arm: [1]\ntitle: A title"), "arm: say it in words"),
        (("title: A title", "between: 0\ntitle: A title"), "between: 0: expected true or false"),
        (("title: A title", "origin: [1]\ntitle: A title"), "origin: say it in words"),
        (("title: A title", 'title: "\\ud800"'), "title: say it in words"),
        (("quick: {budget: {steps: 3}}", "quick: 3"), "quick: expected sections"),
        (("quick: {budget: {steps: 3}}", "quick: [1]"), "quick: expected sections"),
        (("arch.generators: [1, 2]", "arch.generators: [16, 16]"), "is there twice; give each value once"),
        (("arch.generators: [1, 2]", f"budget.steps: {list(range(300))}"), "600 variants; give 1 to 200"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, change, message):
    with pytest.raises(UsageError, match=message) as error:
        experiments.read(file(tmp_path, GOOD.replace(*change)))
    assert "\n" not in str(error.value)
    assert "mine.yaml" in str(error.value) or "unknown metric" in message or "no such arm" in message


def test_the_rehearsal_may_vary_something_else(tmp_path):
    text = GOOD.replace("quick: {", "quick: {variants: {one: {arch: dcgan}, 2: {}}, ")
    assert list(experiments.read(file(tmp_path, text), quick=True).variants) == [
        "one",
        "2",
    ]
    assert len(experiments.read(file(tmp_path, text)).variants) == 4


def test_combinations_are_counted_before_they_are_made(tmp_path):
    many = ", ".join(f"arch.a{k}: {list(range(100))}" for k in range(9))
    with pytest.raises(UsageError, match="1000000000000000000 variants"):
        experiments.read(
            file(
                tmp_path, GOOD.replace("arch.generators: [1, 2], method.loss: [nonsaturating, minimax]", many)
            )
        )


def test_no_such_experiment():
    with pytest.raises(UsageError, match="did you mean 'losses'"):
        experiments.read("loses")


def test_every_question_of_the_reports_stands_in_the_table_of_answers():
    text = resources.files("gangda.comparing").joinpath("README.md").read_text(encoding="utf-8")
    table = text.partition("### The reports' questions")[2].partition("\n## ")[0]
    of_reports = [name for name in experiments.names() if "report" in experiments.read(name).origin]
    assert len(of_reports) > 10
    assert [name for name in of_reports if f"`--experiment {name}`" not in table] == []
