"""A full disk and a read-only one: one clear line, what was there stays, and going on when there is room again."""

import shutil
import subprocess

import pytest
from processes import contents, until_done, visible

pytestmark = pytest.mark.faults

long = pytest.mark.long
TRAIN = (
    *("train", "--per-class", 20, "--width", 4, "--d-width", 4, "--batch-size", 16, "--threads", 1),
    *("--steps", 24, "--checkpoint-every", 4),
)


@pytest.fixture(scope="module")
def model(zygote, tmp_path_factory):
    """A finished run on the digits, and what is in it."""
    place = tmp_path_factory.mktemp("disk") / "model"
    code, command = zygote.run((*TRAIN, "--out", "run"), place)
    assert code == 0, command.err
    return place / "run"


def fill(disk, leave):
    """Take all the space but `leave` bytes."""
    free = (
        int(subprocess.run(["stat", "-f", "-c", "%a", disk], capture_output=True, check=True).stdout) * 4096
    )
    (disk / "filler").write_bytes(bytes(max(0, free - leave)))


@pytest.mark.parametrize(
    "room", [200_000, *(pytest.param(room, marks=long) for room in (0, 60_000, 400_000))]
)
def test_training_goes_on_when_there_is_room_again(zygote, model, small_disk, tmp_path, room):
    fill(small_disk, room)
    run = small_disk / "run"
    code, command = zygote.run((*TRAIN, "--out", run), tmp_path / "here")
    assert code == 1, command.err
    assert "the disk is full; free some space and run it again" in command.line
    assert str(run) in command.line
    contents(small_disk)  # whole, all of it
    steps = [path.name for path in (run / "checkpoints").glob("*.pt")]
    (small_disk / "filler").unlink()
    code, command = zygote.run((*TRAIN, "--out", run), tmp_path / "here")
    assert code == 0, command.err
    assert ("going on from step" in command.err) == bool(steps)
    assert contents(run) == contents(model)


@long
@pytest.mark.parametrize("form", ["png", "npz", "idx"])
def test_sampling_leaves_nothing_on_a_full_disk(zygote, model, small_disk, tmp_path, form):
    words = (
        "sample",
        model,
        "--per-class",
        60,  # 600 files, of which each takes 4 kB of the disk
        "--format",
        form,
        "--threads",
        1,
        "--out",
        small_disk / "set",
    )
    fill(small_disk, 20_000)
    code, command = zygote.run(words, tmp_path / "here")
    assert (code, "disk is full" in command.line) == (1, True)
    assert list(visible(small_disk)) == ["filler"]
    (small_disk / "filler").unlink()
    code, command = zygote.run(words, tmp_path / "here")
    assert code == 0, command.err
    contents(small_disk)


@long
def test_comparing_on_a_full_disk(zygote, small_disk, tmp_path):
    words = (
        "compare",
        *TRAIN[1:],
        "--seeds",
        2,
        "--jobs",
        1,
        "--classifier-steps",
        20,
        "--out",
        small_disk / "e",
    )
    fill(small_disk, 300_000)
    code, command = zygote.run(words, tmp_path / "here")
    assert (code, "disk is full" in command.line) == (1, True)
    contents(small_disk)
    (small_disk / "filler").unlink()
    code, command = zygote.run(words, tmp_path / "here")
    assert code == 0, command.err


def places(model, disk):
    """Commands that would write to a disk, by the place they name."""
    return {
        disk / "run": (
            *TRAIN[:-4],
            "--steps",
            30,
            "--checkpoint-every",
            4,
            "--resume",
            "--out",
            disk / "run",
        ),
        disk / "set": ("sample", model, "--per-class", 5, "--out", disk / "set"),
        disk / "new": (*TRAIN, "--out", disk / "new"),
        disk / "more": ("augment", "--per-class", 20, "--run", model, "--out", disk / "more"),
        disk / "experiment": ("compare", *TRAIN[1:], "--seeds", 1, "--out", disk / "experiment"),
        disk / "judged": ("classify", "digits", "--classifier-steps", 2, "--out", disk / "judged"),
    }


@pytest.mark.parametrize("commands", [2, pytest.param(6, marks=long)])
def test_a_read_only_place(zygote, model, small_disk, tmp_path, commands):
    shutil.copytree(model, small_disk / "run")
    before = contents(small_disk)
    until_done("mount", "-o", "remount,ro", small_disk)
    for out, words in list(places(model, small_disk).items())[:commands]:
        code, command = zygote.run(words, tmp_path / "here")
        assert code == 1, command.err
        assert str(out) in command.line
        assert "cannot write there (Read-only file system)" in command.line
    assert contents(small_disk) == before
    # To read from it is another matter.
    words = ("sample", small_disk / "run", "--per-class", 5, "--out", "set")
    code, command = zygote.run(words, tmp_path / "here")
    assert code == 0, command.err
