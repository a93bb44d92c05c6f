"""A journey through all the commands on the digits, as a user types them: tables, JSON, rehearsals, second runs."""

import numpy as np
import pytest
import yaml

from gangda.api.options import low_data
from gangda.config import catalog
from gangda.config.resolve import resolve
from gangda.metrics.names import readable

PCA = ("--arch", "pca", "--components", "8")
SMALL = ("--per-class", "20")
FAST = ("--classifier-steps", "20")


@pytest.fixture
def run(gangda):
    """A run folder made by the command itself, relative to the current folder."""
    return gangda("train", *PCA, *SMALL, "--json").json["run"]


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_train_list(gangda):
    table = gangda("train", "--list").out
    assert all(name in table for name in catalog.ARCHITECTURES)
    rows = gangda("train", "--list", "--json").json["architectures"]
    assert [row["name"] for row in rows] == list(catalog.ARCHITECTURES)
    madgan = rows[list(catalog.ARCHITECTURES).index("madgan")]
    assert madgan["labels"] == "either"
    [generators] = [option for option in madgan["options"] if option["flag"] == "--generators"]
    assert generators["default"] == 3


def test_train_list_of_one_architecture_and_other_images(gangda):
    told = gangda("train", "--list", "--arch", "sagan-batchnorm", "--json").json
    [row] = told["architectures"]
    assert (told["image_shape"], told["num_classes"]) == ([1, 28, 28], 10)
    assert row["parameters"] == {"generator": 3_465_122, "discriminator": 2_961_794}
    assert (row["labels"], row["pixels"]) == ("no", [8, 32])
    page = gangda("train", "--list", "--arch", "sagan-batchnorm").out
    assert all(word in page for word in ("Zhang 2019", "--lr 0.0002", "--latent-dim", "8 to 32 a side"))
    other = gangda("train", "--list", "--arch", "sagan-batchnorm", "--data", "digits", "--image-size", "48")
    assert "- and -" in other.out  # too large
    assert "48x48 grey images of 10 classes" in other.out


def test_train_as_typed_with_several_generators(gangda, tmp_path):
    words = [
        "train",
        "--arch",
        "madgan",
        "--generators",
        "4",
        *SMALL,
        "--steps",
        "2",
        "--width",
        "4",
        "--d-width",
        "4",
    ]
    answer = gangda(*words)
    assert answer.code == 0
    assert "Trained madgan" in answer.out
    assert "going" not in answer.out
    [run] = (tmp_path / "runs").iterdir()
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["arch"]["generators"] == 4
    assert config["sources"]["arch.generators"] == "flag"
    assert f"next: gangda sample runs/{run.name} --per-class 100\n" in answer.out


def test_config_of_a_run_is_a_config(gangda, tmp_path, run):
    again = gangda("train", "--config", f"{run}/config.yaml", "--json").json
    assert again["run"] == run
    other = gangda("train", "--config", f"{run}/config.yaml", "--seed", "5", "--json").json
    assert other["run"] != run


def test_train_rehearsal_tells_where_values_come_from(gangda, tmp_path, monkeypatch):
    monkeypatch.setenv("GANGDA_SEED", "4")
    values = gangda("train", "--arch", "gan", "--steps", "3", "--dry-run", "--json").json
    assert values["config"]["runtime"]["seed"] == 4
    origins = [values["origins"][key] for key in ("runtime.seed", "budget.steps", "recipe.lr", "recipe.ema")]
    assert origins == ["environment", "flag", "preset of gan", "default"]
    assert "would write" in gangda("train", "--dry-run").out
    assert files(tmp_path) == set()


@pytest.mark.parametrize(
    "words",
    [
        ("train", "--steps", "3"), ("compare",), ("compare", "--experiment", "ratio", "--quick"),
        ("tune", "--space", "r4-dropout-width"), ("augment", "--method", "traditional"),
    ],
)  # fmt: skip
def test_a_dry_run_refuses_the_folder_of_something_else(gangda, tmp_path, words):
    """As the command itself would, which is asked what it would do."""
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/text").write_text("mine")
    refused = gangda(*words, *SMALL, "--dry-run", "--out", "thesis")
    assert refused.code == 1
    assert refused.err.splitlines()[-1].startswith("gangda: thesis: ")
    assert refused.err.endswith("choose another --out\n")
    assert files(tmp_path / "thesis") == {"text"}


