import numpy as np
import pytest

from gangda.config.schema import DataConfig
from gangda.data.loading import load_splits


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "SAMPLES is missing"),
        (("a", "b"), "one set is scored at a time"),
        (("a", "--ratings", "x.csv"), "leave out SAMPLES"),
        (("a", "--rating-page", "x.html", "--out", "y"), "leave out --out"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(gangda, words, complaint):
    done = gangda("score", *words)
    assert done.code == 2
    assert complaint in done.err


def test_a_missing_file_of_answers_is_one_line(gangda):
    done = gangda("score", "--ratings", "none.csv")
    assert done.code == 1
    assert "--ratings none.csv: cannot be read" in done.err


def test_a_page_is_written_and_told_of(gangda, tmp_path):
    spare = load_splits(DataConfig(validation=0.3), 5).validation
    np.savez(tmp_path / "a.npz", images=spare.pixels, labels=spare.labels)
    done = gangda(
        "score", "a.npz", "--data", "digits", "--rating-page", "r.html", "--rating-images", 4, "--json"
    )
    assert [one["images"] for one in done.json["sets"]] == [4, 4]
    assert (tmp_path / "r.html").is_file()
