"""SIGTERM, SIGUSR1, Ctrl-C at any moment: all saved and gone within five seconds; a second one waits for nothing."""

import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from idx_files import write_idx
from processes import contents, hidden

pytestmark = pytest.mark.faults

CODES = {signal.SIGTERM: 75, signal.SIGUSR1: 75, signal.SIGINT: 130}
PATIENCE = 5.0  # seconds
TINY = ("--per-class", 20, "--width", 4, "--d-width", 4, "--batch-size", 16, "--threads", 1)


@pytest.fixture(scope="module")
def full_size(tmp_path_factory):
    """60,000 training images of 28x28 in ten classes, and 10,000 test images."""
    folder = tmp_path_factory.mktemp("full") / "noise"
    rng = np.random.default_rng(0)
    for part, count in (("train", 60_000), ("t10k", 10_000)):
        pixels = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        write_idx(folder / f"{part}-images-idx3-ubyte", pixels)
        write_idx(folder / f"{part}-labels-idx1-ubyte", (np.arange(count) % 10).astype(np.uint8))
    return folder


def stop(command, number):
    """Send a signal; the command must end in time, in one line, with the right code."""
    command.signal(number)
    began = time.monotonic()
    code = command.wait()
    seconds = time.monotonic() - began
    assert code == CODES[number], command.err
    assert command.line
    assert command.out == ""
    assert seconds < PATIENCE, f"{seconds:.1f} s"
    return seconds


def logged(run, words='"step": 1,'):
    log = run / "metrics.jsonl"
    return lambda: log.exists() and words in log.read_text()