def test_a_dry_run_refuses_a_run_with_other_options(gangda, run):
    refused = gangda("train", *SMALL, "--lr", "0.5", "--dry-run", "--out", run)
    assert refused.code == 1
    assert "was made with " in refused.err


def test_sample(gangda, tmp_path, run):
    assert "Would draw" in gangda("sample", run, "--per-class", "3", "--dry-run", "--out", "set").out
    assert not (tmp_path / "set").exists()
    values = gangda("sample", run, "--counts", "3=4,#1=2", "--format", "npz", "--out", "set", "--json").json
    assert {name: count for name, count in values["counts"].items() if count} == {"1": 2, "3": 4}
    assert (
        "6 images, npz"
        in gangda("sample", run, "--counts", "3=4,#1=2", "--format", "npz", "--out", "set").out
    )


def test_augment_takes_the_newest_run_and_says_so(gangda, tmp_path, run):
    words = ["augment", *SMALL, "--balance", "--ratio", "0.5"]
    rehearsal = gangda(*words, "--dry-run")
    assert "Would augment" in rehearsal.out
    assert not (tmp_path / "augmented").exists()
    answer = gangda(*words)
    assert run in answer.out
    assert run in answer.err
    plan = gangda(*words, "--json").json["plan"]
    assert sum(row["make"] for row in plan) == round(0.5 * sum(row["have"] for row in plan))


def test_how_to_choose_is_refused_where_nothing_is_chosen(gangda, tmp_path):
    words = ("augment", *SMALL, "--method", "traditional", "--dry-run")
    refused = gangda(*words, "--classifier", "logistic", "--score-by", "balanced")
    assert refused.code == 2
    said = refused.err
    assert "--classifier, --score-by: nothing is chosen on validation images here; leave it out" in said
    config = tmp_path / "all.yaml"
    config.write_text("classifier: {classifier: logistic}")
    assert "Would augment" in gangda(*words, "--config", str(config)).out, "meant for other commands"
    chosen = gangda(
        *words, *FAST, "--classifier", "logistic", "--ratio", "0,1", "--validation", "0.2", "--json"
    )
    assert [row["ratio"] for row in chosen.json["chosen"]["candidates"]] == [0.0, 1.0]


def test_augment_by_transforms_alone_needs_no_run(gangda):
    values = gangda(
        "augment",
        *SMALL,
        "--method",
        "traditional",
        "--ratio-for",
        "3=2",
        "--ratio-for",
        "#4=0",
        "--ratio",
        "1",
        "--json",
    ).json
    made = {row["class"]: row["make"] / row["have"] for row in values["plan"]}
    assert (made["3"], made["4"], made["5"]) == (2, 0, 1)


def test_classify(gangda, tmp_path):
    words = ["classify", "digits", *SMALL, *FAST, "--repeats", "2", "--transforms", "--rotation", "5"]
    values = gangda(*words, "--json").json
    assert 0 <= values["accuracy"] <= 1
    assert len(values["runs"]) == 2
    assert values["transforms"]["rotation"] == 5
    table = gangda(*words).out
    assert "balanced accuracy" in table
    assert "Confusion" in table
    assert "would train" in gangda("classify", "digits", *FAST, "--dry-run").out


def test_score(gangda, tmp_path, run):
    gangda("sample", run, "--per-class", "12", "--out", "set")
    values = gangda("score", "set", *SMALL, *FAST, "--json").json
    names = [metric["name"] for metric in values["metrics"]]
    assert all(
        any(name.startswith(begin) for name in names) for begin in ("gan_test", "cas", "is_", "fid_", "kid_")
    )
    assert {"value", "interval", "floor"} <= set(values["metrics"][0])
    table = gangda("score", "set", *SMALL, *FAST).out
    assert "real vs real" in table
    assert readable(names[0]) in table
    assert [line.split("?")[0].strip() for line in table.splitlines() if "? " in line] == [
        "are the labels right", "is it varied", "is it copied",
    ]  # fmt: skip
    assert [one["question"] for one in values["answers"]] == [
        "are the labels right?", "is it varied?", "is it copied?",
    ]  # fmt: skip


