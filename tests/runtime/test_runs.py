import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from gangda.errors import DataError, RunError
from gangda.runtime.files import write_bytes, write_json
from gangda.runtime.metrics_log import MetricsLog
from gangda.runtime.runs import KEEP_CHECKPOINTS, RunFolder, find_run

CONFIG = "data:\n  source: digits\nrecipe:\n  lr: 0.1\nbudget:\n  steps: 5\n"


def test_claiming(tmp_path):
    run = RunFolder(tmp_path / "run")
    assert run.claim(CONFIG) is False
    assert run.claim(CONFIG) is True
    with pytest.raises(RunError, match=r"recipe\.lr = 0\.1, not 0\.2"):
        run.claim(CONFIG.replace("0.1", "0.2"))
    with pytest.raises(RunError, match=r"budget\.steps"):
        run.claim(CONFIG.replace("5", "6"))
    assert run.claim(CONFIG.replace("5", "6"), ignoring=("steps",)) is True


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_resume_is_named_for_another_budget_only_where_it_would_go_on(tmp_path, schedule):
    run, config = RunFolder(tmp_path / "run"), CONFIG.replace("lr: 0.1", f"lr_schedule: {schedule}")
    run.claim(config)
    with pytest.raises(RunError, match=r"budget\.steps") as refused:
        run.claim(config.replace("5", "6"))
    assert ("--resume" in str(refused.value)) == (schedule == "constant")


def test_a_run_of_the_first_edition_is_refused_as_that(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.claim(CONFIG)
    (run.path / "run.json").write_text('{"format_version": 1, "finished": true}')
    with pytest.raises(DataError, match=r"run\.json: is of gangda 0\.1; make it again, or choose another"):
        run.claim(CONFIG.replace("0.1", "0.2"))


def test_a_folder_with_other_content_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("do not touch")
    with pytest.raises(RunError, match="choose another --out"):
        RunFolder(tmp_path).claim(CONFIG)
    assert os.listdir(tmp_path) == ["thesis.txt"]


@pytest.mark.parametrize("left", [".config.yaml.k2_x9abc.gangda-part", ".run.json.k2_x9abc.gangda-part"])
def test_temporary_files_of_a_killed_start_do_not_matter(tmp_path, left):
    (tmp_path / left).write_text("hal")
    assert RunFolder(tmp_path).claim(CONFIG) is False
    assert RunFolder(tmp_path).claim(CONFIG) is True


def test_a_second_process_is_refused(tmp_path):
    with RunFolder(tmp_path).lock():
        with pytest.raises(RunError, match="another process"), RunFolder(tmp_path).lock():
            pass
    with RunFolder(tmp_path).lock():
        pass


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:50], lambda data: data[:99] + bytes([data[99] ^ 1]) + data[100:], lambda data: b""],
)
def test_a_damaged_checkpoint_is_passed_over_and_named(damage, tmp_path):
    run = RunFolder(tmp_path)
    for step in range(1, KEEP_CHECKPOINTS + 3):
        run.save_checkpoint(step, {"step": step})
    assert len(run.checkpoints()) == KEEP_CHECKPOINTS
    newest = run.checkpoints()[-1]
    good = newest.read_bytes()
    newest.write_bytes(damage(good))
    state, complaints = run.load_checkpoint()
    assert state == {"step": KEEP_CHECKPOINTS + 1}
    words = "its hash does not match; put a good copy back; using the one before it"
    assert complaints == [f"{newest}: {words}"]
    for other in run.checkpoints()[:-1]:
        other.unlink()
    with pytest.raises(
        RunError, match=rf"none of 1 .* whole \(the newest: {re.escape(str(newest))}: its hash"
    ):
        run.load_checkpoint()
    newest.write_bytes(good)  # what the message says helps
    assert run.load_checkpoint() == ({"step": KEEP_CHECKPOINTS + 2}, [])


def test_a_checkpoint_is_an_ordinary_file_of_torch(tmp_path):
    run = RunFolder(tmp_path)
    run.save_checkpoint(3, {"step": 3, "weights": torch.arange(4.0)})
    state = torch.load(tmp_path / "checkpoints" / "step-00000003.pt", weights_only=True)
    assert state["weights"].tolist() == [0, 1, 2, 3]


def test_a_kill_while_a_checkpoint_of_the_same_step_is_replaced_leaves_either_whole(tmp_path, monkeypatch):
    """Killed before and after each system call that changes the folder."""
    run = RunFolder(tmp_path)
    run.save_checkpoint(1, {"step": 1, "lines": 1})
    replace = Path.replace

    def kill(*_):
        raise KeyboardInterrupt

    def kill_after(path, target):
        replace(path, target)
        raise KeyboardInterrupt

    for killed, lines in ((kill, 1), (kill_after, 2)):
        monkeypatch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            run.save_checkpoint(1, {"step": 1, "lines": 2})
        monkeypatch.undo()
        assert run.load_checkpoint() == ({"step": 1, "lines": lines}, [])


def test_the_log_is_cut_back_to_the_checkpoint(tmp_path):
    log = MetricsLog(tmp_path / "m.jsonl", 0)
    for step in (1, 2, 3):
        log.write({"step": step})
    log.close()
    with (tmp_path / "m.jsonl").open("a") as file:
        file.write('{"step": 4, "d_l')  # a line cut off by a kill
    MetricsLog(tmp_path / "m.jsonl", 2).close()
    assert (tmp_path / "m.jsonl").read_text() == '{"step": 1}\n{"step": 2}\n'


def plant(root, name, fingerprint, rows, finished=True):
    write_json(root / name / "model" / "model.json", {"fingerprint": fingerprint})
    write_bytes(root / name / "model" / "rows.txt", "\n".join(map(str, rows)).encode())
    write_json(root / name / "run.json", {"finished": finished})


def test_the_newest_finished_run_on_the_same_rows_is_found(tmp_path):
    plant(tmp_path, "other-data", "bbb", [1, 2])
    with pytest.raises(RunError, match="gangda train"):
        find_run("aaa", None, tmp_path)
    plant(tmp_path, "old", "aaa", [1, 2])
    os.utime(tmp_path / "old" / "model" / "model.json", (1, 1))
    plant(tmp_path, "new", "aaa", [1, 9])
    plant(tmp_path, "unfinished", "aaa", [1], finished=False)
    assert find_run("aaa", None, tmp_path).name == "new"
    assert find_run("aaa", np.array([1, 2, 3]), tmp_path).name == "old"
    with pytest.raises(RunError, match="subset"):
        find_run("aaa", np.array([5]), tmp_path)
