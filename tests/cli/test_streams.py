"""Output under any encoding, to a full disk, without stdout, and without a home directory."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from gangda.cli.main import prepare_streams
from gangda.report import figures

NAMES = np.array(["\u732b", "$x_{1$"])


def doctor(tmp_path, redirect="", **environ):
    np.savez(
        tmp_path / "set.npz",
        images=np.random.default_rng(0).integers(0, 256, (20, 8, 8), np.uint8),
        labels=np.arange(20) % 2,
        class_names=NAMES,
    )
    command = f'"{sys.executable}" -m gangda doctor --data set.npz {redirect}'
    own = {key: value for key, value in os.environ.items() if key not in ("HOME", "GANGDA_CACHE")}
    shared = {"PYTHONPATH": str(Path(__file__).parents[2]), "HOME": str(tmp_path), **environ}
    environment = {key: value for key, value in {**own, **shared}.items() if value}
    return subprocess.run(
        command,
        shell=True,
        executable="/bin/bash",
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_names_that_an_encoding_lacks_are_escaped(tmp_path, encoding):
    done = doctor(tmp_path, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u732b" in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_one_line(tmp_path):
    done = doctor(tmp_path, "> /dev/full")
    assert done.returncode == 1
    assert (
        done.stderr
        == "gangda: standard output cannot be written (No space left on device); send it elsewhere\n"
    )


def test_a_reader_that_goes_is_no_error(tmp_path):
    done = doctor(tmp_path, "--json | head -c 1; exit ${PIPESTATUS[0]}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "{", "")


def test_a_closed_stdout_is_no_error(tmp_path):
    done = doctor(tmp_path, ">&-")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_prepared_streams_take_any_text(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    prepare_streams()
    print("\u732b")
    sys.stdout.close()


def test_figures_take_any_class_name():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert figures.confusion_matrix(np.eye(2, dtype=np.int64), NAMES.tolist()).startswith(b"\x89PNG")
        assert figures.class_bars(NAMES.tolist(), np.ones(2), np.ones(2)).startswith(b"\x89PNG")
