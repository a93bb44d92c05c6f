"""A filter is one file and one line of the catalog: here both are outside the package."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from gangda.config.schema import DataConfig
from gangda.data.sample_set import read_set

FILTER = '''
import numpy as np


class Bright:
    """Rejects images that are darker than the training images are on average."""

    def __init__(self, limit):
        self.limit = limit

    @staticmethod
    def check(target):
        pass

    @staticmethod
    def build(context):
        train = context.splits().train
        return Bright(float(train.pixels.mean()))

    def predicate(self, label, block):
        return lambda pixels: np.where(pixels.mean((1, 2, 3)) < self.limit, "dark", "").astype(object)

    def as_dict(self):
        return {"limit": self.limit}
'''
COMMAND = """
from gangda.config import catalog

catalog.FILTERS["bright"] = catalog.Entry("bright_filter:Bright", "drop dark samples")

from gangda.cli.main import main

main()
"""


def test_a_filter_of_ones_own_is_a_flag_counted_and_described(make_run: Any, tmp_path: Path) -> None:
    run = make_run("pca", DataConfig(per_class=40))
    (tmp_path / "bright_filter.py").write_text(FILTER)
    options = [
        "--filter",
        "bright",
        "--counts",
        "3=20",
        "--format",
        "npz",
        "--device",
        "cpu",
        "--threads",
        "1",
    ]
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "sample", str(run), *options, "--out", "set", "--json"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    shares = json.loads(done.stdout)["filtering"]["3"]
    assert 0 < shares["acceptance"] < 1
    assert shares["rejected"] == {"bright": 1 - shares["acceptance"]}
    read = read_set(Path("set"))
    limit = read.index.provenance["labels"]["filters"]["bright"]["limit"]
    assert (read.images.pixels.mean((1, 2, 3)) >= limit).all()
