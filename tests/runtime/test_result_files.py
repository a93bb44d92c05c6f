import json

import pytest

from gangda.errors import DataError, RunError
from gangda.runtime.hashed_file import read_hashed_json, write_hashed_json
from gangda.runtime.results import FolderResult


class Score(FolderResult):
    file_name, what, of = "scores.json", "score", "samples"


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
        Score.find(tmp_path / "out", "abc")


def test_a_damaged_result_is_replaced_by_removing_its_folder(tmp_path):
    write_hashed_json(tmp_path / "out" / "scores.json", VALUES)
    path = tmp_path / "out" / "scores.json"
    path.write_text(path.read_text().replace("0.1", "0.2"))
    with pytest.raises(RunError) as error:
        Score.find(tmp_path / "out", "abc")
    assert str(error.value) == (
        f"{path}: its hash does not match; remove that folder, or choose another --out, and run the same "
        "command again"
    )


def test_the_result_of_this_request_only(tmp_path):
    out = tmp_path / "out"
    assert Score.find(out, "abc") is None
    written = Score(VALUES, out).write({"a.png": b"picture"})
    assert (out / "a.png").read_bytes() == b"picture"
    found = Score.find(out, "abc")
    assert found == Score(read_hashed_json(out / "scores.json"), out, reprinted=True)
    assert found.as_dict().keys() == written.as_dict().keys()
    with pytest.raises(RunError, match="already exists and is not empty"):
        written.write({})
    with pytest.raises(RunError, match="holds the score of other samples"):
        Score.find(out, "abd")
    (out / "scores.json").rename(out / "b.json")
    with pytest.raises(RunError, match="is not a score of gangda's"):
        Score.find(out, "abc")
