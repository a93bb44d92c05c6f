"""completions/: equal when regenerated, valid in their shells, and they complete what the catalog holds."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gangda.config import catalog

FOLDER = Path(__file__).parents[2] / "completions"
FILES = {"bash": "gangda.bash", "zsh": "_gangda", "fish": "gangda.fish"}
RUN = "from gangda.cli.main import main; main()"


def needs(shell):
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed")


SHELLS = [pytest.param(shell, marks=needs(shell)) for shell in FILES]


def run(command, environ=None, **kwargs):
    return subprocess.run(
        command, capture_output=True, text=True, timeout=30, env={**os.environ, **(environ or {})}, **kwargs
    )


@pytest.fixture
def program(tmp_path):
    """A `gangda` on the PATH that is this very source."""
    script = tmp_path / "bin" / "gangda"
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{RUN}' \"$@\"\n")
    script.chmod(0o755)
    source = str(Path(__file__).parents[2])
    return {"PATH": f"{script.parent}:{os.environ['PATH']}", "PYTHONPATH": source, "HOME": str(tmp_path)}


@pytest.mark.parametrize("shell", FILES)
def test_equal_when_regenerated(shell):
    environ = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = run([sys.executable, "-c", RUN, "--show-completion", shell], environ)
    assert done.stdout == (FOLDER / FILES[shell]).read_text()


@pytest.mark.parametrize("shell", SHELLS)
def test_valid_in_its_shell(shell):
    done = run([shell, "-n", str(FOLDER / FILES[shell])])
    assert (done.returncode, done.stderr) == (0, "")


def complete_in_bash(program, *words):
    """What bash offers for the last of the words, by calling the completion function as bash does."""
    typed = " ".join(f"'{word}'" for word in ("gangda", *words))
    script = (
        f"source {FOLDER}/gangda.bash\n"
        f"COMP_WORDS=({typed}); COMP_CWORD={len(words)}\n"
        '_gangda_completion gangda\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = run(["bash", "--norc", "-c", script], program)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("tr",), ["train"]),
        (("train", "--arch", ""), list(catalog.ARCHITECTURES)),
        (("train", "--arch", "mad"), ["madgan", "madgan-separate"]),
        (("train", "--loss", ""), list(catalog.LOSSES)),
        (("train", "--data", "fash"), ["fashion-mnist"]),
        (("sample", "--format", ""), list(catalog.FORMATS)),
        (("compare", "--arms", "real,leak"), ["real,leaky"]),
        (("train", "--generators"), ["--generators"]),
    ],
)
def test_bash_offers(program, words, offered):
    assert complete_in_bash(program, *words) == offered


def test_bash_offers_run_folders(program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for run in ("runs/one", "two", "runs/other"):
        (tmp_path / run).mkdir(parents=True)
        (tmp_path / run / "run.json").write_text("{}")
    (tmp_path / "runs/none").mkdir()
    assert complete_in_bash(program, "sample", "") == ["runs/one", "runs/other", "two"]
    assert complete_in_bash(program, "augment", "--run", "runs/on") == ["runs/one"]


def test_bash_leaves_paths_to_the_shell(program):
    assert complete_in_bash(program, "train", "--data", "/usr/sh") == []


@needs("fish")
def test_fish_offers_architectures_with_what_they_are(program):
    script = f"source {FOLDER}/gangda.fish; complete -C 'gangda train --arch '"
    done = run(["fish", "--no-config", "-c", script], program)
    offered = dict(line.split("\t") for line in done.stdout.splitlines())
    assert offered == {name: entry.summary for name, entry in catalog.ARCHITECTURES.items()}


@needs("fish")
def test_fish_offers_options_one_a_line(program):
    script = f"source {FOLDER}/gangda.fish; complete -C 'gangda train --'"
    done = run(["fish", "--no-config", "-c", script], program)
    assert "--generators" in done.stdout
    assert all(line.startswith("-") for line in done.stdout.splitlines())


@needs("zsh")
def test_zsh_offers_architectures(program):
    environ = {**program, "_GANGDA_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "gangda train --arch "}
    answer = run(["gangda"], environ).stdout
    assert all(f'"{name}":' in answer for name in catalog.ARCHITECTURES)
    assert run(["zsh", "-f", "-n", "-c", answer]).returncode == 0
