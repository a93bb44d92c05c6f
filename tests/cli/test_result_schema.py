"""What every command prints with --json is as the shipped JSON Schema says."""

import dataclasses
import json
from importlib import resources

import jsonschema
import pytest

from gangda.cli.output import RESULT_VERSION
from gangda.comparing.comparison import Comparison
from gangda.comparing.sweeps.findings import Findings
from gangda.config.commands import COMMANDS

SCHEMA = json.loads((resources.files("gangda.cli") / "result.schema.json").read_text())
CHECK = jsonschema.Draft202012Validator(SCHEMA)
SMALL = ("--per-class", 20)
WALK = {
    "train": ("train", "--arch", "pca", "--components", 4, *SMALL, "--out", "run"),
    "train, rehearsed": ("train", "--arch", "pca", *SMALL, "--dry-run"),
    "architectures": ("train", "--list"),
    "sample": ("sample", "run", "--per-class", 3, "--format", "npz", "--out", "set"),
    "augment": ("augment", "--run", "run", *SMALL, "--ratio", 0.5, "--out", "augmented"),
    "augment from a set": ("augment", "--samples", "set", *SMALL, "--ratio", 0.1),
    "classify": ("classify", "augmented", "--classifier-steps", 3),
    "classify, rehearsed": ("classify", "augmented", "--classifier-steps", 4, "--dry-run"),
    "score": ("score", "set", "--metrics", "diversity"),
    "rating page": ("score", "set", "--rating-page", "page.html", "--rating-images", 2),
    "compare, planned": (
        "compare",
        "--arch",
        "pca",
        "--per-class",
        10,
        "--seeds",
        2,
        "--out",
        "c",
        "--dry-run",
    ),
    "compare": (
        *("compare", "--arch", "pca", "--per-class", 10, "--seeds", 1, "--arms", "real,generated"),
        *("--classifier-steps", 3, "--jobs", 1, "--out", "c2"),
    ),
    "experiments": ("compare", "--list"),
    "a plan's cells": ("compare", "--status", "--out", "c2"),
    "tune, rehearsed": ("tune", "--space", "flow", *SMALL, "--steps", 8, "--trials", 2, "--dry-run"),
    "search spaces": ("tune", "--list"),
    "examples": ("examples",),
    "an example": ("examples", "one-machine"),
    "doctor": ("doctor",),
    "doctor about data": ("doctor", "--data", "digits"),
}


def undocumented(found):
    """Keys of a result that the schema of its kind does not name."""
    kinds = [
        kind["properties"]
        for kind in SCHEMA["$defs"].values()
        if kind["properties"]["subcommand"]["const"] == found["subcommand"]
        and set(kind["required"]) <= set(found)
    ]
    return set(found) - {"format_version"}.union(*kinds)


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["properties"]["subcommand"]["enum"]) == set(COMMANDS)
    assert SCHEMA["properties"]["format_version"]["const"] == RESULT_VERSION


@pytest.mark.parametrize(("kind", "result"), [("compare", Comparison), ("experiment", Findings)])
def test_all_that_is_found_is_documented(kind, result):
    assert {field.name for field in dataclasses.fields(result)} <= set(SCHEMA["$defs"][kind]["properties"])


def test_each_commands_output_is_valid(gangda, empty_figures):
    for name, words in WALK.items():
        done = gangda(*words, "--json", "--quiet")
        assert done.code == 0, (name, done.err)
        found = done.json
        assert list(CHECK.iter_errors(found)) == [], name
        assert undocumented(found) == set(), name
        assert found["subcommand"] == words[0]
        if name == "train":
            assert found["options"] == {
                "arch.name": "flag", "arch.components": "flag", "data.per_class": "flag",
            }  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"format_version": 1, "subcommand": "train", "script": "x"},
        {"format_version": 2, "subcommand": "compare", "script": "x"},
        {"format_version": 1, "subcommand": "compare", "script": 3},
    ],
)
def test_other_documents_are_not(wrong):
    assert list(CHECK.iter_errors(wrong))


def test_a_misspelt_variable_is_said(gangda, monkeypatch):
    monkeypatch.setenv("GANGDA_STEPZ", "3")
    done = gangda("compare", "--list")
    assert "GANGDA_STEPZ: no option is read from this variable; did you mean 'GANGDA_STEPS'?" in done.err
    assert gangda("compare", "--list", "--quiet").err == ""