def test_training_at_the_default_sizes_saves_and_ends_in_time(zygote, full_size, tmp_path):
    words = ("train", "--data", full_size, "--threads", 1, "--out", "run")
    command = zygote.start(words, tmp_path / "here")
    command.until(logged(tmp_path / "here" / "run"))
    stop(command, signal.SIGUSR1)
    assert "all saved" in command.line
    assert contents(tmp_path / "here")
    assert list((tmp_path / "here" / "run" / "checkpoints").glob("*.pt"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_while_the_images_are_read(zygote, full_size, tmp_path, number):
    command = zygote.start(("train", "--data", full_size, "--out", "run"), tmp_path / "here")
    command.until_it_listens()
    stop(command, number)
    assert "run the same command again" in command.line
    assert contents(tmp_path / "here") == {}


@pytest.fixture(scope="module")
def model(zygote, tmp_path_factory):
    """A finished run on the digits."""
    place = tmp_path_factory.mktemp("stops") / "model"
    code, command = zygote.run(("train", *TINY, "--steps", 5, "--out", "run"), place)
    assert code == 0, command.err
    return place / "run"


def commands(model):
    drawn = ("--per-class", 2000, "--threads", 1, "--out", "set")
    compared = ("compare", *TINY, "--steps", 100, "--seeds", 2, "--classifier-steps", 100, "--out", "e")
    return {
        "train": ("train", *TINY, "--steps", 60, "--checkpoint-every", 20, "--out", "run"),
        "sample": ("sample", model, *drawn, "--format", "npz"),
        "augment": (
            "augment",
            "--per-class",
            20,
            "--run",
            model,
            "--ratio",
            100,
            "--threads",
            1,
            "--out",
            "set",
        ),
        "compare": (*compared, "--jobs", 1),
        "two jobs": (*compared, "--jobs", 2),
    }


def stop_and_go_on(zygote, words, place, number, seconds, whole):
    """Stopped after so many seconds, unless it is done by then; the same command again gives the whole."""
    command = zygote.start(words, place)
    command.until_it_listens()
    time.sleep(seconds)
    command.signal(number)
    began = time.monotonic()
    code = command.wait()
    assert time.monotonic() - began < PATIENCE
    assert code in (0, CODES[number]), command.err
    assert code == 0 or command.line
    assert not [name for name in hidden(place) if "/cells/" not in name]
    code, command = zygote.run(words, place)
    assert code == 0, command.err
    assert contents(place) == whole


@pytest.mark.parametrize(("name", "number"), [("sample", signal.SIGINT)])
def test_stopped_anywhere_and_run_again(zygote, model, tmp_path, name, number):
    words = commands(model)[name]
    began = time.monotonic()
    assert zygote.run(words, tmp_path / "whole")[0] == 0
    seconds = random.uniform(0, time.monotonic() - began)
    stop_and_go_on(zygote, words, tmp_path / "here", number, seconds, contents(tmp_path / "whole"))


@pytest.mark.long
@pytest.mark.parametrize("name", ["train", "sample", "augment", "compare", "two jobs"])
def test_stopped_anywhere_again_and_again(zygote, model, tmp_path, name):
    words, rng = commands(model)[name], random.Random(name)
    began = time.monotonic()
    assert zygote.run(words, tmp_path / "whole")[0] == 0
    seconds, whole = time.monotonic() - began, contents(tmp_path / "whole")
    for attempt, number in enumerate([*CODES] * 4):
        stop_and_go_on(zygote, words, tmp_path / f"{attempt}", number, rng.uniform(0, seconds), whole)


@pytest.mark.long
def test_at_the_default_sizes_while_samples_are_looked_at(zygote, full_size, tmp_path):
    """The first look, with the training of its classifier, comes at the first checkpoint from step 500 on."""
    words = ("train", "--data", full_size, "--checkpoint-every", 500, "--steps", 600, "--out", "run")
    grid = tmp_path / "here" / "run" / "samples" / "grid-00000500.png"
    for number, wait in ((signal.SIGTERM, 0.0), (signal.SIGUSR1, 1.0), (signal.SIGINT, 2.0)):
        command = zygote.start(words, tmp_path / "here")
        command.until_it_listens()
        command.until(grid.exists, patience=300)
        time.sleep(wait)
        stop(command, number)


@pytest.mark.long
@pytest.mark.parametrize("name", ["sample", "augment", "compare"])
def test_at_the_default_sizes_elsewhere(zygote, full_size, tmp_path, name):
    words = {
        "sample": ("sample", "run", "--per-class", 20_000, "--out", "set"),
        "augment": ("augment", "--data", full_size, "--run", "run", "--ratio", 2, "--out", "set"),
        "compare": ("compare", "--data", full_size, "--steps", 50, "--seeds", 2, "--out", "experiment"),
    }[name]
    train = ("train", "--data", full_size, "--steps", 2, "--out", "run")
    assert zygote.run(train, tmp_path / "here")[0] == 0
    for number, wait in ((signal.SIGTERM, 0.5), (signal.SIGUSR1, 3.0), (signal.SIGINT, 8.0)):
        command = zygote.start(words, tmp_path / "here")
        command.until_it_listens()
        time.sleep(wait)
        stop(command, number)


TWICE = (
    ("train", ("train", *TINY, "--steps", 20_000, "--out", "run"), "run/metrics.jsonl"),
    (
        "fits",
        (
            "compare",
            "--arch",
            "pca",
            "--per-class",
            20,
            "--seeds",
            1,
            "--classifier-steps",
            300,
            "--out",
            "e",
        ),
        "e/work/*/fits/*",
    ),
    ("sample", ("sample", "MODEL", "--per-class", 20_000, "--format", "npz", "--out", "set"), ".set*"),
)


@pytest.mark.parametrize(("name", "words", "under_way"), TWICE, ids=[name for name, *_ in TWICE])
def test_two_signals_of_a_preemption(zygote, model, tmp_path, name, words, under_way):
    """Slurm's two SIGTERMs come some 15 ms apart; Python itself takes longer to end."""
    words = [str(model if word == "MODEL" else word) for word in words]
    here = tmp_path / "here"
    here.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "gangda", *words], cwd=here, stderr=subprocess.PIPE, text=True
    )
    while not list(here.glob(under_way)):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.015)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 75, err
    assert "Traceback" not in err
    if name == "fits":
        assert list(here.glob(under_way))
        assert zygote.run(words, here)[0] == zygote.run(words, tmp_path / "whole")[0] == 0
        ours, theirs = (contents(folder)["e/comparison.json"] for folder in (here, tmp_path / "whole"))
        # The advice names a time.
        assert {**ours, "advice": 0} == {**theirs, "advice": 0}
    elif name == "sample":
        assert not list(here.iterdir())
    else:
        assert list(here.glob("run/checkpoints/*.pt"))
