import json
import os
import subprocess
import sys
import time

import pytest

from gangda.errors import DataError, IncompleteError
from gangda.runtime.files import write_json
from gangda.runtime.hashed_file import write_hashed_json
from gangda.runtime.locks import lock_folder
from gangda.runtime.plan_status import plan_status


def planned(out, seeds, kind="a comparison"):
    cells = [{"index": index, "seed": 5 + index, "id": f"c{index}"} for index in range(seeds)]
    write_json(out / "plan.json", {"kind": f"plan of {kind}", "cells": cells})


def test_each_state_is_told_from_the_files_alone(tmp_path):
    planned(tmp_path, 5)
    write_hashed_json(tmp_path / "cells" / "c0.json", {"id": "c0"})
    write_json(tmp_path / "failed" / "c1.json", {})
    log = tmp_path / "work" / "c2" / "gan" / "metrics.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text(json.dumps({"step": 40}) + "\n" + json.dumps({"step": 80}) + '\n{"st')
    os.utime(log, (time.time() - 100, time.time() - 100))
    (tmp_path / "work" / "c3").mkdir()
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    with lock_folder(tmp_path / "work" / "c2"):
        found = plan_status(tmp_path)
    assert [cell.state for cell in found] == ["finished", "failed", "running", "stopped", "missing"]
    assert [(cell.index, cell.seed) for cell in found] == [(number, 5 + number) for number in range(5)]
    assert (found[2].step, found[4].step, found[4].age) == (80, None, None)
    assert found[2].host
    assert found[2].processor
    assert found[2].versions.startswith("gangda ")
    assert found[2].age < 60  # the lock is younger than the log
    assert sorted(str(path) for path in tmp_path.rglob("*") if path.name != ".lock") == before


def test_a_damaged_result_is_not_finished(tmp_path):
    planned(tmp_path, 2)
    for name in ("c0", "c1"):
        write_hashed_json(tmp_path / "cells" / f"{name}.json", {"id": name, "seed": 5})
    file = tmp_path / "cells" / "c1.json"
    file.write_text(file.read_text().replace("5", "6"))
    assert [cell.state for cell in plan_status(tmp_path)] == ["finished", "missing"]


def test_variants_are_counted_through(tmp_path):
    variants = {"00-a": {"name": "a", "plan": ""}, "01-b": {"name": "b", "plan": ""}}
    write_json(tmp_path / "plan.json", {"kind": "plan of an experiment", "fixed": {"variants": variants}})
    for folder in variants:
        planned(tmp_path / "variants" / folder, 2)
    write_hashed_json(tmp_path / "variants" / "01-b" / "scores" / "c1.json", {"id": "c1"})
    found = plan_status(tmp_path)
    assert [(cell.index, cell.variant, cell.state) for cell in found] == [
        (0, "a", "missing"), (1, "a", "missing"), (2, "b", "missing"), (3, "b", "finished")
    ]  # fmt: skip
    (tmp_path / "variants" / "00-a" / "plan.json").unlink()  # nobody has begun it: it is counted all the same
    assert [(cell.index, cell.state) for cell in plan_status(tmp_path)] == [
        (0, "missing"), (1, "missing"), (2, "missing"), (3, "finished")
    ]  # fmt: skip


def test_no_plan_and_a_damaged_one_are_one_line(tmp_path):
    with pytest.raises(IncompleteError, match="no plan there"):
        plan_status(tmp_path)
    write_json(tmp_path / "plan.json", {"cells": [3]})
    with pytest.raises(DataError, match=r"plan\.json: damaged"):
        plan_status(tmp_path)


def test_no_torch_is_loaded():
    code = (
        "import sys, gangda.runtime.plan_status; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
