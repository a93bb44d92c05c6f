import json

import pytest

from gangda.errors import DataError, RunError
from gangda.runtime.hashed_file import read_hashed_json, write_hashed_json
from gangda.runtime.results import finished_values

VALUES = {"id": "abc", "share": 0.1, "counts": (1, 2), "by_label": {10: "ten", 9: "nine"}, "none": None}


def test_what_was_written_is_read(tmp_path):
    write_hashed_json(tmp_path / "a.json", VALUES)
    assert read_hashed_json(tmp_path / "a.json") == json.loads(json.dumps(VALUES))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("0.1", "0.2"), "its hash does not match"),
        (lambda text: text.replace("nine", "none"), "its hash does not match"),
        (lambda text: text.replace('"content"', '"other"'), "its hash does not match"),
        (lambda text: text[:-9], "not readable JSON"),
        (lambda text: text.replace('"format_version": 2', '"format_version": 3'), "newer than this gangda"),
    ],
)
def test_a_damaged_result_is_refused_with_what_to_do(tmp_path, change, words):
    path = tmp_path / "out" / "scores.json"
    write_hashed_json(path, VALUES)
    path.write_text(change(path.read_text()))
    with pytest.raises(DataError, match=words):
        read_hashed_json(path)
    with pytest.raises(RunError, match=rf"{words}.*choose another --out, and run the same command again"):
        finished_values(tmp_path / "out", "scores.json", "abc", "score", "samples")


def test_a_damaged_result_is_replaced_by_removing_its_folder(tmp_path):
    write_hashed_json(tmp_path / "out" / "a.json", VALUES)
    path = tmp_path / "out" / "a.json"
    path.write_text(path.read_text().replace("0.1", "0.2"))
    with pytest.raises(RunError) as error:
        finished_values(tmp_path / "out", "a.json", "abc", "score", "samples")
    assert str(error.value) == (
        f"{path}: its hash does not match; remove that folder, or choose another --out, and run the same "
        "command again"
    )


def test_the_result_of_this_request_only(tmp_path):
    assert finished_values(tmp_path / "out", "a.json", "abc", "score", "samples") is None
    write_hashed_json(tmp_path / "out" / "a.json", VALUES)
    assert finished_values(tmp_path / "out", "a.json", "abc", "score", "samples") == read_hashed_json(
        tmp_path / "out" / "a.json"
    )
    with pytest.raises(RunError, match="holds the score of other samples"):
        finished_values(tmp_path / "out", "a.json", "abd", "score", "samples")
    with pytest.raises(RunError, match="is not a score of gangda's"):
        finished_values(tmp_path / "out", "b.json", "abc", "score", "samples")
