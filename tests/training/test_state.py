import pytest

from gangda.errors import RunError
from gangda.runtime.progress import SILENT, Reporter
from gangda.runtime.runs import RunFolder
from gangda.training.state import restore


class Part:
    def __init__(self, value=0, error=None):
        self.value, self.error = value, error

    def dump(self):
        return {"value": self.value}

    def load(self, values):
        if self.error:
            raise self.error
        self.value = values["value"]


def save(folder, step, **parts):
    folder.save_checkpoint(step, {name: part.dump() for name, part in parts.items()})


def test_parts_come_back_from_the_newest_or_the_newest_regular_step(tmp_path):
    folder = RunFolder(tmp_path)
    for step in (10, 13):
        save(folder, step, a=Part(step), b=Part(-step))
    a, b = Part(), Part()
    restore(folder, {"a": a, "b": b}, SILENT)
    assert (a.value, b.value) == (13, -13)
    restore(folder, {"a": a, "b": b}, SILENT, lambda step: step % 10 == 0)
    assert (a.value, b.value) == (10, -10)


def test_without_checkpoints_nothing_changes(tmp_path):
    part = Part(7)
    restore(RunFolder(tmp_path), {"a": part}, SILENT)
    assert part.value == 7


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"a": Part(), "b": Part()}, "another version of gangda"),
        ({"a": Part(error=RuntimeError("size mismatch"))}, "of other networks"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, parts, words):
    save(RunFolder(tmp_path), 10, a=Part(1))
    with pytest.raises(RunError, match=f"{words}; start again in another --out"):
        restore(RunFolder(tmp_path), parts, SILENT)


def test_a_damaged_checkpoint_is_reported_and_the_one_before_used(tmp_path):
    lines = []

    class Recording(Reporter):
        def line(self, text):
            lines.append(text)

    folder = RunFolder(tmp_path)
    for step in (10, 20):
        save(folder, step, a=Part(step))
    path = tmp_path / "checkpoints" / "step-00000020.pt"
    path.write_bytes(path.read_bytes()[:-1])
    part = Part()
    restore(folder, {"a": part}, Recording())
    assert part.value == 10
    assert len(lines) == 1
    assert "step-00000020.pt: its hash does not match" in lines[0]
    assert "using the one before it" in lines[0]
