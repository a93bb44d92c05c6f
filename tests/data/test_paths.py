from pathlib import Path

import pytest

from gangda.config.schema import DataConfig
from gangda.data.paths import cache_root, data_root, identified, located


def test_paths_become_absolute_and_names_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert located(DataConfig(source="digits", per_class=9)) == DataConfig(source="digits", per_class=9)
    assert located(DataConfig(source="x/../own.npz", per_class=9)) == DataConfig(
        source=str(tmp_path / "own.npz"), per_class=9
    )
    assert located(DataConfig(source="./digits")).source == str(tmp_path / "digits")
    assert located(DataConfig(source="~/own")).source == str(tmp_path / "home" / "own")


@pytest.mark.parametrize("pattern", ["~nobody([0-9])", f"({'x' * 300})"])
def test_a_pattern_is_no_file(pattern: str) -> None:
    config = DataConfig(group_by=pattern, labels=f"name:{pattern}")
    assert located(config) == config


def test_the_data_folder_has_its_own_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANGDA_DATA", "mnist")  # that is --data
    monkeypatch.setenv("GANGDA_DATA_FOLDER", str(tmp_path))
    assert data_root() == tmp_path


def test_without_a_home_directory_caches_are_temporary(monkeypatch, tmp_path):
    def nowhere(path):
        raise RuntimeError("Could not determine home directory.")

    for name in ("GANGDA_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "expanduser", nowhere)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert cache_root().is_relative_to(tmp_path)


def test_identity_is_content_and_not_where_it_lies() -> None:
    one, other = (DataConfig(source=path, unlabelled="more", per_class=9) for path in ("d", "/elsewhere/d"))
    assert identified(one, "0123", "4567") == identified(other, "0123", "4567")
    assert identified(one, "0123", "4567") != identified(one, "9999", "4567")
    assert identified(one, "0123", "4567") != identified(one, "0123", "9999")
    assert identified(DataConfig(unlabelled="60"), "0123") == DataConfig(unlabelled="60")


def test_a_table_of_groups_is_known_by_its_content(tmp_path: Path) -> None:
    tables = [tmp_path / "a.csv", tmp_path / "set" / "b.csv"]
    tables[1].parent.mkdir()
    for path in tables:
        path.write_text("file,subject\n0.png,s1\n")
    source = str(tmp_path / "set")
    beside = DataConfig(source=source, group_by=f"{tables[0]}:subject")
    inside = DataConfig(source=source, group_by="b.csv:subject")
    before = identified(beside, "0123")
    assert identified(inside, "0123") == before
    tables[0].write_text("file,subject\n0.png,s2\n")
    assert identified(beside, "0123") != before
    pattern = DataConfig(source=source, group_by="^([0-9]+)_")
    assert identified(pattern, "0123").group_by == pattern.group_by
