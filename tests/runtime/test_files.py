import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gangda.errors import DataError, RunError
from gangda.runtime.files import (
    FormatVersionError,
    being_written,
    foreign_names,
    read_json,
    refuse_unwritable,
    whole_folder,
    without_nan,
    write_bytes,
    write_json,
)
from gangda.runtime.staging import remove_temporaries

MINE = (".notes.markdown", ".run.json.abcdefgh", ".run.json.abcdefgh.txt", "x.gangda-part")


def test_json_round_trip(tmp_path):
    write_json(tmp_path / "a" / "b.json", {"x": [1, 2.5, None]})
    assert read_json(tmp_path / "a" / "b.json") == {"format_version": 2, "x": [1, 2.5, None]}
    assert os.listdir(tmp_path / "a") == ["b.json"]


def kill_inside(block, place):
    """Run a process that dies while it writes."""
    words = "import os, pathlib, signal; from gangda.runtime import files\n"
    words += (
        f"with files.{block.__name__}(pathlib.Path({str(place)!r})): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", words]).returncode == -signal.SIGKILL


def killed_while_writing(place):
    """What a process leaves that dies within `being_written`."""
    kill_inside(being_written, place)
    return [path for path in place.parent.iterdir() if path.name.startswith(f".{place.name}.")]


def test_only_our_own_names_and_temporaries_are_not_foreign(tmp_path):
    place = tmp_path / "out"
    assert foreign_names(place, (".lock",), ("run.json",)) == set()
    assert len(killed_while_writing(place / "run.json")) == 1
    (place / ".lock").touch()
    assert foreign_names(place, (".lock",), ("run.json",)) == set()
    for name in (".run.json", ".runXjson.abcdefgh.gangda-part", ".bashrc", "run.json", *MINE):
        (place / name).touch()
        assert foreign_names(place, (".lock",), ("run.json",)) == {name}
        (place / name).unlink()
    (place / "file").touch()
    assert foreign_names(place / "file", ("x",), ("run.json",)) == {"file"}


def test_only_our_own_temporaries_are_removed(tmp_path):
    (left,) = killed_while_writing(tmp_path / "run.json")
    for name in MINE:
        (tmp_path / name).write_text("mine")
    (tmp_path / ".set.notesold").mkdir()
    remove_temporaries(tmp_path)
    assert not left.exists()
    with whole_folder(tmp_path / "set"):
        pass
    assert sorted(os.listdir(tmp_path)) == sorted((*MINE, ".set.notesold", "set"))


def test_what_a_killed_process_left_of_a_folder_is_removed(tmp_path):
    kill_inside(whole_folder, tmp_path / "set")
    assert len(os.listdir(tmp_path)) == 1
    with whole_folder(tmp_path / "set"):
        pass
    assert os.listdir(tmp_path) == ["set"]


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_nan_and_infinity_are_not_written(number, tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "b.json", {"x": [number]})
    assert os.listdir(tmp_path) == []
    write_json(tmp_path / "b.json", without_nan({"x": (number, 1, "nan"), "y": {"z": number}}))
    assert read_json(tmp_path / "b.json") == {"format_version": 2, "x": [None, 1, "nan"], "y": {"z": None}}


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", '{"x": 1}', '{"format_version": 3}', '{"format_version": "1"}']
)
def test_bad_json_is_a_data_error(text, tmp_path):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DataError):
        read_json(tmp_path / "x.json")


def test_a_file_of_another_version_is_one_line(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"format_version": 1}')
    with pytest.raises(FormatVersionError) as caught:
        read_json(path)
    assert str(caught.value) == f"{path}: is of gangda 0.1; make it again, or choose another --out"
    path.write_text('{"format_version": 99}')
    with pytest.raises(FormatVersionError, match=r"format 99 is newer .*; update gangda"):
        read_json(path)


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


@pytest.mark.skipif(os.name == "nt", reason="no umask there")
@pytest.mark.parametrize(("mask", "file", "folder"), [(0o077, 0o600, 0o700), (0o002, 0o664, 0o775)])
def test_the_umask_decides_who_may_read(mask, file, folder, tmp_path):
    before = os.umask(mask)
    try:
        write_bytes(tmp_path / "a", b"")
        with whole_folder(tmp_path / "set") as place:
            write_bytes(place / "b", b"")
    finally:
        os.umask(before)
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "set", "set/b")]
    assert modes == [file, folder, file]


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    write_json(tmp_path / "a.json", {"b": 1})
    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(DataError, match=r"a\.json: cannot be read; check its permissions"):
        read_json(tmp_path / "a.json")


def test_a_folder_that_cannot_be_written_is_refused_and_one_that_can_left_as_it_was(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    for place in ("here", "here/a/b"):
        refuse_unwritable(tmp_path / place)
    assert list(tmp_path.rglob("*")) == [tmp_path / "here"]
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match="file/a: cannot write there"):
        refuse_unwritable(tmp_path / "file/a")
    monkeypatch.setattr("gangda.runtime.files.os.access", lambda path, mode: False)
    with pytest.raises(RunError, match=r"here: cannot write there \(Permission denied\)"):
        refuse_unwritable(tmp_path / "here")
