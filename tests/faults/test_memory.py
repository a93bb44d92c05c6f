"""Batches that do not fit in memory: one line that names the option; no more of the process than that ends."""

import pytest

pytestmark = pytest.mark.faults

ROOM = 800 << 20  # bytes of address space that a command may take beyond what it begins with
HUGE = 100_000  # 3 GiB: free on any machine that these tests run on, so that no check refuses it beforehand
COMPARE = ("compare", "--batch-size", HUGE, "--steps", 1)
# A batch has no more images than the set: it is the pixels that fill the memory.
CLASSIFY = ("classify", "digits", "--classifier", "resnet", "--image-size", 64)
long = pytest.mark.long


@pytest.mark.parametrize(
    "words",
    [
        ("train", "--batch-size", HUGE, "--steps", 1, "--out", "here"),
        pytest.param(
            ("train", "--arch", "gan", "--batch-size", HUGE, "--steps", 1, "--out", "here"), marks=long
        ),
        pytest.param((*COMPARE, "--seeds", 1, "--jobs", 1, "--out", "here"), marks=long),
        pytest.param((*COMPARE, "--seeds", 2, "--jobs", 2, "--out", "here"), marks=long),
        pytest.param((*CLASSIFY, "--classifier-batch", HUGE, "--out", "here"), marks=long),
    ],
    ids=lambda words: " ".join(map(str, words[:3])),
)
def test_the_option_is_named(zygote, tmp_path, words):
    code, command = zygote.run((*words, "--threads", 1), tmp_path / "here", room=ROOM)
    assert code == 1, command.err
    assert "out of memory: use" in command.line
    option = "--classifier-batch" if words[0] == "classify" else "--batch-size"
    assert f"a smaller {option}" in command.line


def test_a_batch_that_no_machine_has_room_for_is_refused_beforehand(zygote, tmp_path):
    code, command = zygote.run(
        ("train", "--image-size", 64, "--batch-size", 10**6, "--steps", 1, "--out", "run"), tmp_path
    )
    assert code == 2
    assert "--batch-size 1000000: a step needs" in command.line
    assert "would fit" in command.line


def test_a_batch_larger_than_the_set_is_told_of(zygote, tmp_path):
    words = (
        "train",
        "--per-class",
        5,
        "--batch-size",
        64,
        "--width",
        4,
        "--d-width",
        4,
        "--steps",
        1,
        "--out",
        "run",
    )
    code, command = zygote.run(words, tmp_path / "here")
    assert code == 0
    assert "--batch-size 64 is more than the 40 training images" in command.err
