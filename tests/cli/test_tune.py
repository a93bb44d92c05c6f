import pytest

from gangda import search_spaces

pytest.importorskip("optuna")
WORDS = (
    "tune",
    "--arch",
    "pca",
    "--per-class",
    12,
    "--validation",
    0.3,
    "--classifier-steps",
    10,
    "--threads",
    1,
)


@pytest.fixture
def space(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("kind: search space\nspace: {arch.components: [2, 8]}\n")
    return file


def test_from_a_space_to_the_best_configuration(gangda, space, tmp_path):
    words = (*WORDS, "--space", space, "--search", "grid", "--out", "s")
    dry = gangda(*words, "--dry-run")
    assert dry.code == 0
    assert "would try 2 configurations" in dry.out
    assert not (tmp_path / "s").exists()
    found = gangda(*words, "--json").json
    assert (found["finished"], found["planned"], found["dry_run"]) == (2, 2, False)
    shown = gangda(*words, "--resume")
    assert "trials ended: 2 of 2" in shown.out
    assert "train it: gangda train --config s/best.yaml" in shown.out
    assert gangda("train", "--config", "s/best.yaml", "--dry-run").code == 0


def test_the_list(gangda):
    shown = gangda("tune", "--list").out
    assert all(name in shown for name in search_spaces.names())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "--space is missing: choose from flow"),
        (("--space", "r4"), "--space r4: no such search space"),
        (("--space", "mine.yaml", "--components", 4), "varies arch.components itself"),
        (("--space", "mine.yaml", "--resume"), "--resume: name the study with --out"),
        (("--space", "mine.yaml", "--resume", "--out", "no"), "--resume: no holds no study"),
        (("--space", "mine.yaml", "--trials", 0), "--trials 0: must be between 1"),
        (("--space", "mine.yaml", "--objective", "ca"), "did you mean 'cas'"),
    ],
)
def test_what_is_wrong_is_one_line(gangda, space, words, message):
    answer = gangda(*WORDS, *words)
    assert answer.code == 2
    assert message in answer.err
    assert answer.err.count("\n") == 1
