"""Files called by name: those of a package, or one of the user's own."""

import pytest

from gangda.config.shipped import Shipped
from gangda.errors import UsageError

SPACES = Shipped("gangda.search_spaces", ".yaml", "search space", "--space")
SCRIPTS = Shipped("gangda.examples", ".sh", "example")


def test_a_shipped_file_goes_before_one_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flow").write_text("mine")
    where, text = SPACES.find("flow")
    assert where == "flow"
    assert "kind: search space" in text


def test_completion_offers_what_begins_so():
    assert SPACES.starting("r3-") == ["r3-ccgan-capacity", "r3-dcgan-capacity"]


def test_a_file_of_ones_own_only_where_a_flag_takes_it(tmp_path):
    file = tmp_path / "mine"
    file.write_text("text")
    assert SPACES.find(str(file)) == (str(file), "text")
    with pytest.raises(UsageError, match=r"mine: no such example; choose from full-study, .*[a-z]$"):
        SCRIPTS.find(str(file))


def test_what_is_not_there_or_no_text_is_said(tmp_path):
    with pytest.raises(
        UsageError, match=r"^--space flo: no such search space; did you mean 'flow'\? .*or give a file$"
    ):
        SPACES.find("flo")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(UsageError, match=r"^--space .*binary: cannot be read"):
        SPACES.find(str(tmp_path / "binary"))