def test_score_against_the_recorded_data_whatever_else_is_set(gangda, tmp_path, monkeypatch):
    digits = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "own.npz", images=digits, labels=np.arange(60) % 2)
    made = gangda("train", *PCA, "--data", "own.npz", "--json").json["run"]
    gangda("sample", made, "--per-class", "3", "--out", "set")
    monkeypatch.setenv("GANGDA_DOWNLOAD", "1")
    values = gangda("score", "set", "--validation", "0", "--dry-run", "--json").json
    assert values["data"]["source"].endswith("own.npz")
    assert values["n"]["train"] == 48


def test_compare(gangda, tmp_path):
    words = [
        "compare",
        *PCA,
        *SMALL,
        *FAST,
        "--seeds",
        "2",
        "--jobs",
        "1",
        "--threads",
        "1",
        "--device",
        "cpu",
    ]
    assert "2 paired seeds" in gangda(*words, "--dry-run").out
    assert files(tmp_path) == set()
    answer = gangda(*words)
    assert answer.code == 0
    for words_of_the_table in (
        "generated+traditional",
        "With 2 seeds the smallest attainable p is 0.5",
        "360 test images",
    ):
        assert words_of_the_table in answer.out
    values = gangda(*words, "--json").json
    assert (tmp_path / values["report"]).is_file()
    assert "What to do now: Decide nothing by this" in answer.out
    assert values["advice"]["command"].startswith("gangda compare --config")
    assert values["finished"] == 2


def test_compare_without_words_asks_a_question_of_its_own():
    chosen = low_data(resolve({("compare", "seeds"): "3", ("runtime", "threads"): "2"}, {}))
    assert (chosen.data.per_class, chosen.budget.steps) == (6, 400)
    assert chosen.compare.contrast == ("generated - traditional", "generated+traditional - traditional")
    assert (chosen.compare.seeds, chosen.runtime.threads) == (3, 2)
    assert chosen.origins["data.per_class"] == "preset of compare"
    assert chosen.origins["compare.seeds"] == "flag"
    assert low_data(resolve({}, {})).compare.seeds == 10


def test_compare_of_digits_takes_few_of_them():
    chosen = low_data(resolve({("arch", "name"): "acgan"}, {}))
    assert (chosen.data.per_class, chosen.arch, chosen.compare.seeds) == (10, "acgan", 10)


@pytest.mark.parametrize(
    "flags",
    [
        {("data", "source"): "fashion-mnist"},
        {("data", "per_class"): "20"},
        {("data", "class_counts"): "9,8,7,6,5,4,3,2,2,2"},
    ],
)
def test_compare_takes_what_is_typed(flags):
    assert low_data(resolve(flags, {})).data.per_class == (20 if ("data", "per_class") in flags else None)


def test_doctor(gangda, run):
    values = gangda("doctor", "--threads", "1", "--json").json
    assert values["threads"] == 1
    assert values["why"]["threads"] == "asked for"
    assert values["data_sets"]["digits"] == "built in"
    assert values["newest_runs"][0]["run"] == run
    assert values["packages"]["torch"]
    assert values["options"] == {"runtime.threads": "flag"}
    table = gangda("doctor").out
    assert "fashion-mnist" in table
    assert run in table


def test_doctor_describes_the_data_asked_for(gangda):
    assert gangda("doctor", "--json").json["data"] is None
    values = gangda("doctor", "--data", "digits", "--per-class", "20", "--json").json["data"]
    assert (values["train"]["per_class"], values["validation"]["n"]) == ([18] * 10, 20)
    assert (values["test"]["n"], values["image_size"]) == (360, 8)
    table = gangda("doctor", "--data", "digits", "--per-class", "20").out
    assert values["fingerprint"] in table
    assert "8x8 grey" in table
    answer = gangda("doctor", "--data", "nowhere")
    assert answer.code == 1
    assert "nowhere" in answer.err


def test_doctor_survives_a_damaged_run(gangda, tmp_path, run):
    (tmp_path / run / "model" / "model.json").write_text("{")
    assert gangda("doctor", "--json").json["newest_runs"][0]["arch"] == "damaged"


def test_doctor_says_which_variable_decides(gangda, monkeypatch):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    values = gangda("doctor", "--json").json
    assert (values["threads"], values["why"]["threads"]) == (1, "SLURM_CPUS_PER_TASK")


def test_quiet_leaves_stderr_empty(gangda):
    answer = gangda("train", *PCA, *SMALL, "--quiet")
    assert answer.err == ""
    assert "Trained pca" in answer.out
