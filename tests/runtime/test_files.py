import os
import shutil
import subprocess
import tempfile

import pytest

from gangda.errors import DataError, RunError
from gangda.runtime.files import foreign_names, read_json, whole_folder, without_nan, write_bytes, write_json


def test_json_round_trip(tmp_path):
    write_json(tmp_path / "a" / "b.json", {"x": [1, 2.5, None]})
    assert read_json(tmp_path / "a" / "b.json") == {"format_version": 1, "x": [1, 2.5, None]}
    assert os.listdir(tmp_path / "a") == ["b.json"]


def test_only_our_own_names_and_temporaries_are_not_foreign(tmp_path):
    place = tmp_path / "out"
    assert foreign_names(place, (".lock",), ("run.json",)) == set()
    place.mkdir()
    handle, _ = tempfile.mkstemp(dir=place, prefix=".run.json.")  # as `write_bytes` makes them
    os.close(handle)
    (place / ".lock").touch()
    assert foreign_names(place, (".lock",), ("run.json",)) == set()
    for name in (".run.json", ".runXjson.abcdefgh", ".bashrc", "run.json", ".run.json.abcdefgh.txt"):
        (place / name).touch()
        assert foreign_names(place, (".lock",), ("run.json",)) == {name}
        (place / name).unlink()
    (place / "file").touch()
    assert foreign_names(place / "file", ("x",), ("run.json",)) == {"file"}


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_is_no_json_is_not_written(number, tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "b.json", {"x": [number]})
    assert os.listdir(tmp_path) == []
    write_json(tmp_path / "b.json", without_nan({"x": (number, 1, "nan"), "y": {"z": number}}))
    assert read_json(tmp_path / "b.json") == {"format_version": 1, "x": [None, 1, "nan"], "y": {"z": None}}


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", '{"x": 1}', '{"format_version": 2}', '{"format_version": "1"}']
)
def test_bad_json_is_a_data_error(text, tmp_path):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DataError):
        read_json(tmp_path / "x.json")


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    place = tmp_path / "set"

    def broken_off():
        with whole_folder(place) as folder:
            (folder / "half").write_text("x")
            raise ValueError("midway")

    with pytest.raises(ValueError, match="midway"):
        broken_off()
    assert os.listdir(tmp_path) == []
    with whole_folder(place) as folder:
        (folder / "all").write_text("x")
        assert not place.exists()
    assert os.listdir(place) == ["all"]
    with pytest.raises(RunError, match="not empty"), whole_folder(place):
        pass


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 256 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = shutil.which("mount") and os.geteuid() == 0
    if not mounted or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", place]).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_is_one_line_and_leaves_the_old_file(tiny_disk):
    write_bytes(tiny_disk / "x", b"old")
    with pytest.raises(RunError, match="disk is full"):
        write_bytes(tiny_disk / "x", bytes(10**6))
    assert (tiny_disk / "x").read_bytes() == b"old"
    assert os.listdir(tiny_disk) == ["x"]
    with pytest.raises(RunError, match="disk is full"), whole_folder(tiny_disk / "set") as folder:
        (folder / "big").write_bytes(bytes(10**6))
    assert os.listdir(tiny_disk) == ["x"]
