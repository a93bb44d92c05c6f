import json

import pytest

from gangda.errors import DataError, RunError
from gangda.runtime.results import finished_values, read_result, write_result

VALUES = {"id": "abc", "share": 0.1, "counts": (1, 2), "by_label": {10: "ten", 9: "nine"}, "none": None}


def test_what_was_written_is_read(tmp_path):
    write_result(tmp_path / "a.json", VALUES)
    assert read_result(tmp_path / "a.json") == json.loads(json.dumps(VALUES))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("0.1", "0.2"), "damaged .its hash does not match"),
        (lambda text: text.replace("nine", "none"), "damaged .its hash does not match"),
        (
            lambda text: text.replace('"content"', '"other"'),
            "no hash of its content .made by an older gangda",
        ),
        (lambda text: text[:-9], "not readable JSON"),
        (lambda text: text.replace('"format_version": 2', '"format_version": 3'), "newer than this gangda"),
    ],
)
def test_a_damaged_result_is_refused_and_what_to_do_is_said(tmp_path, change, words):
    path = tmp_path / "out" / "scores.json"
    write_result(path, VALUES)
    path.write_text(change(path.read_text()))
    with pytest.raises(DataError, match=words):
        read_result(path)
    with pytest.raises(RunError, match=rf"{words}.*choose another --out, and run the same command again"):
        finished_values(tmp_path / "out", "scores.json", "abc", "score", "samples")


def test_a_damaged_result_of_a_command_is_mended_by_removing_its_folder(tmp_path):
    write_result(tmp_path / "out" / "a.json", VALUES)
    path = tmp_path / "out" / "a.json"
    path.write_text(path.read_text().replace("0.1", "0.2"))
    with pytest.raises(RunError) as error:
        finished_values(tmp_path / "out", "a.json", "abc", "score", "samples")
    assert str(error.value) == (
        f"{path}: damaged (its hash does not match); remove that folder, or choose another --out, and run the same "
        "command again"
    )


def test_a_hash_of_ones_own(tmp_path):
    write_result(tmp_path / "a.json", VALUES, digest=lambda plain: f"{len(plain)} values")
    assert '"content": "5 values"' in (tmp_path / "a.json").read_text()
    assert read_result(tmp_path / "a.json", lambda plain: f"{len(plain)} values")["id"] == "abc"
    with pytest.raises(DataError, match="its hash does not match"):
        read_result(tmp_path / "a.json")


def test_the_result_of_this_request_only(tmp_path):
    assert finished_values(tmp_path / "out", "a.json", "abc", "score", "samples") is None
    write_result(tmp_path / "out" / "a.json", VALUES)
    assert finished_values(tmp_path / "out", "a.json", "abc", "score", "samples") == read_result(
        tmp_path / "out" / "a.json"
    )
    with pytest.raises(RunError, match="holds the score of other samples"):
        finished_values(tmp_path / "out", "a.json", "abd", "score", "samples")
    with pytest.raises(RunError, match="is not a score of gangda's"):
        finished_values(tmp_path / "out", "b.json", "abc", "score", "samples")
